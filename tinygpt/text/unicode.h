// UTF-8, and the four classes of characters that the pre-split tells apart.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tinygpt {

// One step through a text that is meant to be UTF-8. A byte that begins no valid sequence is a step
// of its own, with valid = false and value = the byte.
struct CodePoint {
  char32_t value = 0;
  int bytes = 1;
  bool valid = false;
};

// The step at byte `at`, which must lie inside the text.
CodePoint decode_utf8(std::string_view text, std::size_t at);

void append_utf8(std::string& out, char32_t c);

// How many bytes at the end of text are the beginning of a valid sequence that is not complete: 0
// to 3. They may become a character when more bytes follow; everything before them cannot change.
std::size_t incomplete_utf8_suffix(std::string_view text);

// Valid UTF-8 for showing: each byte that belongs to no valid sequence becomes U+FFFD.
std::string replace_invalid_utf8(std::string_view text);

// Text from a stranger for a terminal, which would obey control characters: each of them, except
// line feed and tab, becomes U+FFFD, as does each byte that belongs to no valid sequence.
std::string replace_controls(std::string_view text);

// Text from a stranger for a one-line message: in quotes, control characters and invalid bytes
// escaped, cut where it is long.
std::string quote_for_message(std::string_view text);

// "other" is all that is neither letter (category L*), number (N*) nor white space (the White_Space
// property): punctuation, symbols, combining marks, controls, unassigned code points.
enum class CharClass : std::uint8_t { other, letter, number, space };

CharClass char_class(char32_t c);

// The class of the step at byte `at`; an invalid byte is "other".
struct ClassedStep {
  CharClass cls;
  int bytes;
};
ClassedStep classify_at(std::string_view text, std::size_t at);

// The version of the Unicode tables behind char_class, such as "15.0.0". Code points assigned later
// are "other" until the library (utf8proc) is updated.
const char* unicode_version();

}  // namespace tinygpt
