// Grades exercises/01-tokenizer/bpe.cpp.
#include "solutions/01-tokenizer/bpe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "tests/lessons/grading/exam.h"
#include "tinygpt/core/error.h"

namespace tinygpt::lessons {
namespace {

using ref::Bpe;
using ref::Pair;

// How pairs are counted: as the contract says, or with a mistake that people make.
enum class Counting {
  right,
  overlapping,         // (a, a) in "aaa" twice
  first_of_a_run,      // (a, a) in "aaaa" once
  skips_after_equals,  // what follows "aa" is not looked at
  skips_after_all,     // each token is in one pair only
  either_order,        // (b, a) is counted as (a, b)
  without_the_last,
};

// Written for the eye, and not for speed: what the exercise's answers are compared with.
std::vector<std::pair<Pair, int>> exact_counts(const std::vector<int>& tokens,
                                               Counting counting = Counting::right) {
  std::vector<std::pair<Pair, int>> counts;
  const std::size_t end = tokens.size() - (counting == Counting::without_the_last ? 1 : 0);
  for (std::size_t i = 0; !tokens.empty() && i + 1 < end; ++i) {
    Pair pair{tokens[i], tokens[i + 1]};
    const bool equal = pair.first == pair.second;
    std::size_t alike = 0;  // equal tokens before this one
    while (alike < i && tokens[i - alike - 1] == tokens[i]) ++alike;
    if (counting == Counting::either_order && pair.first > pair.second)
      std::swap(pair.first, pair.second);
    if (counting == Counting::skips_after_all) ++i;
    else if (counting == Counting::skips_after_equals) i += equal ? 1 : 0;
    else if (counting == Counting::first_of_a_run && equal && alike > 0) continue;
    else if (counting != Counting::overlapping && equal && alike % 2 == 1) continue;
    const auto at = std::ranges::find(counts, pair, &std::pair<Pair, int>::first);
    if (at == counts.end()) counts.emplace_back(pair, 1);
    else ++at->second;
  }
  std::ranges::sort(counts);
  return counts;
}

std::vector<int> flat(const std::vector<std::pair<Pair, int>>& counts) {
  std::vector<int> out;
  for (const auto& [pair, count] : counts) out.insert(out.end(), {pair.first, pair.second, count});
  return out;
}

std::vector<int> exact_merge(const std::vector<int>& tokens, Pair pair, int replacement) {
  std::vector<int> out;
  std::size_t i = 0;
  while (i < tokens.size()) {
    if (i + 1 < tokens.size() && Pair{tokens[i], tokens[i + 1]} == pair) {
      out.push_back(replacement);
      i += 2;
    } else {
      out.push_back(tokens[i++]);
    }
  }
  return out;
}

std::vector<int> bytes_of(const std::string& text) {
  std::vector<int> bytes;
  for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
  return bytes;
}

enum class Ties { smallest, largest, first_in_text };

// What merges are learned. Of pairs that occur fewer than `least` times none is merged.
Bpe exact_train(const std::string& text, int vocabulary, Ties ties = Ties::smallest,
                int least = 2) {
  Bpe bpe;
  std::vector<int> tokens = bytes_of(text);
  while (256 + static_cast<int>(bpe.merges.size()) < vocabulary) {
    Pair best;
    int most = least - 1;
    std::size_t best_place = 0;
    for (const auto& [pair, count] : exact_counts(tokens)) {
      const std::vector<int> both = {pair.first, pair.second};
      const auto place =
          static_cast<std::size_t>(std::ranges::search(tokens, both).begin() - tokens.begin());
      const bool tie = count == most && count >= least;
      if (count > most || (tie && ties == Ties::largest) ||
          (tie && ties == Ties::first_in_text && place < best_place))
        best = pair, most = count, best_place = place;
    }
    if (most < least) break;
    tokens = exact_merge(tokens, best, 256 + static_cast<int>(bpe.merges.size()));
    bpe.merges.push_back(best);
  }
  return bpe;
}

std::vector<int> exact_encode(const Bpe& bpe, std::vector<int> tokens) {
  for (std::size_t i = 0; i < bpe.merges.size(); ++i)
    tokens = exact_merge(tokens, bpe.merges[i], 256 + static_cast<int>(i));
  return tokens;
}

// With the mistake that the first pair of the text that is a merge is merged first.
std::vector<int> greedy_encode(const Bpe& bpe, std::vector<int> tokens) {
  for (std::size_t at = 0; at + 1 < tokens.size();) {
    const auto merge = std::ranges::find(bpe.merges, Pair{tokens[at], tokens[at + 1]});
    if (merge == bpe.merges.end()) {
      ++at;
      continue;
    }
    tokens[at] = 256 + static_cast<int>(merge - bpe.merges.begin());
    tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    at = 0;
  }
  return tokens;
}

std::vector<int> signed_bytes_of(const std::string& text) {
  std::vector<int> bytes;
  for (const char c : text) bytes.push_back(static_cast<signed char>(c));
  return bytes;
}

// Merges that would be learned if every merge looked at the counts of the bytes.
Bpe never_counts_again(const std::string& text, int vocabulary) {
  const Bpe once = exact_train(text, std::min(vocabulary, 257));
  return {std::vector<Pair>(once.merges.empty() ? 0 : static_cast<std::size_t>(vocabulary - 256),
                            once.merges.empty() ? Pair{} : once.merges[0])};
}

std::vector<int> flat(const Bpe& bpe) {
  std::vector<int> out;
  for (const auto& [left, right] : bpe.merges) out.insert(out.end(), {left, right});
  return out;
}

const std::vector<std::vector<int>>& token_lists() {
  static const std::vector<std::vector<int>> lists = {{1, 2, 1, 2, 3},
                                                      {7, 7, 7},
                                                      {7, 7, 7, 7},
                                                      {7, 7, 7, 7, 7},
                                                      {},
                                                      {5},
                                                      {1, 1, 2, 1, 1, 1, 2, 2},
                                                      {300, 4, 300, 4, 300},
                                                      random_tokens(60, 3, 4),
                                                      random_tokens(400, 2, 5)};
  return lists;
}

const std::vector<std::string>& texts() {
  static const std::vector<std::string> all = {
      "abab abab",
      "aaaaaaa",
      "low lower lowest low low",
      "",
      "x",
      "the cat sat on the mat and the cat sat again",
      "na\xc3\xafve caf\xc3\xa9, \xe7\x8c\xab\xe7\x8c\xab\xe7\x8c\xab",
      "\xff\xfe\x80\x80\x80\x80 broken \xc3",
      "bbaabbaa",
      "aabbaabb ccdd ccdd",
      std::string("\0ab\0ab", 6)};
  return all;
}

std::string shown(const std::vector<int>& tokens) {
  return tokens.size() > 12 ? fmt::format("{} tokens", tokens.size())
                            : fmt::format("{{{}}}", fmt::join(tokens, ", "));
}

// Bytes that a terminal would not show as they are, escaped.
std::string shown(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c >= ' ' && c <= '~') out += c;
    else out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
  }
  return out.size() > 30 ? "..." : out;
}

void examine_count(Exam& exam) {
  for (const std::vector<int>& tokens : token_lists()) {
    exam.call(fmt::format("count_pairs of {}", shown(tokens)));
    std::vector<int> found;
    for (const auto& [pair, count] : ref::count_pairs(tokens)) {
      found.insert(found.end(), {pair.first, pair.second, static_cast<int>(count)});
    }
    exam.expect_equal("the list of (first, second, count)", found, flat(exact_counts(tokens)),
                      {{flat(exact_counts(tokens, Counting::overlapping)),
                        "Overlapping occurrences are counted twice: in 7 7 7 the pair (7, 7) can "
                        "be merged once only, "
                        "since the middle 7 is used up."},
                       {flat(exact_counts(tokens, Counting::skips_after_all)),
                        "A token is the second of one pair and the first of the next: in 1 2 1 "
                        "both (1, 2) and (2, 1) count. Only an occurrence of the same pair that "
                        "shares a token is left out."},
                       {flat(exact_counts(tokens, Counting::first_of_a_run)),
                        "In 7 7 7 7 two pairs (7, 7) can be merged: the third 7 is not used up by "
                        "the first two."},
                       {flat(exact_counts(tokens, Counting::skips_after_equals)),
                        "After 1 1 the pair of the second 1 and what follows is skipped. It is to "
                        "be skipped only where a third 1 follows."},
                       {flat(exact_counts(tokens, Counting::either_order)),
                        "The order of a pair matters: (1, 2) and (2, 1) are two pairs."},
                       {flat(exact_counts(tokens, Counting::without_the_last)),
                        "The last pair is missing: how far does the loop go?"}});
  }
}

void examine_merge(Exam& exam) {
  for (const std::vector<int>& tokens : token_lists()) {
    for (const Pair& pair : {Pair{1, 2}, Pair{7, 7}, Pair{1, 1}, Pair{300, 4}, Pair{0, 1}}) {
      exam.call(fmt::format("merge_pair of {}, pair ({}, {}), replacement 999", shown(tokens),
                            pair.first, pair.second));
      std::vector<int> first_only = tokens, one_by_one;
      const std::vector<int> both = {pair.first, pair.second};
      if (const auto first = std::ranges::search(first_only, both); !first.empty()) {
        *first.begin() = 999;
        first_only.erase(first.begin() + 1);
      }
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        const bool hit = i + 1 < tokens.size() && Pair{tokens[i], tokens[i + 1]} == pair;
        one_by_one.push_back(hit ? 999 : tokens[i]);
      }
      const std::vector<int> right = exact_merge(tokens, pair, 999);
      std::vector<int> shorter = right;
      if (!shorter.empty()) shorter.pop_back();
      exam.expect_equal(
          "the result", ref::merge_pair(tokens, pair, 999), right,
          {{one_by_one, "The second token of a merged pair is used up: go on behind it."},
           {first_only, "Only the first occurrence is replaced: go on to the end."},
           {shorter, "The last token is missing. It has no neighbour, and stays as it is."},
           {tokens, "Nothing was replaced."}});
    }
  }
}

void examine_train(Exam& exam) {
  for (const std::string& text : texts()) {
    for (const int vocabulary : {256, 257, 262, 300}) {
      exam.call(fmt::format("bpe_train of {} bytes (\"{}\"), vocabulary {}", text.size(),
                            shown(text), vocabulary));
      const Bpe right = exact_train(text, vocabulary);
      const std::string counts_bytes = ": `vocabulary` counts the 256 bytes as well.";
      std::vector<int> signed_merges = flat(right);
      for (int& token : signed_merges) token -= token >= 128 && token < 256 ? 256 : 0;
      exam.expect_equal(
          "the list of merges (left, right)", flat(ref::bpe_train(text, vocabulary)), flat(right),
          {{flat(exact_train(text, vocabulary, Ties::largest)),
            "Equally frequent pairs: the smallest is to be taken, so that every "
            "machine learns the same."},
           {flat(exact_train(text, vocabulary, Ties::first_in_text)),
            "Equally frequent pairs: not the one that comes first in the text is to "
            "be taken, but the smallest, by its first token, then by its second."},
           {flat(exact_train(text, vocabulary + 1)), "One merge too many" + counts_bytes},
           {flat(exact_train(text, vocabulary + 256)), "Too many merges" + counts_bytes},
           {flat(exact_train(text, std::max(vocabulary - 1, 256))),
            "One merge is missing" + counts_bytes + " With 257 there is one merge."},
           {flat(exact_train(text, vocabulary, Ties::smallest, 1)),
            "A pair that occurs once saves nothing: stop when no pair occurs twice."},
           {flat(never_counts_again(text, vocabulary)),
            "A merge changes which tokens are neighbours: count again after each."},
           {signed_merges, "Bytes are 0 to 255, but a char may be signed: bytes_of gives them."}});
    }
  }
}

void examine_encode(Exam& exam) {
  for (const std::string& learned : texts()) {
    const Bpe bpe = exact_train(learned, 280);
    for (const std::string& text : texts()) {
      const std::vector<int> expected = exact_encode(bpe, bytes_of(text));
      std::vector<int> longest = bytes_of(text);
      const Bpe own = exact_train(text, 256 + static_cast<int>(bpe.merges.size()));
      for (std::size_t i = bpe.merges.size(); i-- > 0;)
        longest = exact_merge(longest, bpe.merges[i], 256 + static_cast<int>(i));
      exam.call(
          fmt::format("bpe_encode of {} bytes, with {} merges", text.size(), bpe.merges.size()));
      exam.expect_equal(
          "the result", ref::bpe_encode(bpe, text), expected,
          {{longest, "The merges are applied in the wrong order: first what was learned first."},
           {greedy_encode(bpe, bytes_of(text)),
            "The order in which merges were learned decides, not the order in the text."},
           {exact_encode(own, bytes_of(text)),
            "These are merges of this text. Apply those of bpe, which were learned from another."},
           {exact_encode(bpe, signed_bytes_of(text)),
            "Bytes are 0 to 255, but a char may be signed: bytes_of gives them."},
           {bytes_of(text), "These are the bytes: no merge was applied."}});
    }
  }
  // A merge that was learned late and comes first in the text.
  const Bpe bpe{{{'b', 'c'}, {'a', 'b'}}};
  exam.call("bpe_encode of \"abc\", merges (b, c), then (a, b)");
  exam.expect_equal(
      "the result", ref::bpe_encode(bpe, "abc"), {'a', 256},
      {{{257, 'c'},
        "The order in which merges were learned decides, not the order in the text: (b, c) "
        "was learned first."}});
}

void examine_decode(Exam& exam) {
  for (const std::string& learned : texts()) {
    const Bpe bpe = exact_train(learned, 280);
    for (const std::string& text : texts()) {
      const std::vector<int> tokens = exact_encode(bpe, bytes_of(text));
      exam.call(
          fmt::format("bpe_decode of {} tokens, with {} merges", tokens.size(), bpe.merges.size()));
      std::string ascii = text;
      std::erase_if(ascii, [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
      std::string without_zeros = text, right_first, one_level;
      std::erase(without_zeros, '\0');
      std::vector<std::string> turned;
      for (int byte = 0; byte < 256; ++byte) turned.emplace_back(1, static_cast<char>(byte));
      for (const auto& [left, right] : bpe.merges)
        turned.push_back(turned[static_cast<std::size_t>(right)] +
                         turned[static_cast<std::size_t>(left)]);
      for (const int token : tokens) {
        right_first += turned[static_cast<std::size_t>(token)];
        if (token < 256) {
          one_level += static_cast<char>(token);
          continue;
        }
        const auto& [left, right] = bpe.merges[static_cast<std::size_t>(token - 256)];
        one_level += {static_cast<char>(left), static_cast<char>(right)};
      }
      exam.expect_equal(
          "the result", ref::bpe_decode(bpe, tokens), text,
          {{ascii,
            "Bytes from 128 on are lost. A token may hold half a character: bytes go through as "
            "they are, valid UTF-8 or not."},
           {without_zeros,
            "Bytes that are 0 are lost. They end a string of C, but not a std::string: join "
            "std::strings."},
           {right_first, "The left token of a merge comes first, then its right one."},
           {one_level,
            "The two tokens of a merge may be merges themselves: they stand for their bytes, not "
            "for their numbers."}});
    }
  }
  for (const int stranger : {-1, 258, 1 << 20}) {
    const Bpe bpe{{{'a', 'b'}, {256, 'c'}}};
    exam.call(fmt::format("bpe_decode of a token {}, with 2 merges", stranger));
    const char* words = "Check 0 <= token < 256 + number of merges before you look it up.";
    bool refused = false;
    try {
      ref::bpe_decode(bpe, std::vector<int>{97, stranger});
    } catch (const NotImplemented&) {
      throw;
    } catch (const Error&) {
      refused = true;
    } catch (const std::exception& other) {
      exam.wrong(
          fmt::format("not an Error was thrown, but this: {}", other.what()),
          fmt::format("{} check(condition, message) of tinygpt/core/error.h throws Error.", words));
    }
    exam.expect_true(refused, "no Error was thrown", words);
  }
}

}  // namespace

std::vector<Task> tasks() {
  return {{"01.count_pairs", examine_count},
          {"01.merge_pair", examine_merge},
          {"01.bpe_train", examine_train},
          {"01.bpe_encode", examine_encode},
          {"01.bpe_decode", examine_decode}};
}

}  // namespace tinygpt::lessons
