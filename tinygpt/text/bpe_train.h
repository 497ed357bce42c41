// Learning the merges of a byte pair encoding.
//
// Repeat: find the pair of neighbouring tokens that occurs most often, and join it everywhere into
// a new token. Counting afresh every time would cost text x merges. Instead the counts are kept and
// only what a merge changes is updated, so that the whole cost is about (symbols + changes) x log.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tinygpt/text/bpe.h"
#include "tinygpt/text/tokenizer.h"

namespace tinygpt {

// A word of the text as tokens, and how often it occurs. Pairs never span words.
struct CountedWord {
  std::vector<int> symbols;
  std::int64_t count = 0;
};

// Learns merges until the vocabulary has vocab_size tokens or no pair occurs twice; appends the new
// tokens to `vocabulary`, which holds the bytes of every token that the words use.
//
// The rules, which make the result depend on nothing but the words and their counts:
// - pairs are counted as often as they can be merged: "aaa" holds the pair (a, a) once, "aaaa"
// twice;
// - a word is merged from left to right;
// - ties go to the pair with the smaller left id, then to the smaller right id;
// - a pair that spells a token that exists already is passed over, since files name tokens by their
//   bytes.
std::vector<Merge> learn_merges(std::vector<std::string>& vocabulary,
                                std::span<const CountedWord> words, int vocab_size,
                                const TokenizerProgress& progress = {});

}  // namespace tinygpt
