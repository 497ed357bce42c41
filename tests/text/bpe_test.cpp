#include "tinygpt/text/bpe.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/random.h"
#include "tinygpt/text/bpe_alphabet.h"
#include "tinygpt/text/bpe_train.h"
#include "tinygpt/text/pretokenize.h"
#include "tinygpt/text/tokenizer.h"

using namespace tinygpt;

namespace {

using Ids = std::vector<int>;

std::vector<std::string> byte_vocabulary() { return byte_tokenizer().vocabulary; }

CountedWord word(std::string_view text, std::int64_t count = 1) {
  CountedWord w;
  for (const char b : text) w.symbols.push_back(static_cast<unsigned char>(b));
  w.count = count;
  return w;
}

Ids merge_left_to_right(const Ids& symbols, const Merge& m) {
  Ids out;
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    const bool merges = i + 1 < symbols.size() && symbols[i] == m.left && symbols[i + 1] == m.right;
    out.push_back(merges ? m.result : symbols[i]);
    if (merges) ++i;
  }
  return out;
}

// The contract of learn_merges without any cleverness: everything is counted again each time.
std::vector<Merge> learn_by_recounting(std::vector<std::string> vocabulary,
                                       std::vector<CountedWord> words, int vocab_size) {
  std::vector<Merge> merges;
  while (static_cast<int>(vocabulary.size()) < vocab_size) {
    std::map<std::pair<int, int>, std::int64_t> counts;
    for (const CountedWord& w : words) {
      for (std::size_t i = 0; i + 1 < w.symbols.size(); ++i) {
        counts[{w.symbols[i], w.symbols[i + 1]}] += w.count;
        // "aaa" holds (a, a) once: the second place overlaps the first.
        const bool overlaps = i + 2 < w.symbols.size() && w.symbols[i] == w.symbols[i + 1] &&
                              w.symbols[i + 1] == w.symbols[i + 2];
        if (overlaps) ++i;
      }
    }
    std::pair<int, int> best;
    std::int64_t most = 1;
    for (const auto& [pair, count] : counts) {
      const std::string bytes = vocabulary[pair.first] + vocabulary[pair.second];
      const bool is_new =
          std::find(vocabulary.begin(), vocabulary.end(), bytes) == vocabulary.end();
      if (count > most && is_new) best = pair, most = count;
    }
    if (most == 1) break;
    const Merge m{best.first, best.second, static_cast<int>(vocabulary.size())};
    merges.push_back(m);
    vocabulary.push_back(vocabulary[m.left] + vocabulary[m.right]);
    for (CountedWord& w : words) w.symbols = merge_left_to_right(w.symbols, m);
  }
  return merges;
}

// One merge after the other, each over the whole word: what bpe_merge_word must give.
Ids encode_by_rank(Ids symbols, const std::vector<Merge>& merges) {
  for (const Merge& m : merges) symbols = merge_left_to_right(symbols, m);
  return symbols;
}

std::string random_word(Random& random, std::uint64_t longest, int letters) {
  std::string text(1 + random.below(longest), 'a');
  for (char& c : text)
    c = static_cast<char>('a' + random.below(static_cast<std::uint64_t>(letters)));
  return text;
}

double seconds_for(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

TEST_CASE("pairs that overlap are counted as often as they can be merged", "[text][bpe][train]") {
  // "aaa" holds (a, a) once, so (b, c), which occurs twice, is learned before it.
  std::vector<std::string> vocabulary = byte_vocabulary();
  const std::vector<CountedWord> words = {word("aaa"), word("bcbc")};
  const std::vector<Merge> merges = learn_merges(vocabulary, words, 300);
  REQUIRE(merges.size() == 1);  // and (a, a) never, as nothing that occurs once is
  CHECK(merges[0] == Merge{'b', 'c', 256});

  vocabulary = byte_vocabulary();
  const std::vector<CountedWord> longer = {word("aaaaa")};
  CHECK(learn_merges(vocabulary, longer, 300) == std::vector<Merge>{{'a', 'a', 256}});
}

TEST_CASE("the most frequent pair is merged first", "[text][bpe][train]") {
  std::vector<std::string> vocabulary = byte_vocabulary();
  const std::vector<CountedWord> words = {word("low", 5), word("lower", 2), word("newest", 6),
                                          word("widest", 3)};  // the example of Sennrich et al.
  const std::vector<Merge> merges = learn_merges(vocabulary, words, 260);
  CHECK(vocabulary[256] == "es");
  CHECK(vocabulary[257] == "est");
  CHECK(vocabulary[258] == "lo");
  CHECK(vocabulary[259] == "low");
  CHECK(merges.size() == 4);
}

TEST_CASE("ties go to the pair with the smaller ids", "[text][bpe][train]") {
  const std::vector<CountedWord> words = {word("zy", 3), word("xb", 3), word("xa", 3)};
  std::vector<CountedWord> reversed = words;
  std::reverse(reversed.begin(), reversed.end());
  std::vector<std::string> vocabulary = byte_vocabulary();
  const std::vector<Merge> merges = learn_merges(vocabulary, words, 300);
  CHECK(merges == std::vector<Merge>{{'x', 'a', 256}, {'x', 'b', 257}, {'z', 'y', 258}});
  vocabulary = byte_vocabulary();
  CHECK(learn_merges(vocabulary, reversed, 300) == merges);
}

TEST_CASE("incremental training gives what counting afresh gives", "[text][bpe][train]") {
  Random random{5};
  for (int round = 0; round < 150; ++round) {
    std::vector<CountedWord> words;
    const int letters = 1 + static_cast<int>(random.below(4));
    for (std::uint64_t n = 1 + random.below(12); n > 0; --n) {
      words.push_back(
          word(random_word(random, 40, letters), 1 + static_cast<int>(random.below(4))));
    }
    std::vector<std::string> vocabulary = byte_vocabulary();
    const int size = 256 + static_cast<int>(random.below(40));
    const std::vector<Merge> merges = learn_merges(vocabulary, words, size);
    REQUIRE(merges == learn_by_recounting(byte_vocabulary(), words, size));
    REQUIRE(vocabulary.size() == 256 + merges.size());
  }
}

TEST_CASE("a pair that spells a token that exists already is passed over", "[text][bpe][train]") {
  std::vector<std::string> vocabulary = byte_vocabulary();
  vocabulary.push_back("ab");
  const std::vector<CountedWord> words = {word("ab", 5), word("cd", 2)};
  CHECK(learn_merges(vocabulary, words, 300) == std::vector<Merge>{{'c', 'd', 257}});
}

TEST_CASE("training stops where no pair is left that occurs twice", "[text][bpe][train]") {
  const Tokenizer t = train_bpe_tokenizer("abcab", 1000);
  CHECK(vocab_size(t) == 257);
  CHECK(vocab_size(train_bpe_tokenizer("", 1000)) == 256);
  CHECK_THROWS_WITH(train_bpe_tokenizer("abc", 100), ContainsSubstring("256 bytes"));
}

TEST_CASE("training reports its progress", "[text][bpe][train]") {
  int last = 0;
  train_bpe_tokenizer("hello hello hello hello", 259, {}, [&](int done, int wanted) {
    CHECK(done == last + 1);
    CHECK(wanted == 3);
    last = done;
  });
  CHECK(last == 3);
}

TEST_CASE("merges never span the words of the pre-split", "[text][bpe][train]") {
  std::string text;
  for (int i = 0; i < 50; ++i) text += "of the 12th it's ";
  const Tokenizer t = train_bpe_tokenizer(text, 400);
  for (const Merge& m : t.merges) {
    const std::string& token = t.vocabulary[m.result];
    CHECK(next_word(token, 0) == token.size());
  }
}

TEST_CASE("a word is merged in the order of learning, from left to right", "[text][bpe][encode]") {
  // b+c was learned before a+b, so it wins although a+b comes first in the word.
  const std::vector<Merge> merges = {{'b', 'c', 256}, {'a', 'b', 257}, {'a', 'a', 258}};
  const PairTable table = make_pair_table(merges);
  const auto merged = [&](std::string_view text) {
    BpeScratch scratch;
    scratch.symbols = word(text).symbols;
    bpe_merge_word(scratch, table);
    return scratch.symbols;
  };
  CHECK(merged("abc") == Ids{'a', 256});
  CHECK(merged("ab") == Ids{257});
  CHECK(merged("aaa") == Ids{258, 'a'});
  CHECK(merged("a") == Ids{'a'});
  CHECK(merged("").empty());
}

TEST_CASE("short and long words follow the same rule", "[text][bpe][encode]") {
  Random random{9};
  for (int round = 0; round < 60; ++round) {
    const int letters = 1 + static_cast<int>(random.below(5));
    std::vector<CountedWord> words;
    for (int i = 0; i < 10; ++i) words.push_back(word(random_word(random, 60, letters)));
    std::vector<std::string> vocabulary = byte_vocabulary();
    const std::vector<Merge> merges = learn_merges(vocabulary, words, 320);
    const PairTable table = make_pair_table(merges);
    BpeScratch scratch;
    for (const std::uint64_t longest : {8, 100, 600}) {
      const Ids symbols = word(random_word(random, longest, letters)).symbols;
      scratch.symbols = symbols;
      bpe_merge_word(scratch, table);
      REQUIRE(scratch.symbols == encode_by_rank(symbols, merges));
    }
  }
}

TEST_CASE("the cache of words changes nothing", "[text][bpe][encode]") {
  Random random{13};
  std::string text;
  for (int i = 0; i < 20000; ++i)
    text.append(" ").append(random_word(random, 1 + random.below(30), 6));
  const Tokenizer t = train_bpe_tokenizer(text.substr(0, 20000), 1000);
  Ids one_by_one;  // a call has a cache of its own, so these words meet an empty one
  for_each_word(text, [&](std::string_view w) {
    const Ids ids = encode(t, w);
    one_by_one.insert(one_by_one.end(), ids.begin(), ids.end());
  });
  CHECK(encode(t, text) == one_by_one);
}

TEST_CASE("words that differ in a few bytes are told apart by the cache", "[text][bpe][encode]") {
  // More words than the cache has places, alike but for five letters at the given offset.
  const Tokenizer t = train_bpe_tokenizer("abc abc bca bca", 300);
  Random random{19};
  for (const std::size_t length : {6, 13, 16, 24, 30}) {
    for (const std::size_t offset : {std::size_t{0}, length / 2 - 2, length - 5}) {
      std::string text;
      for (int i = 0; i < 100000; ++i) {
        std::string w(length, 'a');
        for (std::size_t k = 0; k < 5; ++k)
          w[offset + k] = static_cast<char>('a' + random.below(26));
        text.append(w).push_back('\n');
      }
      INFO("length " << length << ", offset " << offset);
      const bool is_same = decode(t, encode(t, text)) == text;
      CHECK(is_same);
    }
  }
}

TEST_CASE("a megabyte of one letter is encoded and learned in little time",
          "[text][bpe][encode][train]") {
  // Generous, for sanitizers and busy machines; a quadratic loop would take many minutes.
  constexpr double kLimit = 60;
  const std::string text(1 << 20, 'a');
  Tokenizer t;
  CHECK(seconds_for([&] { t = train_bpe_tokenizer(text, 300); }) < kLimit);
  REQUIRE(vocab_size(t) == 256 + 19);  // a pair of two tokens of 2^19 letters occurs only once
  Ids ids;
  CHECK(seconds_for([&] { ids = encode(t, text + "a"); }) < kLimit);
  CHECK(ids.size() == 3);
  CHECK(decode(t, ids) == text + "a");
}

TEST_CASE("a long word of random letters is learned in little time", "[text][bpe][train]") {
  constexpr double kLimit = 60;
  Random random{17};
  std::string text(100000, 'a');
  for (char& c : text) c = "acgt"[random.below(4)];
  Tokenizer t;
  CHECK(seconds_for([&] { t = train_bpe_tokenizer(text, 1000); }) < kLimit);
  CHECK(decode(t, encode(t, text)) == text);
}

TEST_CASE("the printable stand-ins of bytes are GPT-2's and lose nothing",
          "[text][bpe][alphabet]") {
  CHECK(spell_bytes(" a\n\xFF") == "ĠaĊÿ");
  CHECK(byte_character(0) == 0x100);
  CHECK(byte_character(0xAD) == 0x143);
  std::string all;
  for (int b = 0; b < 256; ++b) all.push_back(static_cast<char>(b));
  CHECK(unspell_bytes(spell_bytes(all)) == all);
  CHECK_FALSE(unspell_bytes("a b").has_value());
  CHECK_FALSE(unspell_bytes("日").has_value());
  CHECK_FALSE(unspell_bytes("\xFF").has_value());
}
