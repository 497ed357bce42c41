#include "tinygpt/text/unicode.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <vector>

namespace tinygpt {
namespace {

constexpr char32_t kCodePoints = 0x110000;
constexpr char32_t kPage = 256;

unsigned byte_at(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

// Length of the sequence that a lead byte announces (0: not a lead byte), and the range of its
// second byte, which rules out overlong forms, surrogates and values above U+10FFFF.
// The Unicode Standard, table 3-7.
struct Lead {
  std::uint8_t bytes, low, high;
};

constexpr Lead find_lead(unsigned b) {
  if (b < 0x80) return {1, 0, 0};
  if (b < 0xC2) return {0, 0, 0};
  if (b < 0xE0) return {2, 0x80, 0xBF};
  if (b == 0xE0) return {3, 0xA0, 0xBF};
  if (b == 0xED) return {3, 0x80, 0x9F};
  if (b < 0xF0) return {3, 0x80, 0xBF};
  if (b == 0xF0) return {4, 0x90, 0xBF};
  if (b < 0xF4) return {4, 0x80, 0xBF};
  if (b == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

constexpr std::array<Lead, 256> kLeads = [] {
  std::array<Lead, 256> leads{};
  for (unsigned b = 0; b < 256; ++b) leads[b] = find_lead(b);
  return leads;
}();

const Lead& lead_of(unsigned b) { return kLeads[b]; }

// How many of the bytes from `at` on agree with the sequence that `lead` announces, itself
// included.
int matching_bytes(std::string_view text, std::size_t at, const Lead& lead) {
  int n = 1;
  while (n < lead.bytes && at + n < text.size()) {
    const unsigned b = byte_at(text, at + n);
    const bool fits = n == 1 ? (b >= lead.low && b <= lead.high) : (b & 0xC0) == 0x80;
    if (!fits) break;
    ++n;
  }
  return n;
}

CharClass class_from_category(char32_t c) {
  // White_Space is category Z* and these six controls.
  if ((c >= 0x09 && c <= 0x0D) || c == 0x85) return CharClass::space;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return CharClass::letter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
      return CharClass::number;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return CharClass::space;
    default:
      return CharClass::other;
  }
}

// All code points by pages of 256. Most pages are alike (all letters, all unassigned), so equal
// ones are stored once: about 30 KB, where a flat table would take 1.1 MB and miss the cache.
using Page = std::array<CharClass, kPage>;
struct ClassTable {
  std::array<std::uint16_t, kCodePoints / kPage> page_of;
  std::vector<Page> pages;
};

ClassTable make_class_table() {
  ClassTable table;
  std::map<Page, std::uint16_t> known;
  for (char32_t p = 0; p < kCodePoints / kPage; ++p) {
    Page page;
    for (char32_t i = 0; i < kPage; ++i) page[i] = class_from_category(p * kPage + i);
    const auto [entry, is_new] = known.try_emplace(page, static_cast<std::uint16_t>(known.size()));
    if (is_new) table.pages.push_back(page);
    table.page_of[p] = entry->second;
  }
  return table;
}

const ClassTable& class_table() {
  static const ClassTable table = make_class_table();
  return table;
}

// The C0 and C1 controls and DEL: category Cc.
bool is_control(char32_t c) { return c < 0x20 || (c >= 0x7F && c < 0xA0); }

}  // namespace

CodePoint decode_utf8(std::string_view text, std::size_t at) {
  const unsigned b = byte_at(text, at);
  if (b < 0x80) return {b, 1, true};
  const Lead lead = lead_of(b);
  if (lead.bytes == 0 || matching_bytes(text, at, lead) < lead.bytes) return {b, 1, false};
  char32_t value = b & (0x7Fu >> lead.bytes);  // 5, 4 or 3 payload bits
  for (int i = 1; i < lead.bytes; ++i) value = value << 6 | (byte_at(text, at + i) & 0x3F);
  return {value, lead.bytes, true};
}

void append_utf8(std::string& out, char32_t c) {
  const auto put = [&](char32_t b) { out.push_back(static_cast<char>(b)); };
  if (c < 0x80) return put(c);
  if (c < 0x800) {
    put(0xC0 | c >> 6);
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
  }
  put(0x80 | (c & 0x3F));
}

std::size_t incomplete_utf8_suffix(std::string_view text) {
  const std::size_t longest = std::min<std::size_t>(3, text.size());
  for (std::size_t n = 1; n <= longest; ++n) {
    const std::size_t at = text.size() - n;
    const Lead lead = lead_of(byte_at(text, at));
    if (lead.bytes <= static_cast<int>(n)) continue;  // complete by now, or no lead byte
    if (matching_bytes(text, at, lead) == static_cast<int>(n)) return n;
  }
  return 0;
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint c = decode_utf8(text, i);
    append_utf8(out, c.valid ? c.value : U'\uFFFD');
    i += static_cast<std::size_t>(c.bytes);
  }
  return out;
}

std::string replace_controls(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint c = decode_utf8(text, i);
    const bool is_plain = c.value == U'\n' || c.value == U'\t' || !is_control(c.value);
    append_utf8(out, c.valid && is_plain ? c.value : U'\uFFFD');
    i += static_cast<std::size_t>(c.bytes);
  }
  return out;
}

std::string quote_for_message(std::string_view text) {
  constexpr std::size_t kShown = 60;
  std::string out = "\"";
  std::size_t i = 0;
  while (i < text.size() && i < kShown) {
    const CodePoint c = decode_utf8(text, i);
    if (c.value == U'\n') out += "\\n";
    else if (!c.valid || is_control(c.value))
      out += fmt::format("\\x{:02x}", static_cast<unsigned>(c.value));
    else append_utf8(out, c.value);
    i += static_cast<std::size_t>(c.bytes);
  }
  return out + (i < text.size() ? "...\"" : "\"");
}

CharClass char_class(char32_t c) {
  if (c >= kCodePoints) return CharClass::other;
  const ClassTable& table = class_table();
  return table.pages[table.page_of[c / kPage]][c % kPage];
}

ClassedStep classify_at(std::string_view text, std::size_t at) {
  const CodePoint c = decode_utf8(text, at);
  return {c.valid ? char_class(c.value) : CharClass::other, c.bytes};
}

const char* unicode_version() { return utf8proc_unicode_version(); }

}  // namespace tinygpt
