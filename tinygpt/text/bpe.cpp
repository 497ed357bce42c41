#include "tinygpt/text/bpe.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <functional>

#include "tinygpt/core/error.h"

namespace tinygpt {
namespace {

constexpr int kNoRank = PairTable::kNoRank;
// Where the heap begins to win over scanning, measured on words of random letters.
constexpr std::size_t kShortWord = 96;
constexpr std::uint32_t kNone = 0xFFFFFFFF;

void merge_short_word(BpeScratch& s, const PairTable& table) {
  std::vector<int>& symbols = s.symbols;
  std::vector<int>& ranks = s.ranks;  // ranks[i]: of the pair (i, i + 1)
  std::size_t n = symbols.size();
  const auto rank_at = [&](std::size_t i) {
    return find_pair(table, symbols[i], symbols[i + 1]).rank;
  };
  ranks.resize(n);
  for (std::size_t i = 0; i + 1 < n; ++i) ranks[i] = rank_at(i);
  while (n > 1) {
    const auto lowest = std::min_element(ranks.begin(), ranks.begin() + (n - 1));
    if (*lowest == kNoRank) break;
    const auto i = static_cast<std::size_t>(lowest - ranks.begin());
    symbols[i] = find_pair(table, symbols[i], symbols[i + 1]).result;
    std::copy(symbols.begin() + i + 2, symbols.begin() + n, symbols.begin() + i + 1);
    std::copy(ranks.begin() + i + 1, ranks.begin() + (n - 1), ranks.begin() + i);
    --n;
    if (i + 1 < n) ranks[i] = rank_at(i);
    if (i > 0) ranks[i - 1] = rank_at(i - 1);
  }
  symbols.resize(n);
}

// The word is a linked list over its array. The heap holds (rank, position of the left symbol); an
// entry whose pair has changed since it was pushed has a rank that ranks[] no longer shows, and is
// dropped when it surfaces.
void merge_long_word(BpeScratch& s, const PairTable& table) {
  const std::size_t n = s.symbols.size();
  check(n < kNone, [&] { return fmt::format("bpe: a word of {} bytes is too long", n); });
  s.next.resize(n);
  s.previous.resize(n);
  s.ranks.assign(n, kNoRank);
  s.heap.clear();
  const auto rank_pair_at = [&](std::uint32_t i) {
    const std::uint32_t j = s.next[i];
    s.ranks[i] = j == kNone ? kNoRank : find_pair(table, s.symbols[i], s.symbols[j]).rank;
    if (s.ranks[i] != kNoRank) s.heap.push_back(pair_key(s.ranks[i], static_cast<int>(i)));
    return s.ranks[i] != kNoRank;
  };
  for (std::uint32_t i = 0; i < n; ++i) {
    s.next[i] = i + 1 < n ? i + 1 : kNone;
    s.previous[i] = i > 0 ? i - 1 : kNone;
  }
  for (std::uint32_t i = 0; i < n; ++i) rank_pair_at(i);
  const auto lowest_first = std::greater<std::uint64_t>();
  std::make_heap(s.heap.begin(), s.heap.end(), lowest_first);
  const auto push_pair_at = [&](std::uint32_t i) {
    if (rank_pair_at(i)) std::push_heap(s.heap.begin(), s.heap.end(), lowest_first);
  };

  while (!s.heap.empty()) {
    std::pop_heap(s.heap.begin(), s.heap.end(), lowest_first);
    const auto rank = static_cast<int>(s.heap.back() >> 32);
    const auto i = static_cast<std::uint32_t>(s.heap.back());
    s.heap.pop_back();
    if (s.ranks[i] != rank) continue;
    const std::uint32_t j = s.next[i];
    s.symbols[i] = find_pair(table, s.symbols[i], s.symbols[j]).result;
    s.ranks[j] = kNoRank;  // symbol j is gone
    s.next[i] = s.next[j];
    if (s.next[i] != kNone) s.previous[s.next[i]] = i;
    push_pair_at(i);
    if (s.previous[i] != kNone) push_pair_at(s.previous[i]);
  }

  std::size_t kept = 0;
  for (std::uint32_t i = 0; i != kNone; i = s.next[i]) s.symbols[kept++] = s.symbols[i];
  s.symbols.resize(kept);
}

}  // namespace

PairTable make_pair_table(std::span<const Merge> merges) {
  PairTable table;
  const std::size_t size = std::bit_ceil(std::max<std::size_t>(2, 2 * merges.size() + 1));
  table.slots.resize(size);
  table.shift = 64 - std::countr_zero(size);
  table.filter.resize(std::max<std::size_t>(1, size * 8 / 64));
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const Merge& m = merges[rank];
    const std::uint64_t bit = pair_key(m.left, m.right) * 0x9E3779B97F4A7C15u >> (table.shift - 3);
    table.filter[bit / 64] |= std::uint64_t{1} << bit % 64;
    auto& slot = const_cast<PairTable::Slot&>(find_pair(table, m.left, m.right));
    check(slot.rank == kNoRank, [&] {
      return fmt::format("bpe: merges {} and {} are of the same pair ({}, {})", slot.rank, rank,
                         m.left, m.right);
    });
    slot = {pair_key(m.left, m.right), static_cast<int>(rank), m.result};
  }
  return table;
}

void bpe_merge_word(BpeScratch& scratch, const PairTable& table) {
  if (scratch.symbols.size() < 2) return;
  if (scratch.symbols.size() <= kShortWord) merge_short_word(scratch, table);
  else merge_long_word(scratch, table);
}

}  // namespace tinygpt
