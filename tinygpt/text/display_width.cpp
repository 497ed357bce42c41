#include "tinygpt/text/display_width.h"

#include <cstddef>

namespace tinygpt {
namespace {

// The code point that begins at text[i]; moves i behind it. Bytes that are no UTF-8 count as
// themselves.
char32_t next_code_point(const std::string& text, std::size_t& i) {
  const auto lead = static_cast<unsigned char>(text[i++]);
  const int more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : lead >= 0xc0 ? 1 : 0;
  char32_t code = more == 0 ? lead : lead & (0x3fu >> more);
  for (int k = 0; k < more && i < text.size(); ++k) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xc0) != 0x80) break;
    code = code << 6 | (next & 0x3fu);
    ++i;
  }
  return code;
}

int width_of(char32_t c) {
  const auto in = [c](char32_t low, char32_t high) { return c >= low && c <= high; };
  // Combining marks, of Latin, Devanagari, Arabic and Hebrew; the joiners; variation selectors.
  if (in(0x300, 0x36f) || in(0x591, 0x5bd) || in(0x64b, 0x65f) || in(0x93c, 0x93c) ||
      in(0x941, 0x948) || in(0x94d, 0x94d) || in(0x200b, 0x200f) || in(0xfe00, 0xfe0f)) {
    return 0;
  }
  const bool wide = in(0x1100, 0x115f) || in(0x2e80, 0xa4cf) || in(0xac00, 0xd7a3) ||
                    in(0xf900, 0xfaff) || in(0xfe30, 0xfe6f) || in(0xff00, 0xff60) ||
                    in(0x1f300, 0x1faff) || in(0x20000, 0x3fffd);
  return wide ? 2 : 1;
}

}  // namespace

int display_width(const std::string& text) {
  int width = 0;
  for (std::size_t i = 0; i < text.size();) width += width_of(next_code_point(text, i));
  return width;
}

}  // namespace tinygpt
