// Byte pair encoding of one word: merge, again and again, the pair that was learned first.
// Sennrich, Haddow, Birch: "Neural Machine Translation of Rare Words with Subword Units" (2016),
// section 3.2; on bytes, Radford et al. (2019), section 2.2.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace tinygpt {

// Tokens `left` and `right` side by side become `result`.
struct Merge {
  int left = 0;
  int right = 0;
  int result = 0;
  bool operator==(const Merge&) const = default;
};

// From a pair to its merge: a hash table with linear probing, at most half full, in one array,
// because looking pairs up is most of the work of encoding.
struct PairTable {
  struct Slot {
    std::uint64_t pair = 0;
    int rank = kNoRank;  // the merge's place in the order of learning
    int result = 0;
  };
  static constexpr int kNoRank = 0x7FFFFFFF;  // an empty slot

  std::vector<Slot> slots;  // a power of two of them
  int shift = 64;           // 64 - log2(slots)
  // A bit for the hash of every pair that merges, eight times as many as slots: most pairs do not
  // merge, and this says so from a sixteenth of the memory, which stays in the cache.
  std::vector<std::uint64_t> filter;
};

// Ranks are the merges' indices. Throws Error when a pair occurs twice.
PairTable make_pair_table(std::span<const Merge> merges);

inline std::uint64_t pair_key(int left, int right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

// The slot with rank kNoRank where the pair does not merge.
inline const PairTable::Slot& find_pair(const PairTable& table, int left, int right) {
  static constexpr PairTable::Slot kNone{};
  const std::uint64_t pair = pair_key(left, right);
  // Fibonacci hashing: the golden ratio's bits spread the key over the upper bits of the product.
  const std::uint64_t hash = pair * 0x9E3779B97F4A7C15u;
  const std::uint64_t bit = hash >> (table.shift - 3);
  if ((table.filter[bit / 64] >> (bit % 64) & 1) == 0) return kNone;
  std::size_t i = hash >> table.shift;
  while (table.slots[i].pair != pair && table.slots[i].rank != PairTable::kNoRank) {
    i = (i + 1) & (table.slots.size() - 1);
  }
  return table.slots[i];
}

// Working memory of bpe_merge_word, kept between words so that none allocates.
struct BpeScratch {
  std::vector<int> symbols;
  std::vector<int> ranks;
  std::vector<std::uint32_t> next, previous;
  std::vector<std::uint64_t> heap;
};

// Merges scratch.symbols (the word's bytes as tokens) in place: of all pairs that merge, always the
// one with the lowest rank, and of those the leftmost. Short words by scanning, O(n^2) with a small
// constant; long ones with a heap, O(n log n).
void bpe_merge_word(BpeScratch& scratch, const PairTable& table);

}  // namespace tinygpt
