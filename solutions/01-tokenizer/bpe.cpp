#include "solutions/01-tokenizer/bpe.h"

#include <string>

#include "tinygpt/core/error.h"

namespace tinygpt::ref {

// How often each pair of neighbours could be merged, from left to right: (a, a) counts once in
// "aaa", twice in "aaaa".
std::map<Pair, std::int64_t> count_pairs(std::span<const int> tokens) {
  // your code: 01.count_pairs
  std::map<Pair, std::int64_t> counts;
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    ++counts[{tokens[i], tokens[i + 1]}];
    const bool three_alike =
        i + 2 < tokens.size() && tokens[i] == tokens[i + 1] && tokens[i] == tokens[i + 2];
    if (three_alike) ++i;  // the next occurrence would share the token at i + 1
  }
  return counts;
  // end of your code
}

// The tokens with each occurrence of `pair`, from left to right, replaced by one token.
std::vector<int> merge_pair(std::span<const int> tokens, Pair pair, int replacement) {
  // your code: 01.merge_pair
  std::vector<int> merged;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const bool found =
        i + 1 < tokens.size() && tokens[i] == pair.first && tokens[i + 1] == pair.second;
    merged.push_back(found ? replacement : tokens[i]);
    if (found) ++i;  // its second token is used up
  }
  return merged;
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
  Bpe bpe;
  std::vector<int> tokens = bytes_of(text);
  while (256 + static_cast<int>(bpe.merges.size()) < vocabulary) {
    Pair best;
    std::int64_t most = 1;  // a pair that occurs once saves nothing
    for (const auto& [pair, count] : count_pairs(tokens)) {
      if (count > most) best = pair, most = count;  // a map is in order: the first of equals stays
    }
    if (most == 1) break;
    const int made = 256 + static_cast<int>(bpe.merges.size());
    tokens = merge_pair(tokens, best, made);
    bpe.merges.push_back(best);
  }
  return bpe;
  // end of your code
}

// The text's bytes, merged in the order in which the merges were learned.
std::vector<int> bpe_encode(const Bpe& bpe, std::string_view text) {
  // your code: 01.bpe_encode
  std::vector<int> tokens = bytes_of(text);
  for (std::size_t i = 0; i < bpe.merges.size(); ++i) {
    tokens = merge_pair(tokens, bpe.merges[i], 256 + static_cast<int>(i));
  }
  return tokens;
  // end of your code
}

// The bytes that the tokens stand for. Throws Error on a token that is not in the vocabulary: see
// check(condition, message).
std::string bpe_decode(const Bpe& bpe, std::span<const int> tokens) {
  // your code: 01.bpe_decode
  std::vector<std::string> texts;
  for (int byte = 0; byte < 256; ++byte) texts.emplace_back(1, static_cast<char>(byte));
  for (const auto& [left, right] : bpe.merges) {
    texts.push_back(texts[static_cast<std::size_t>(left)] + texts[static_cast<std::size_t>(right)]);
  }
  std::string out;
  for (const int token : tokens) {
    check(token >= 0 && token < static_cast<int>(texts.size()),
          [&] { return "bpe_decode: there is no token " + std::to_string(token); });
    out += texts[static_cast<std::size_t>(token)];
  }
  return out;
  // end of your code
}

}  // namespace tinygpt::ref
