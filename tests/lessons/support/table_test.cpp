#include "lessons/support/table.h"

#include "tests/support/catch.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;
using namespace tinygpt::lessons;

TEST_CASE("words of a table stand left, numbers right, and no line ends in spaces", "[lessons]") {
  CHECK(table_text({"script", "bytes"}, {{"Latin", "7"}, {"Greek", "1,024"}, {"none", "-"}}) ==
        "script  bytes\n"
        "Latin       7\n"
        "Greek   1,024\n"
        "none        -\n");
  CHECK(table_text({"a", "word"}, {{"-1.5", "x"}, {"22", ""}}) ==
        "   a  word\n"
        "-1.5  x\n"
        "  22\n");
}

TEST_CASE("a row of a table needs a cell for each heading", "[lessons]") {
  CHECK_THROWS_AS(table_text({"a", "b"}, {{"1"}}), Error);
  CHECK(table_text({"a", "b"}, {}) == "a  b\n");
}

TEST_CASE("width is counted in columns of the terminal, not in bytes", "[lessons]") {
  CHECK(display_width("cat") == 3);
  CHECK(display_width("naïve") == 5);
  CHECK(display_width("e\u0301") == 1);
  CHECK(display_width("日本") == 4);
  CHECK(display_width("안녕") == 4);
  CHECK(display_width("🙂") == 2);
  CHECK(padded("日本", 6) + "|" == "日本  |");
  CHECK(padded("日本", 6, true) == "  日本");
  CHECK(padded("long", 2) == "long");
}

TEST_CASE("bytes that are no UTF-8 do not lead past the end", "[lessons]") {
  CHECK(display_width("\xf0") == 1);
  CHECK(display_width("a\xe2\x82") >= 1);
  CHECK(display_width("\x80\x80") == 2);
}
