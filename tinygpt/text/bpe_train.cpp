#include "tinygpt/text/bpe_train.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <queue>
#include <unordered_map>
#include <unordered_set>

#include "tinygpt/core/error.h"
#include "tinygpt/text/pretokenize.h"

namespace tinygpt {
namespace {

constexpr int kBoundary = -1;  // between words
constexpr int kMerged = -2;    // a place whose symbol is now part of the one to its left
constexpr std::int64_t kSmallestCount = 2;

struct PairInfo {
  std::int64_t count = 0;
  // Where the left symbol stands, or stood: a place may have changed since, and may be here twice.
  std::vector<std::uint32_t> places;
};

struct Candidate {
  std::int64_t count = 0;
  std::uint64_t pair = 0;
  // For a heap whose top is the highest count, then the smallest pair.
  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count : pair > other.pair;
  }
};

// All words one after the other in one array with boundaries between, each a doubly linked list of
// the symbols that are left. A symbol made by a merge stays at the place of its left part.
struct Learner {
  std::vector<int> symbols;
  std::vector<std::uint32_t> next, previous;
  std::vector<std::uint32_t> word_of;
  std::span<const CountedWord> words;
  std::unordered_map<std::uint64_t, PairInfo> pairs;
  std::priority_queue<Candidate> heap;
  std::vector<std::uint64_t> touched;  // pairs that have grown since the heap saw them
};

std::int64_t weight(const Learner& s, std::uint32_t i) { return s.words[s.word_of[i]].count; }

// The pair of the symbol at i and the one after it, at which it is now also to be found.
PairInfo& note_pair(Learner& s, std::uint32_t i) {
  const std::uint64_t pair = pair_key(s.symbols[i], s.symbols[s.next[i]]);
  PairInfo& info = s.pairs[pair];
  if (s.touched.empty() || s.touched.back() != pair) s.touched.push_back(pair);
  info.places.push_back(i);
  return info;
}

// A run of k equal symbols holds their pair k / 2 times. Counts it once for the run that begins at
// i, and notes all its places. Returns the last place of the run.
std::uint32_t count_run(Learner& s, std::uint32_t i) {
  std::int64_t length = 1;
  std::uint32_t last = i;
  for (; s.symbols[s.next[last]] == s.symbols[i]; last = s.next[last], ++length) {
    note_pair(s, last);
  }
  if (length > 1) s.pairs[pair_key(s.symbols[i], s.symbols[i])].count += length / 2 * weight(s, i);
  return last;
}

void add_words(Learner& s, std::span<const CountedWord> words) {
  std::uint64_t size = 1;
  for (const CountedWord& w : words) size += w.symbols.size() + 1;
  check(size < 0xFFFFFFFF, "bpe: more than 4 billion symbols in the different words of the text");
  s.words = words;
  s.symbols.reserve(size);
  s.word_of.reserve(size);
  const auto add = [&](int symbol, std::size_t word) {
    s.symbols.push_back(symbol);
    s.word_of.push_back(static_cast<std::uint32_t>(word));
  };
  add(kBoundary, 0);
  for (std::size_t w = 0; w < words.size(); ++w) {
    for (const int symbol : words[w].symbols) add(symbol, w);
    add(kBoundary, w);
  }
  s.next.resize(size);
  s.previous.resize(size);
  for (std::uint32_t i = 0; i < size; ++i) {
    s.next[i] = i + 1;
    s.previous[i] = i - 1;  // nobody asks at the first place or after the last, both boundaries
  }
}

void count_all(Learner& s) {
  for (std::uint32_t i = 0; i + 1 < s.symbols.size(); ++i) {
    if (s.symbols[i] == kBoundary) continue;
    i = count_run(s, i);
    if (s.symbols[s.next[i]] != kBoundary) note_pair(s, i).count += weight(s, i);
  }
}

void push_touched(Learner& s) {
  std::sort(s.touched.begin(), s.touched.end());
  s.touched.erase(std::unique(s.touched.begin(), s.touched.end()), s.touched.end());
  for (const std::uint64_t pair : s.touched) {
    const std::int64_t count = s.pairs[pair].count;
    if (count >= kSmallestCount) s.heap.push({count, pair});
  }
  s.touched.clear();
}

// The length of the run of equal symbols from i on, to the right or to the left.
std::int64_t run_length(const Learner& s, std::uint32_t i,
                        const std::vector<std::uint32_t>& direction) {
  std::int64_t length = 1;
  for (std::uint32_t j = direction[i]; s.symbols[j] == s.symbols[i]; j = direction[j]) ++length;
  return length;
}

// The symbol at `inner` is about to be merged away from its neighbour `outer`, which is next to it
// in the given direction: their pair occurs once less. Where both are equal, a run loses its end,
// which makes its pair rarer only if the run's length was even.
void forget_neighbour(Learner& s, std::uint32_t inner, std::uint32_t outer,
                      const std::vector<std::uint32_t>& direction) {
  const int a = s.symbols[inner], b = s.symbols[outer];
  if (b == kBoundary) return;
  if (a == b && run_length(s, outer, direction) % 2 == 0) return;
  const bool is_to_the_right = &direction == &s.next;
  s.pairs[is_to_the_right ? pair_key(a, b) : pair_key(b, a)].count -= weight(s, inner);
}

// Joins the symbols at i and after it into `result`.
void merge_at(Learner& s, std::uint32_t i, int result) {
  const std::uint32_t j = s.next[i], before = s.previous[i], after = s.next[j];
  forget_neighbour(s, i, before, s.previous);
  // Inside a run of one symbol, the pair to the right is the merged pair itself, counted no more.
  const bool is_inside_run = s.symbols[i] == s.symbols[j] && s.symbols[j] == s.symbols[after];
  if (!is_inside_run) forget_neighbour(s, j, after, s.next);
  s.symbols[i] = result;
  s.symbols[j] = kMerged;
  s.next[i] = after;
  s.previous[after] = i;
  // The pair (result, result) waits until all places are merged: its runs are not complete yet.
  const int b = s.symbols[before], a = s.symbols[after];
  if (b != kBoundary && b != result) note_pair(s, before).count += weight(s, i);
  if (a != kBoundary && a != result) note_pair(s, i).count += weight(s, i);
}

// Merges a pair wherever it stands, and counts the new pairs.
void merge_everywhere(Learner& s, int left, int right, int result) {
  auto node = s.pairs.extract(pair_key(left, right));
  // Only places of a pair of equal symbols can overlap, and count_run noted those in order.
  std::vector<std::uint32_t>& places = node.mapped().places;
  std::size_t merged = 0;
  for (const std::uint32_t i : places) {
    if (s.symbols[i] != left || s.symbols[s.next[i]] != right) continue;
    merge_at(s, i, result);
    places[merged++] = i;
  }
  for (std::size_t p = 0; p < merged; ++p) {
    if (s.symbols[s.previous[places[p]]] != result) count_run(s, places[p]);
  }
  push_touched(s);
}

std::vector<CountedWord> count_words(const Tokenizer& t, std::string_view text) {
  std::unordered_map<std::string_view, std::int64_t> counts;
  for (std::size_t begin = 0; begin < text.size();) {
    const TextPiece piece = next_piece(t, text, begin);
    begin += piece.text.size();
    if (piece.id >= 0) continue;
    for_each_word(piece.text, [&](std::string_view word) { ++counts[word]; });
  }
  std::vector<CountedWord> words;
  words.reserve(counts.size());
  for (const auto& [word, count] : counts) {
    CountedWord& w = words.emplace_back();
    w.count = count;
    for (const char b : word) w.symbols.push_back(static_cast<unsigned char>(b));
  }
  return words;
}

}  // namespace

std::vector<Merge> learn_merges(std::vector<std::string>& vocabulary,
                                std::span<const CountedWord> words, int vocab_size,
                                const TokenizerProgress& progress) {
  const int first = static_cast<int>(vocabulary.size());
  std::unordered_set<std::string> known(vocabulary.begin(), vocabulary.end());
  Learner s;
  add_words(s, words);
  count_all(s);
  push_touched(s);
  std::vector<Merge> merges;
  while (static_cast<int>(vocabulary.size()) < vocab_size && !s.heap.empty()) {
    const Candidate top = s.heap.top();
    s.heap.pop();
    const std::int64_t count = s.pairs[top.pair].count;
    if (count != top.count) {  // it has become rarer since: try again in its proper place
      if (count >= kSmallestCount) s.heap.push({count, top.pair});
      continue;
    }
    const int left = static_cast<int>(top.pair >> 32), right = static_cast<int>(top.pair);
    std::string bytes = vocabulary[left] + vocabulary[right];
    if (!known.insert(bytes).second) continue;
    merges.push_back({left, right, static_cast<int>(vocabulary.size())});
    vocabulary.push_back(std::move(bytes));
    merge_everywhere(s, left, right, merges.back().result);
    if (progress) progress(static_cast<int>(merges.size()), vocab_size - first);
  }
  return merges;
}

Tokenizer train_bpe_tokenizer(std::string_view text, int vocab_size,
                              std::span<const std::string> special_tokens,
                              const TokenizerProgress& progress) {
  const Tokenizer bytes = byte_tokenizer(special_tokens);
  const int smallest = tinygpt::vocab_size(bytes);
  check(vocab_size >= smallest, [&] {
    return fmt::format(
        "tokenizer: a vocabulary of {} is too small: 256 bytes and {} special "
        "tokens need {}",
        vocab_size, special_tokens.size(), smallest);
  });
  Tokenizer t = byte_tokenizer();
  t.kind = TokenizerKind::bpe;
  const int merged_size = vocab_size - static_cast<int>(special_tokens.size());
  const std::vector<CountedWord> words = count_words(bytes, text);
  t.merges = learn_merges(t.vocabulary, words, merged_size, progress);
  add_special_tokens(t, special_tokens);
  index_tokenizer(t);
  return t;
}

}  // namespace tinygpt
