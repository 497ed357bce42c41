// GPT-2's printable stand-ins for bytes, in which tokenizer.json spells its tokens.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace tinygpt {

// JSON strings cannot hold any bytes at all, so GPT-2's files write byte b as the character
// byte_character(b): itself where it is printable in Latin-1 and not a space, else one of U+0100 to
// U+0143, in order of the bytes. A space is written U+0120, a newline U+010A.
char32_t byte_character(unsigned char b);

// The bytes as such characters, in UTF-8.
std::string spell_bytes(std::string_view bytes);

// The inverse; nothing where the text has a character that stands for no byte.
std::optional<std::string> unspell_bytes(std::string_view text);

}  // namespace tinygpt
