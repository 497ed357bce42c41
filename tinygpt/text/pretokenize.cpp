#include "tinygpt/text/pretokenize.h"

#include <array>

#include "tinygpt/text/unicode.h"

namespace tinygpt {
namespace {

// ASCII is most of most texts: its classes fit in two cache lines, and need no decoding.
constexpr std::array<CharClass, 128> make_ascii_classes() {
  std::array<CharClass, 128> classes{};
  for (int c = 0; c < 128; ++c) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) classes[c] = CharClass::letter;
    else if (c >= '0' && c <= '9') classes[c] = CharClass::number;
    else if (c == ' ' || (c >= '\t' && c <= '\r')) classes[c] = CharClass::space;
    else classes[c] = CharClass::other;
  }
  return classes;
}
constexpr std::array<CharClass, 128> kAsciiClasses = make_ascii_classes();

inline ClassedStep step_at(std::string_view text, std::size_t at) {
  const auto b = static_cast<unsigned char>(text[at]);
  if (b < 0x80) return {kAsciiClasses[b], 1};
  return classify_at(text, at);
}

// 's 't 'm 'd 're 've 'll, in lower case only: the length, or 0.
std::size_t contraction_at(std::string_view text, std::size_t at) {
  const std::string_view rest = text.substr(at, 3);
  if (rest.size() < 2) return 0;
  const char c = rest[1];
  if (c == 's' || c == 't' || c == 'm' || c == 'd') return 2;
  return rest == "'re" || rest == "'ve" || rest == "'ll" ? 3 : 0;
}

std::size_t end_of_run(std::string_view text, std::size_t at, CharClass cls) {
  while (at < text.size()) {
    const ClassedStep step = step_at(text, at);
    if (step.cls != cls) break;
    at += static_cast<std::size_t>(step.bytes);
  }
  return at;
}

// \s+(?!\S)|\s+ : all of the run at the end of the text; else all but its last character, unless
// that is the only one.
std::size_t end_of_space(std::string_view text, std::size_t begin) {
  std::size_t at = begin, last = begin;
  while (at < text.size()) {
    const ClassedStep step = step_at(text, at);
    if (step.cls != CharClass::space) break;
    last = at;
    at += static_cast<std::size_t>(step.bytes);
  }
  return at == text.size() || last == begin ? at : last;
}

}  // namespace

std::size_t next_word(std::string_view text, std::size_t begin) {
  if (text[begin] == '\'') {
    const std::size_t length = contraction_at(text, begin);
    if (length > 0) return begin + length;
  }
  const std::size_t start = text[begin] == ' ' && begin + 1 < text.size() ? begin + 1 : begin;
  const ClassedStep first = step_at(text, start);
  if (first.cls == CharClass::space) return end_of_space(text, begin);
  return end_of_run(text, start + static_cast<std::size_t>(first.bytes), first.cls);
}

std::size_t next_digit_or_rest(std::string_view text, std::size_t begin) {
  for (std::size_t at = begin; at < text.size();) {
    const ClassedStep step = step_at(text, at);
    const std::size_t next = at + static_cast<std::size_t>(step.bytes);
    if (step.cls == CharClass::number) return at == begin ? next : at;
    at = next;
  }
  return text.size();
}

}  // namespace tinygpt
