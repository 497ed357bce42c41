#include "tinygpt/text/pretokenize.h"

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tinygpt/core/random.h"
#include "tinygpt/text/unicode.h"

using namespace tinygpt;

namespace {

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for_each_word(text, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("the pre-split keeps one space with the word after it", "[text][pretokenize]") {
  CHECK(words_of("").empty());
  CHECK(words_of("Hello world") == Words{"Hello", " world"});
  CHECK(words_of("a  b") == Words{"a", " ", " b"});
  CHECK(words_of("a   b") == Words{"a", "  ", " b"});
  CHECK(words_of(" a") == Words{" a"});
}

TEST_CASE("the pre-split tells letters, numbers and other characters apart",
          "[text][pretokenize]") {
  CHECK(words_of("ab12,;x9") == Words{"ab", "12", ",;", "x", "9"});
  CHECK(words_of("x ?! 42") == Words{"x", " ?!", " 42"});
  CHECK(words_of("a_b") == Words{"a", "_", "b"});
}

TEST_CASE("the pre-split cuts English contractions, in lower case only", "[text][pretokenize]") {
  CHECK(words_of("it's we're I've I'm you'll he'd can't") == Words{"it", "'s", " we", "'re", " I",
                                                                   "'ve", " I", "'m", " you", "'ll",
                                                                   " he", "'d", " can", "'t"});
  CHECK(words_of("IT'S") == Words{"IT", "'", "S"});
  CHECK(words_of("'r") == Words{"'", "r"});
  CHECK(words_of("'l") == Words{"'", "l"});
  CHECK(words_of("'") == Words{"'"});
  // A space before the apostrophe takes it with it.
  CHECK(words_of("a 's") == Words{"a", " '", "s"});
  // The contraction is cut even where the word goes on; an apostrophe in a run of others is not
  // one.
  CHECK(words_of("'street") == Words{"'s", "treet"});
  CHECK(words_of("''s") == Words{"''", "s"});
}

TEST_CASE("each digit is cut out, and what lies between is split as a text of its own",
          "[text][pretokenize]") {
  const auto stretches = [](std::string_view text) {
    Words all;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = next_digit_or_rest(text, begin);
      all.emplace_back(text.substr(begin, end - begin));
      begin = end;
    }
    return all;
  };
  CHECK(stretches("").empty());
  CHECK(stretches("ab") == Words{"ab"});
  CHECK(stretches("a 12b3") == Words{"a ", "1", "2", "b", "3"});
  // Arabic-Indic three, a half, and a Roman numeral are numbers too; a byte that is no UTF-8 is
  // not.
  CHECK(stretches("\u0663\u00bd\u2167\xff") == Words{"\u0663", "\u00bd", "\u2167", "\xff"});
}

TEST_CASE("white space before a word gives up its last character", "[text][pretokenize]") {
  CHECK(words_of("a \n b") == Words{"a", " \n", " b"});
  CHECK(words_of("a\n\nb") == Words{"a", "\n", "\n", "b"});
  CHECK(words_of("a\r\nb") == Words{"a", "\r", "\n", "b"});
  CHECK(words_of("a\tb") == Words{"a", "\t", "b"});
  CHECK(words_of("a  \n") == Words{"a", "  \n"});
  CHECK(words_of("   ") == Words{"   "});
}

TEST_CASE("the pre-split knows Unicode's classes", "[text][pretokenize][unicode]") {
  CHECK(words_of("été 日本語") == Words{"été", " 日本語"});
  CHECK(words_of("٣٤ Ⅷ ½") ==
        Words{"٣٤", " Ⅷ", " ½"});  // decimal, letter-like and fraction numbers
  CHECK(words_of("e\u0301t") == Words{"e", "\u0301", "t"});  // a combining mark is no letter
  CHECK(words_of("a\u00A0b") == Words{"a", "\u00A0", "b"});  // a no-break space is white space
  CHECK(words_of("a\u2028\u3000 b") == Words{"a", "\u2028\u3000", " b"});
  CHECK(words_of("a\u200Bb") == Words{"a", "\u200B", "b"});  // a zero-width space is not
  CHECK(words_of("a\u0085b") == Words{"a", "\u0085", "b"});
  CHECK(words_of("a\u0085\u0085b") == Words{"a", "\u0085", "\u0085", "b"});
  CHECK(words_of("1٣Ⅷ½²") == Words{"1٣Ⅷ½²"});
  CHECK(words_of("1\u0301!") == Words{"1", "\u0301!"});
  CHECK(words_of("aªʰǅー漢") == Words{"aªʰǅー漢"});  // all five categories of letters
  CHECK(words_of("👩‍👩‍👧!") ==
        Words{"👩‍👩‍👧!"});  // joiners are "other", as emoji are
}

TEST_CASE("bytes that are not UTF-8 count as other characters", "[text][pretokenize]") {
  CHECK(words_of("a\xFF\xFE b") == Words{"a", "\xFF\xFE", " b"});
  CHECK(words_of("\xC3") == Words{"\xC3"});
  CHECK(words_of("\xC3 a") == Words{"\xC3", " a"});
  CHECK(words_of("x\xE6\x97") == Words{"x", "\xE6\x97"});
  CHECK(words_of(std::string_view("a\0b", 3)) == Words{"a", std::string(1, '\0'), "b"});
}

TEST_CASE("the words of any bytes are not empty and join to the same bytes",
          "[text][pretokenize]") {
  Random random{7};
  const std::string alphabet = "a1 '\n\xC3\xA9\xE2\x80\xA8s,\xF0\x9F";
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (std::uint64_t n = random.below(24); n > 0; --n) {
      text.push_back(alphabet[random.below(alphabet.size())]);
    }
    std::string joined;
    for_each_word(text, [&](std::string_view word) {
      REQUIRE(!word.empty());
      joined.append(word);
    });
    REQUIRE(joined == text);
  }
}

TEST_CASE("decode_utf8 accepts exactly what UTF-8 allows", "[text][unicode]") {
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    append_utf8(text, c);
    const CodePoint step = decode_utf8(text, 0);
    if (!step.valid || step.value != c || step.bytes != static_cast<int>(text.size()))
      FAIL(static_cast<unsigned>(c));
  }
  for (const char* bad :
       {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xE2\x82", "\xC3"}) {
    const CodePoint step = decode_utf8(bad, 0);
    CHECK_FALSE(step.valid);
    CHECK(step.bytes == 1);
  }
}

TEST_CASE("the end of a text is incomplete only while it can become a character",
          "[text][unicode]") {
  CHECK(incomplete_utf8_suffix("") == 0);
  CHECK(incomplete_utf8_suffix("a") == 0);
  CHECK(incomplete_utf8_suffix("é") == 0);
  CHECK(incomplete_utf8_suffix("a\xC3") == 1);
  CHECK(incomplete_utf8_suffix("\xE2\x82") == 2);
  CHECK(incomplete_utf8_suffix("\xF0\x9F\x91") == 3);
  CHECK(incomplete_utf8_suffix("\xF0\x9F\x91\xA9") == 0);
  CHECK(incomplete_utf8_suffix("\x80") == 0);
  CHECK(incomplete_utf8_suffix("\xFF") == 0);
  CHECK(incomplete_utf8_suffix("\xE0\x80") == 0);  // overlong: never a character
  CHECK(incomplete_utf8_suffix("\xED\xA0") == 0);  // a surrogate
  CHECK(incomplete_utf8_suffix("\xF4\x90") == 0);  // above U+10FFFF
  CHECK(incomplete_utf8_suffix("\xC3\xC3") == 1);
}

TEST_CASE("text for showing has U+FFFD for each stray byte", "[text][unicode]") {
  CHECK(replace_invalid_utf8("a\xFF\xE2\x82z") == "a\uFFFD\uFFFD\uFFFDz");
  CHECK(replace_invalid_utf8("déjà 👩") == "déjà 👩");
}

TEST_CASE("text in a message stays on one line", "[text][unicode]") {
  CHECK(quote_for_message("a\nb\x1B\xFF") == "\"a\\nb\\x1b\\xff\"");
  CHECK(quote_for_message(std::string(200, 'x')).size() < 70);
}
