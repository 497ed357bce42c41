// GPT-2's pre-split: the cut of a text into the words inside which byte pairs may merge.
#pragma once

#include <cstddef>
#include <string_view>

namespace tinygpt {

// The end of the word that begins at byte `begin`, which must lie inside the text. It is what this
// pattern matches there (Radford et al. 2019, section 2.2, and the code released with it):
//
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
//
// In words: an English contraction; or a run of letters, of numbers or of other characters, each
// with the one space before it; or a run of white space, without its last character where a
// non-space follows (that last one, if it is a plain space, belongs to the next word).
// Bytes that are not UTF-8 count as other characters, so that any bytes at all can be split.
std::size_t next_word(std::string_view text, std::size_t begin);

// The end of the stretch that begins at byte `begin`: one number character (\p{N}), or everything
// up to the next one. A text that is cut so first is then cut into words stretch by stretch, each
// as if it were the whole text: what SmolLM's tokenizer does, so that every digit is a word.
std::size_t next_digit_or_rest(std::string_view text, std::size_t begin);

// word(piece) for each word in turn; the pieces joined are the text.
template <class F>
void for_each_word(std::string_view text, F&& word) {
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = next_word(text, begin);
    word(text.substr(begin, end - begin));
    begin = end;
  }
}

}  // namespace tinygpt
