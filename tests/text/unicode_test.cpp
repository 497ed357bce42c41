#include "tinygpt/text/unicode.h"

#include <string>

#include "tests/support/catch.h"

using namespace tinygpt;

TEST_CASE("text without control characters is shown as it is", "[unicode]") {
  for (const std::string text : {"", "plain", "two\nlines\tand a tab", "caf\xC3\xA9",
                                 "\xE6\x97\xA5\xE6\x9C\xAC \xF0\x9F\x99\x82", "\xC2\xA0"}) {
    CHECK(replace_controls(text) == text);
  }
}

TEST_CASE("every control character is replaced except line feed and tab", "[unicode]") {
  const std::string mark = "\xEF\xBF\xBD";
  for (char32_t c = 0; c < 0x110; ++c) {
    const bool is_control = (c < 0x20 && c != U'\n' && c != U'\t') || (c >= 0x7F && c < 0xA0);
    std::string text = "a", shown = "a";
    append_utf8(text, c);
    if (is_control) shown += mark;
    else append_utf8(shown, c);
    INFO(static_cast<unsigned>(c));
    CHECK(replace_controls(text + "b") == shown + "b");
  }
  CHECK(replace_controls("\x1b[2J\r\b") == mark + "[2J" + mark + mark);
}

TEST_CASE("bytes that belong to no character are replaced one by one", "[unicode]") {
  const std::string mark = "\xEF\xBF\xBD";
  CHECK(replace_controls("\xFF"
                         "a"
                         "\xC3") == mark + "a" + mark);
  // The C1 controls as single bytes, which some terminals obey.
  CHECK(replace_controls("\x9B"
                         "2J") == mark + "2J");
}
