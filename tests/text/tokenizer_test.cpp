#include "tinygpt/text/tokenizer.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/random.h"

using namespace tinygpt;

namespace {

using Ids = std::vector<int>;

const std::vector<std::string> kSpecial = {"<|end|>", "<|end|>of", "<|pad|>"};
const std::string kText =
    "the cat sat on the mat, the other cat sat on the other mat; that's that. "
    "Été à la plage, 日本語のテキスト, 日本語. 12 12 345 <|end|> the end";

std::vector<Tokenizer> all_kinds() {
  return {byte_tokenizer(kSpecial), train_char_tokenizer(kText, kSpecial),
          train_bpe_tokenizer(kText, 300, kSpecial)};
}

std::string random_bytes(Random& random, std::uint64_t longest) {
  std::string text(random.below(longest), '\0');
  for (char& b : text) b = static_cast<char>(random.below(256));
  return text;
}

}  // namespace

TEST_CASE("every kind of tokenizer gives its text back", "[text][tokenizer]") {
  for (const Tokenizer& t : all_kinds()) {
    INFO(kind_name(t.kind));
    const Ids ids = encode(t, kText);
    CHECK(decode(t, ids) == kText);
    CHECK(encode(t, "").empty());
    CHECK(decode(t, {}).empty());
    for (const int id : ids) CHECK((id >= 0 && id < vocab_size(t)));
  }
}

TEST_CASE("byte and bpe tokenizers give any bytes back", "[text][tokenizer][bpe]") {
  Random random{11};
  const Tokenizer byte = byte_tokenizer(kSpecial);
  const Tokenizer bpe = train_bpe_tokenizer(kText, 400, kSpecial);
  for (int round = 0; round < 500; ++round) {
    const std::string text = random_bytes(random, 300);
    REQUIRE(decode(byte, encode(byte, text)) == text);
    REQUIRE(decode(bpe, encode(bpe, text)) == text);
  }
  const std::string broken = "caf\xC3 \xE6\x97 \xFF\xFE\xED\xA0\x80 end";
  CHECK(decode(bpe, encode(bpe, broken)) == broken);
}

TEST_CASE("a byte tokenizer's ids are the bytes", "[text][tokenizer]") {
  const Tokenizer t = byte_tokenizer();
  CHECK(vocab_size(t) == 256);
  CHECK(encode(t, "A\xFFz") == Ids{65, 255, 122});
}

TEST_CASE("a character tokenizer's ids are the characters in order", "[text][tokenizer]") {
  const Tokenizer t = train_char_tokenizer("hé日lo👩\n");
  CHECK(t.vocabulary == std::vector<std::string>{"\n", "h", "l", "o", "é", "日", "👩"});
  CHECK(encode(t, "日l👩") == Ids{5, 2, 6});
  CHECK(decode(t, Ids{1, 4}) == "hé");
}

TEST_CASE("a character that was not in the text is refused by name and offset",
          "[text][tokenizer]") {
  const Tokenizer t = train_char_tokenizer("abc");
  CHECK_THROWS_WITH(encode(t, "abéc"), ContainsSubstring("character \"é\" (U+00E9) at byte 2"));
  CHECK_THROWS_WITH(encode(t, "ab\xFF"), ContainsSubstring("not valid UTF-8 at byte 2"));
  CHECK_THROWS_WITH(train_char_tokenizer("ab\xFF"), ContainsSubstring("at byte 2"));
  CHECK_THROWS_AS(train_char_tokenizer(""), Error);
}

TEST_CASE("special tokens are recognised first, the longest at each place", "[text][tokenizer]") {
  for (const Tokenizer& t : all_kinds()) {
    INFO(kind_name(t.kind));
    const int end = find_special(t, "<|end|>")->id, end_of = find_special(t, "<|end|>of")->id;
    const int pad = find_special(t, "<|pad|>")->id;
    CHECK(encode(t, "<|end|><|pad|>") == Ids{end, pad});
    CHECK(encode(t, "<|end|>of") == Ids{end_of});
    const Ids ids = encode(t, "the<|end|>end");
    CHECK(std::count(ids.begin(), ids.end(), end) == 1);
    CHECK(decode(t, ids) == "the<|end|>end");
    CHECK(decode(t, ids, {.skip_control = true}) == "theend");
    CHECK(find_special(t, "<|nothing|>") == nullptr);
  }
}

TEST_CASE("special tokens can be taken as ordinary text", "[text][tokenizer]") {
  for (const Tokenizer& t : {byte_tokenizer(kSpecial), train_bpe_tokenizer(kText, 300, kSpecial)}) {
    const Ids ids = encode(t, "a<|end|>b", {.allow_special = false});
    for (const int id : ids) CHECK(id < vocab_size(t) - static_cast<int>(kSpecial.size()));
    CHECK(decode(t, ids) == "a<|end|>b");
  }
}

TEST_CASE("a part of a special token is ordinary text", "[text][tokenizer]") {
  const Tokenizer t = byte_tokenizer(kSpecial);
  CHECK(encode(t, "<<|end|") == Ids{'<', '<', '|', 'e', 'n', 'd', '|'});
  CHECK(encode(t, "<<|end|>") == Ids{'<', 256});
}

TEST_CASE("special tokens of a text are not learned from", "[text][tokenizer]") {
  const std::vector<std::string> special = {"<|end|>"};
  const Tokenizer chars = train_char_tokenizer("ab<|end|>ab", special);
  CHECK(chars.vocabulary == std::vector<std::string>{"a", "b", "<|end|>"});
  const Tokenizer bpe = train_bpe_tokenizer("<|end|><|end|><|end|>xy xy", 1000, special);
  for (const Merge& m : bpe.merges) {
    CHECK(bpe.vocabulary[m.result].find('|') == std::string::npos);
  }
}

TEST_CASE("an id outside the vocabulary is refused", "[text][tokenizer]") {
  const Tokenizer t = byte_tokenizer();
  CHECK_THROWS_WITH(decode(t, Ids{0, 256}), ContainsSubstring("256 is outside the vocabulary"));
  CHECK_THROWS_AS(decode(t, Ids{-1}), Error);
  CHECK_THROWS_AS(token_bytes(t, 1 << 30), Error);
}

TEST_CASE("a tokenizer whose parts contradict each other is refused", "[text][tokenizer]") {
  CHECK_THROWS_AS(byte_tokenizer(std::vector<std::string>{"x|", "x|"}), Error);
  CHECK_THROWS_AS(byte_tokenizer(std::vector<std::string>{""}), Error);
  CHECK_THROWS_AS(byte_tokenizer(std::vector<std::string>{"a"}), Error);  // a byte already
  CHECK_THROWS_AS(byte_tokenizer(std::vector<std::string>{"\xFF\xFF"}), Error);
  Tokenizer t = train_bpe_tokenizer("ababab", 257);
  REQUIRE(t.merges.size() == 1);
  SECTION("a merge of tokens that do not exist") { t.merges[0].left = 9999; }
  SECTION("a merge that gives another token") { t.merges[0].right = 'c'; }
  SECTION("the same merge twice") { t.merges.push_back(t.merges[0]); }
  SECTION("merges in a byte tokenizer") { t.kind = TokenizerKind::byte; }
  SECTION("two equal tokens") { t.vocabulary[0] = "b"; }
  SECTION("an empty token") { t.vocabulary[0] = ""; }
  SECTION("a special token at another's place") { t.special_tokens.push_back({"x|", 3}); }
  CHECK_THROWS_AS(index_tokenizer(t), Error);
}

TEST_CASE("a byte without a token is refused by offset", "[text][tokenizer][bpe]") {
  Tokenizer t;
  t.kind = TokenizerKind::bpe;
  t.vocabulary = {"a", "b", "ab", " "};
  t.merges = {{0, 1, 2}};
  index_tokenizer(t);
  CHECK(encode(t, "ab ba") == Ids{2, 3, 1, 0});
  CHECK_THROWS_WITH(encode(t, "ab abc"), ContainsSubstring("byte 0x63 at byte 5"));
}

TEST_CASE("a prefix space is put before each piece that has none", "[text][tokenizer][bpe]") {
  Tokenizer t = byte_tokenizer(std::vector<std::string>{"<|end|>"});
  t.kind = TokenizerKind::bpe;
  t.add_prefix_space = true;
  index_tokenizer(t);
  CHECK(encode(t, "a<|end|> b") == Ids{' ', 'a', 256, ' ', 'b'});
  CHECK(encode(t, "\na") == Ids{' ', '\n', 'a'});
  CHECK(encode(t, "").empty());
}

TEST_CASE("what is remembered of words changes no token", "[text][tokenizer][bpe]") {
  // Words of every length around the limits of what is remembered, again and again, with others of
  // the same beginning, middle and end between them.
  Random random{12};
  std::vector<std::string> words;
  for (const int length : {1, 3, 4, 7, 8, 15, 16, 17, 23, 24, 25, 26, 40, 41, 100, 255, 256, 257}) {
    std::string word(static_cast<std::size_t>(length), 'a');
    for (char& c : word) c = static_cast<char>('a' + random.below(3));
    words.push_back(word);
    if (length > 40) word[26] = word[26] == 'a' ? 'b' : 'a';
    words.push_back(word);
  }
  std::string text;
  for (int i = 0; i < 3000; ++i) text += words[random.below(words.size())] + " ";
  Tokenizer t = train_bpe_tokenizer(text.substr(0, 20000), 500);
  for (const bool prefix : {false, true}) {
    t.add_prefix_space = prefix;
    const Ids ids = encode(t, text);
    Ids one_by_one;
    for (std::size_t begin = 0; begin < text.size();) {
      std::size_t end = text.find(' ', begin + 1);
      if (end == std::string::npos) end = text.size();
      // A word alone: nothing is remembered of another. The space that is put before it is there.
      const Ids more = encode(t, text.substr(begin, end - begin));
      one_by_one.insert(one_by_one.end(), more.begin(), more.end());
      begin = end;
    }
    CHECK(ids == one_by_one);
  }
}

TEST_CASE("threads share a text out without changing a token", "[text][tokenizer][threads]") {
  Random random{13};
  const std::string vocabulary[] = {"the",     "cat's",     " sat",   "\n",   "\n\n",
                                    ".\n",     " \n",       "日本語", "!",    "42",
                                    "<|end|>", "<|end|>of", "\r\n",   "we'll"};
  std::string text;
  while (text.size() < std::size_t{3} << 20) text += vocabulary[random.below(14)];
  for (Tokenizer t : {byte_tokenizer(kSpecial), train_char_tokenizer(text, kSpecial),
                      train_bpe_tokenizer(text, 400, kSpecial)}) {
    INFO(kind_name(t.kind));
    const Ids expected = encode(t, text);
    CHECK(encode(t, text, {.threads = 2}) == expected);
    CHECK(encode(t, text, {.threads = 7}) == expected);
    add_special_tokens(t, std::vector<std::string>{"t\nt"});  // may not be cut in two
    index_tokenizer(t);
    CHECK(encode(t, text, {.threads = 5}) == encode(t, text));
  }
  const Tokenizer few = train_char_tokenizer("ab.\n");
  std::string letters;
  while (letters.size() < std::size_t{1} << 20) letters += "ab.\n";
  letters[700'001] = letters[300'001] = '?';
  CHECK_THROWS_WITH(encode(few, letters, {.threads = 4}), ContainsSubstring("byte 300001 "));
}

TEST_CASE("texts one by one and together give the same tokens", "[text][tokenizer][threads]") {
  Random random{14};
  std::vector<std::string> texts = {"", "a"};
  for (int i = 0; i < 200; ++i) texts.push_back(kText.substr(0, random.below(70)));  // ASCII
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  for (const Tokenizer& t : all_kinds()) {
    for (const int threads : {1, 3, 500}) {
      const std::vector<Ids> all = encode_all(t, views, {.threads = threads});
      REQUIRE(all.size() == texts.size());
      for (std::size_t i = 0; i < texts.size(); ++i) CHECK(all[i] == encode(t, texts[i]));
    }
  }
  CHECK(encode_all(all_kinds()[2], {}).empty());
}

TEST_CASE("a stream holds back a character until it is complete", "[text][tokenizer][stream]") {
  const Tokenizer t = byte_tokenizer();
  StreamDecoder stream;
  const Ids ids = encode(t, "é👩a");
  const std::vector<std::string> expected = {"", "é", "", "", "", "👩", "a"};
  for (std::size_t i = 0; i < ids.size(); ++i) {
    CHECK(stream_token(stream, t, ids[i]) == expected[i]);
  }
  CHECK(stream_end(stream).empty());
}

TEST_CASE("a stream does not wait for what can no longer become a character",
          "[text][tokenizer][stream]") {
  const Tokenizer t = byte_tokenizer();
  StreamDecoder stream;
  CHECK(stream_token(stream, t, 0xE2) == "");
  CHECK(stream_token(stream, t, 'a') ==
        "\xE2"
        "a");
  CHECK(stream_token(stream, t, 0xFF) == "\xFF");
  CHECK(stream_token(stream, t, 0xF0) == "");
  CHECK(stream_end(stream) == "\xF0");
  CHECK(stream_end(stream) == "");
}

TEST_CASE("the parts of a stream join to what decode gives", "[text][tokenizer][stream]") {
  Random random{3};
  const Tokenizer t = train_bpe_tokenizer(kText, 400);
  for (int round = 0; round < 200; ++round) {
    const Ids ids = encode(t, random_bytes(random, 40) + kText.substr(random.below(100)));
    StreamDecoder stream;
    std::string joined;
    for (const int id : ids) joined += stream_token(stream, t, id);
    joined += stream_end(stream);
    REQUIRE(joined == decode(t, ids));
  }
}
