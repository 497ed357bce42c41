#include "tinygpt/io/tokenizer_json.h"

#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"

using namespace tinygpt;
using nlohmann::json;

namespace {

// A small valid file, from which each hostile one differs in one place.
json small_file() {
  return json::parse(R"({
    "version": "1.0", "truncation": null, "padding": null,
    "added_tokens": [{"id": 4, "content": "<|end|>", "single_word": false, "lstrip": false,
                      "rstrip": false, "normalized": false, "special": true}],
    "normalizer": null,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true},
    "post_processor": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false},
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "dropout": null, "unk_token": null, "fuse_unk": false,
              "continuing_subword_prefix": "", "end_of_word_suffix": "", "byte_fallback": false,
              "vocab": {"a": 0, "b": 1, "Ġ": 2, "ab": 3, "<|end|>": 4},
              "merges": ["a b"]}})");
}

// The message with which the file is refused.
std::string refusal(const std::string& text) {
  try {
    parse_tokenizer_json(text, "t.json");
  } catch (const Error& e) {
    return e.what();
  }
  return "it was accepted";
}

// The file with one place changed: refuse("/model/vocab/a", 7).
std::string refusal_with(const std::string& place, const json& value) {
  json file = small_file();
  file[json::json_pointer(place)] = value;
  return refusal(file.dump());
}

std::string refusal_without(const std::string& object, const std::string& name) {
  json file = small_file();
  file[json::json_pointer(object)].erase(name);
  return refusal(file.dump());
}

bool is_one_line_that_names_the_file(const std::string& message) {
  return message.rfind("t.json: ", 0) == 0 && message.find('\n') == std::string::npos &&
         message.size() < 300;
}

struct TemporaryFolder {
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "tokenizer-XXXXXX").string();
    path = ::mkdtemp(name.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

std::vector<Tokenizer> all_kinds() {
  const std::vector<std::string> special = {"<|end|>", "<|é pad|>"};
  const std::string text = "the cat \"sat\" on the\n\tmat\\ été 日本 \x01\x7F the cat";
  return {byte_tokenizer(special), train_char_tokenizer(text, special),
          train_bpe_tokenizer(text, 300, special)};
}

bool are_equal(const Tokenizer& a, const Tokenizer& b) {
  return a.kind == b.kind && a.vocabulary == b.vocabulary && a.merges == b.merges &&
         a.special_tokens == b.special_tokens && a.add_prefix_space == b.add_prefix_space;
}

}  // namespace

TEST_CASE("a tokenizer comes back from its file as it was", "[io][tokenizer_json]") {
  const TemporaryFolder folder;
  for (Tokenizer t : all_kinds()) {
    INFO(kind_name(t.kind));
    t.special_tokens[1].is_control = false;
    save_tokenizer(folder.path / "tokenizer.json", t);
    const Tokenizer back = load_tokenizer(folder.path / "tokenizer.json");
    CHECK(are_equal(back, t));
    CHECK(encode(back, "the cat<|end|> sat") == encode(t, "the cat<|end|> sat"));
  }
}

TEST_CASE("the options of a byte-level file survive", "[io][tokenizer_json]") {
  Tokenizer t = train_bpe_tokenizer("hello hello", 258);
  t.add_prefix_space = true;
  t.pre_split = false;
  const Tokenizer back = parse_tokenizer_json(tokenizer_to_json(t), "t.json");
  CHECK(back.add_prefix_space);
  CHECK_FALSE(back.pre_split);
}

TEST_CASE("the file may be as GPT-2's was published", "[io][tokenizer_json]") {
  json file = small_file();
  file["model"].erase("type");
  file["model"]["unk_token"] = "";
  file["added_tokens"][0]["normalized"] = true;
  const Tokenizer t = parse_tokenizer_json(file.dump(), "t.json");
  CHECK(t.kind == TokenizerKind::bpe);
  CHECK(t.pre_split);
  CHECK(encode(t, "ab ba<|end|>") == std::vector<int>{3, 2, 1, 0, 4});
}

TEST_CASE("merges may be arrays, and added tokens need not be in the vocabulary",
          "[io][tokenizer_json]") {
  json file = small_file();
  file["model"]["merges"] = json::parse(R"([["a", "b"]])");
  file["model"]["vocab"].erase("<|end|>");
  const Tokenizer t = parse_tokenizer_json(file.dump(), "t.json");
  CHECK(encode(t, "ab<|end|>") == std::vector<int>{3, 4});
}

TEST_CASE("files with other parts than ours are refused by name", "[io][tokenizer_json][hostile]") {
  const auto type = [](const char* name) { return json{{"type", name}}; };
  CHECK(refusal_with("/model/type", "WordPiece") ==
        "t.json: model.type: \"WordPiece\" is not supported, only \"BPE\"");
  CHECK(refusal_with("/normalizer", type("NFC")) ==
        "t.json: normalizer: type \"NFC\" is not supported");
  CHECK(
      refusal_with("/pre_tokenizer", type("Metaspace")) ==
      "t.json: pre_tokenizer: splits text by \"Metaspace\"; GPT-2's ByteLevel is supported, alone "
      "or after Digits");
  CHECK(refusal_with("/post_processor", type("BertProcessing")) ==
        "t.json: post_processor: type \"BertProcessing\" is not supported");
  CHECK(refusal_with("/decoder", type("WordPiece")) ==
        "t.json: decoder: type \"WordPiece\" is not supported");
  CHECK(refusal_with("/model/byte_fallback", true) ==
        "t.json: model.byte_fallback: is not supported, only false");
  CHECK(refusal_with("/model/ignore_merges", true) ==
        "t.json: model.ignore_merges: is not supported, only false");
  CHECK(refusal_with("/model/dropout", 0.1) ==
        "t.json: model.dropout: is not supported, only null");
  CHECK(refusal_with("/model/end_of_word_suffix", "</w>") ==
        "t.json: model.end_of_word_suffix: is not supported, only \"\" or null");
  CHECK(refusal_with("/model/unk_token", "a") ==
        "t.json: model.unk_token: is not supported where a byte or character may be unknown");
  CHECK(refusal_with("/added_tokens/0/lstrip", true) ==
        "t.json: added_tokens[0].lstrip: is not supported, only false");
}

TEST_CASE("files that contradict themselves are refused by field",
          "[io][tokenizer_json][hostile]") {
  CHECK_THAT(refusal_with("/model/vocab/a", 1), ContainsSubstring("id 1 contradicts"));
  CHECK_THAT(refusal_with("/model/vocab/a", 4), ContainsSubstring("id 4 contradicts"));
  CHECK_THAT(refusal_with("/model/vocab/a", 5),
             ContainsSubstring("model.vocab[\"a\"]: must be an id"));
  CHECK_THAT(refusal_with("/model/vocab/a", -1), ContainsSubstring("must be an id from 0 to 4"));
  CHECK_THAT(refusal_with("/model/vocab/a", 18446744073709551615u),
             ContainsSubstring("must be an id"));
  CHECK_THAT(refusal_with("/model/vocab/a", 0.5), ContainsSubstring("must be an id"));
  CHECK_THAT(refusal_with("/model/vocab/a", "0"), ContainsSubstring("must be an id"));
  CHECK_THAT(refusal_with("/model/vocab/<|end|>", 3), ContainsSubstring("id 3 contradicts"));
  CHECK_THAT(refusal_without("/model/vocab", "b"), ContainsSubstring("must be an id from 0 to 3"));
  CHECK_THAT(refusal(R"({"pre_tokenizer":null,"model":{"vocab":{"a":0,"a":1,"b":1}}})"),
             ContainsSubstring("contradicts"));
  CHECK_THAT(refusal(R"({"pre_tokenizer":null,"added_tokens":[{"id":1,"content":"x"},
                         {"id":1,"content":"x"}],"model":{"vocab":{"a":0}}})"),
             ContainsSubstring("id 1 is taken"));
  CHECK_THAT(refusal(R"({"pre_tokenizer":null,"added_tokens":[{"id":0,"content":"x"}],
                         "model":{"vocab":{"x":0,"a":2,"b":2}}})"),
             ContainsSubstring("id 2 contradicts"));
  CHECK_THAT(refusal_without("/pre_tokenizer", "add_prefix_space"),
             ContainsSubstring("pre_tokenizer.add_prefix_space: must be"));
  CHECK_THAT(refusal_with("/model/vocab/c d", 5), ContainsSubstring("stands for no byte"));
  CHECK_THAT(refusal_with("/model/vocab/", 5), ContainsSubstring("the token is empty"));
  CHECK_THAT(refusal_with("/model/merges/0", "a c"),
             ContainsSubstring("model.merges[0]: names \"c\", which is not in model.vocab"));
  CHECK_THAT(refusal_with("/model/merges/0", "b a"), ContainsSubstring("names \"ba\""));
  CHECK_THAT(refusal_with("/model/merges/0", "ab"), ContainsSubstring("must be two tokens"));
  CHECK_THAT(refusal_with("/model/merges/0", "a b c"), ContainsSubstring("must be two tokens"));
  CHECK_THAT(refusal_with("/model/merges/1", "a b"),
             ContainsSubstring("model.merges[1]: is the same"));
  CHECK_THAT(refusal_with("/added_tokens/1", small_file()["added_tokens"][0]),
             ContainsSubstring("added_tokens[1]: id 4 is taken"));
  CHECK_THAT(refusal_with("/added_tokens/0/id", 2), ContainsSubstring("id"));
  CHECK_THAT(refusal_with("/added_tokens/0/id", 1e300), ContainsSubstring("added_tokens[0].id"));
  CHECK_THAT(refusal_with("/added_tokens/0/content", ""), ContainsSubstring("t.json: "));
}

TEST_CASE("a wrong type anywhere is refused by field", "[io][tokenizer_json][hostile]") {
  const json file = small_file();
  const json values = json::parse(R"([7, -1, 0.5, "x", true, [], [1], [[["a"]]], {}, {"a": 0}])");
  for (const char* place : {"/model",
                            "/model/type",
                            "/model/vocab",
                            "/model/merges",
                            "/model/vocab/a",
                            "/model/merges/0",
                            "/model/dropout",
                            "/model/byte_fallback",
                            "/model/end_of_word_suffix",
                            "/normalizer",
                            "/pre_tokenizer",
                            "/pre_tokenizer/type",
                            "/pre_tokenizer/add_prefix_space",
                            "/post_processor",
                            "/decoder",
                            "/added_tokens",
                            "/added_tokens/0",
                            "/added_tokens/0/id",
                            "/added_tokens/0/content",
                            "/added_tokens/0/special"}) {
    for (const json& value : values) {
      const std::string message = refusal_with(place, value);
      INFO(place << " = " << value.dump() << ": " << message);
      // A value of the right type may be accepted or not; whatever is refused is refused well.
      const bool is_same_type = file[json::json_pointer(place)].type() == value.type();
      CHECK((is_one_line_that_names_the_file(message) ||
             (message == "it was accepted" && (is_same_type || value.empty() || value == true ||
                                               value == "x" || value.is_array()))));
    }
  }
  for (const char* text : {"", "7", "null", "[]", "\"x\"", "{}", R"({"model":{}})",
                           R"({"model":{"vocab":{}}})", R"({"model":null})"}) {
    INFO(text);
    CHECK(is_one_line_that_names_the_file(refusal(text)));
  }
}

TEST_CASE("text that is no JSON is refused with the byte where it ends to be",
          "[io][tokenizer_json][hostile]") {
  CHECK(refusal("{\"a\": }") == "t.json: not valid JSON at byte 7");
  CHECK_THAT(refusal("{\"a\xFF\": 1}"), ContainsSubstring("not valid JSON at byte 4"));
  CHECK_THAT(refusal("{\"a\": 1e999}"), ContainsSubstring("not valid JSON"));
  CHECK_THAT(refusal("{\"a\": \"\\ud800\"}"), ContainsSubstring("not valid JSON"));
  CHECK_THAT(refusal(std::string(100, '\0')), ContainsSubstring("not valid JSON"));
  const std::string whole = small_file().dump();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    REQUIRE(is_one_line_that_names_the_file(refusal(whole.substr(0, size))));
  }
}

TEST_CASE("a hundred thousand brackets are refused without harm", "[io][tokenizer_json][hostile]") {
  CHECK(refusal(std::string(100000, '[')) == "t.json: nested more than 64 deep at byte 64");
  std::string objects;
  for (int i = 0; i < 100000; ++i) objects += "{\"a\":";
  CHECK_THAT(refusal(objects), ContainsSubstring("nested more than 64 deep"));
  // Brackets in a string are no nesting.
  json file = small_file();
  file["version"] = std::string(1000, '[') + "\\\"";
  CHECK(refusal(file.dump()) == "it was accepted");
}

TEST_CASE("a file that is not there or no file is refused by name",
          "[io][tokenizer_json][hostile]") {
  CHECK_THROWS_WITH(load_tokenizer("/no/such/tokenizer.json"),
                    ContainsSubstring("/no/such/tokenizer.json"));
  CHECK_THROWS_AS(load_tokenizer("/"), Error);
}

TEST_CASE("a file that cannot be written leaves the old one", "[io][tokenizer_json]") {
  const TemporaryFolder folder;
  const auto path = folder.path / "tokenizer.json";
  save_tokenizer(path, byte_tokenizer());
  const std::string before = read_file(path);
  CHECK_THROWS_AS(save_tokenizer(folder.path / "none" / "tokenizer.json", byte_tokenizer()), Error);
  CHECK(read_file(path) == before);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);
}
