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

// Written for the eye, and not for speed: what the exercise's answers are compared with.
std::vector<std::pair<Pair, int>> exact_counts(const std::vector<int>& tokens,
                                               bool overlapping = false) {
  std::vector<std::pair<Pair, int>> counts;
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    const Pair pair{tokens[i], tokens[i + 1]};
    std::size_t alike = 0;  // equal tokens before this one
    while (alike < i && tokens[i - alike - 1] == tokens[i]) ++alike;
    if (!overlapping && pair.first == pair.second && alike % 2 == 1) continue;
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

enum class Ties { smallest, largest };

Bpe exact_train(const std::string& text, int vocabulary, Ties ties = Ties::smallest,
                bool overlapping = false) {
  Bpe bpe;
  std::vector<int> tokens = bytes_of(text);
  while (256 + static_cast<int>(bpe.merges.size()) < vocabulary) {
    Pair best;
    int most = 1;
    for (const auto& [pair, count] : exact_counts(tokens, overlapping)) {
      if (count > most || (ties == Ties::largest && count == most && count > 1))
        best = pair, most = count;
    }
    if (most == 1) break;
    tokens = exact_merge(tokens, best, 256 + static_cast<int>(bpe.merges.size()));
    bpe.merges.push_back(best);
  }
  return bpe;
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
      "aabbaabb ccdd ccdd"};
  return all;
}

std::string shown(const std::vector<int>& tokens) {
  return tokens.size() > 12 ? fmt::format("{} tokens", tokens.size())
                            : fmt::format("{{{}}}", fmt::join(tokens, ", "));
}

void examine_count(Exam& exam) {
  for (const std::vector<int>& tokens : token_lists()) {
    exam.call(fmt::format("count_pairs of {}", shown(tokens)));
    std::vector<int> found;
    for (const auto& [pair, count] : ref::count_pairs(tokens)) {
      found.insert(found.end(), {pair.first, pair.second, static_cast<int>(count)});
    }
    exam.expect_equal("the list of (first, second, count)", found, flat(exact_counts(tokens)),
                      {{flat(exact_counts(tokens, true)),
                        "Overlapping occurrences are counted twice: in 7 7 7 the pair (7, 7) can "
                        "be merged once only, "
                        "since the middle 7 is used up."}});
  }
}

void examine_merge(Exam& exam) {
  for (const std::vector<int>& tokens : token_lists()) {
    for (const Pair& pair : {Pair{1, 2}, Pair{7, 7}, Pair{1, 1}, Pair{300, 4}, Pair{0, 1}}) {
      exam.call(fmt::format("merge_pair of {}, pair ({}, {}), replacement 999", shown(tokens),
                            pair.first, pair.second));
      std::vector<int> first_only = tokens, one_by_one;
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        const bool hit = i + 1 < tokens.size() && Pair{tokens[i], tokens[i + 1]} == pair;
        one_by_one.push_back(hit ? 999 : tokens[i]);
      }
      exam.expect_equal(
          "the result", ref::merge_pair(tokens, pair, 999), exact_merge(tokens, pair, 999),
          {{one_by_one, "The second token of a merged pair is used up: go on behind it."},
           {tokens, "Nothing was replaced."}});
    }
  }
}

void examine_train(Exam& exam) {
  for (const std::string& text : texts()) {
    for (const int vocabulary : {256, 257, 262, 300}) {
      exam.call(fmt::format("bpe_train of {} bytes (\"{}\"), vocabulary {}", text.size(),
                            text.size() > 30 ? "..." : text, vocabulary));
      const Bpe right = exact_train(text, vocabulary);
      exam.expect_equal("the list of merges (left, right)", flat(ref::bpe_train(text, vocabulary)),
                        flat(right),
                        {{flat(exact_train(text, vocabulary, Ties::largest)),
                          "Equally frequent pairs: the smallest is to be taken, so that every "
                          "machine learns the same."},
                         {flat(exact_train(text, vocabulary + 1)),
                          "One merge too many: `vocabulary` counts the 256 bytes as well."}});
    }
  }
}

void examine_encode(Exam& exam) {
  for (const std::string& learned : texts()) {
    const Bpe bpe = exact_train(learned, 280);
    for (const std::string& text : texts()) {
      std::vector<int> expected = bytes_of(text), longest = bytes_of(text);
      for (std::size_t i = 0; i < bpe.merges.size(); ++i)
        expected = exact_merge(expected, bpe.merges[i], 256 + static_cast<int>(i));
      for (std::size_t i = bpe.merges.size(); i-- > 0;)
        longest = exact_merge(longest, bpe.merges[i], 256 + static_cast<int>(i));
      exam.call(
          fmt::format("bpe_encode of {} bytes, with {} merges", text.size(), bpe.merges.size()));
      exam.expect_equal(
          "the result", ref::bpe_encode(bpe, text), expected,
          {{longest, "The merges are applied in the wrong order: first what was learned first."},
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
      std::vector<int> tokens = bytes_of(text);
      for (std::size_t i = 0; i < bpe.merges.size(); ++i)
        tokens = exact_merge(tokens, bpe.merges[i], 256 + static_cast<int>(i));
      exam.call(
          fmt::format("bpe_decode of {} tokens, with {} merges", tokens.size(), bpe.merges.size()));
      std::string ascii = text;
      std::erase_if(ascii, [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
      exam.expect_equal(
          "the result", ref::bpe_decode(bpe, tokens), text,
          {{ascii,
            "Bytes from 128 on are lost. A token may hold half a character: bytes go through as "
            "they are, valid UTF-8 or not."}});
    }
  }
  for (const int stranger : {-1, 258, 1 << 20}) {
    const Bpe bpe{{{'a', 'b'}, {256, 'c'}}};
    exam.call(fmt::format("bpe_decode of a token {}, with 2 merges", stranger));
    bool refused = false;
    try {
      ref::bpe_decode(bpe, std::vector<int>{97, stranger});
    } catch (const NotImplemented&) {
      throw;
    } catch (const Error&) {
      refused = true;
    }
    exam.expect_true(refused, "no Error was thrown",
                     "Check 0 <= token < 256 + number of merges before you look it up.");
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
