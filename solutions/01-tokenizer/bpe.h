// Lesson 01: byte-level byte-pair encoding, the plain way.
// Sennrich, Haddow and Birch: "Neural Machine Translation of Rare Words with Subword Units" (2016),
// algorithm 1; on bytes as in GPT-2. tinygpt/text/ has the fast one, with everything around it.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tinygpt::ref {

using Pair = std::pair<int, int>;  // two neighbouring tokens

// How often each pair of neighbours could be merged. In "aaa" the pair (a, a) counts once: going
// from left to right, an occurrence that shares a token with the one before it does not count.
std::map<Pair, std::int64_t> count_pairs(std::span<const int> tokens);

// The tokens with each occurrence of `pair`, from left to right, replaced by one token.
std::vector<int> merge_pair(std::span<const int> tokens, Pair pair, int replacement);

// Tokens 0 .. 255 are bytes; merge i makes token 256 + i of two earlier ones.
struct Bpe {
  std::vector<Pair> merges;
};

// Starts from the text's bytes and merges the most frequent pair, again and again, until there are
// `vocabulary` tokens, or no pair that occurs twice. Of equally frequent pairs the smallest is
// taken: the smaller first token, then the smaller second one. vocabulary >= 256.
Bpe bpe_train(std::string_view text, int vocabulary);

// The text's bytes, merged in the order in which the merges were learned.
std::vector<int> bpe_encode(const Bpe& bpe, std::string_view text);

// The bytes that the tokens stand for, whether they are valid UTF-8 or not: for every text,
// bpe_decode(bpe, bpe_encode(bpe, text)) is the text. Throws Error on a token that is not in
// the vocabulary.
std::string bpe_decode(const Bpe& bpe, std::span<const int> tokens);

}  // namespace tinygpt::ref
