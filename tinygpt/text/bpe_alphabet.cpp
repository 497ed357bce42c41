#include "tinygpt/text/bpe_alphabet.h"

#include "tinygpt/text/unicode.h"

namespace tinygpt {
namespace {

constexpr char32_t kFirstStandIn = 0x100;
constexpr int kStandIns = 68;  // bytes that are not printable

// 0xAD is the soft hyphen, which is invisible.
constexpr bool is_printable(int b) {
  return (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
}

constexpr std::array<char32_t, 256> make_characters() {
  std::array<char32_t, 256> characters{};
  char32_t next = kFirstStandIn;
  for (int b = 0; b < 256; ++b) characters[b] = is_printable(b) ? static_cast<char32_t>(b) : next++;
  return characters;
}
constexpr std::array<char32_t, 256> kCharacters = make_characters();

// The byte for each of the characters U+0000 to U+0143, or -1.
constexpr std::array<int, kFirstStandIn + kStandIns> make_bytes() {
  std::array<int, kFirstStandIn + kStandIns> bytes{};
  for (int& b : bytes) b = -1;
  for (int b = 0; b < 256; ++b) bytes[kCharacters[b]] = b;
  return bytes;
}
constexpr std::array<int, kFirstStandIn + kStandIns> kBytes = make_bytes();

}  // namespace

char32_t byte_character(unsigned char b) { return kCharacters[b]; }

std::string spell_bytes(std::string_view bytes) {
  std::string out;
  for (const char b : bytes) append_utf8(out, kCharacters[static_cast<unsigned char>(b)]);
  return out;
}

std::optional<std::string> unspell_bytes(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint c = decode_utf8(text, i);
    if (!c.valid || c.value >= kBytes.size() || kBytes[c.value] < 0) return std::nullopt;
    out.push_back(static_cast<char>(kBytes[c.value]));
    i += static_cast<std::size_t>(c.bytes);
  }
  return out;
}

}  // namespace tinygpt
