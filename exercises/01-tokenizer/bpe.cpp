#include "exercises/01-tokenizer/bpe.h"

#include <string>

#include "tinygpt/core/error.h"

namespace tinygpt::mine {

// How often each pair of neighbours could be merged, from left to right: (a, a) counts once in
// "aaa", twice in "aaaa".
std::map<Pair, std::int64_t> count_pairs(std::span<const int> tokens) {
  // your code: 01.count_pairs
  throw NotImplemented("01.count_pairs");
  // end of your code
}

// The tokens with each occurrence of `pair`, from left to right, replaced by one token.
std::vector<int> merge_pair(std::span<const int> tokens, Pair pair, int replacement) {
  // your code: 01.merge_pair
  throw NotImplemented("01.merge_pair");
  // end of your code
}

namespace {

// Bytes are 0 .. 255, also where char is signed.
std::vector<int> bytes_of(std::string_view text) {
  std::vector<int> bytes;
  for (const char c : text) bytes.push_back(static_cast<unsigned char>(c));
  return bytes;
}

}  // namespace

// Merges the most frequent pair of the text, again and again, until there are `vocabulary` tokens
// or no pair occurs twice. Of equally frequent pairs the smallest. bytes_of gives the bytes.
Bpe bpe_train(std::string_view text, int vocabulary) {
  // your code: 01.bpe_train
  throw NotImplemented("01.bpe_train");
  // end of your code
}

// The text's bytes, merged in the order in which the merges were learned.
std::vector<int> bpe_encode(const Bpe& bpe, std::string_view text) {
  // your code: 01.bpe_encode
  throw NotImplemented("01.bpe_encode");
  // end of your code
}

// The bytes that the tokens stand for. Throws Error on a token that is not in the vocabulary: see
// check(condition, message).
std::string bpe_decode(const Bpe& bpe, std::span<const int> tokens) {
  // your code: 01.bpe_decode
  throw NotImplemented("01.bpe_decode");
  // end of your code
}

}  // namespace tinygpt::mine
