#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/io/tokenizer_json.h"

using namespace tinygpt;
using tinygpt::test::TemporaryFolder;

namespace {

// "the" and " the" of their bytes; a space is spelled as U+0120.
const std::string kVocab =
    "{\"t\": 0, \"h\": 1, \"e\": 2, \"\xc4\xa0\": 3, \"th\": 4, \"the\": 5, \"\xc4\xa0the\": 6, "
    "\"<|endoftext|>\": 7}";
const std::string kMerges = "#version: 0.2\nt h\nth e\n\xc4\xa0 the\n";

struct Files {
  explicit Files(const std::string& vocab = kVocab, const std::string& merges = kMerges) {
    write("vocab.json", vocab);
    write("merges.txt", merges);
  }
  void write(const char* name, const std::string& content) const {
    std::ofstream(folder / name, std::ios::binary) << content;
  }
  std::string refusal() const {
    try {
      load_folder_tokenizer(folder.path());
    } catch (const Error& e) {
      return e.what();
    }
    return "it was accepted";
  }
  TemporaryFolder folder;
};

std::string refusal_of(const std::string& vocab, const std::string& merges) {
  return Files(vocab, merges).refusal();
}

// A tokenizer.json with this for a field, instead of a small byte-level one's.
std::string refused_json(const std::string& field, const std::string& value) {
  std::string text =
      "{\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false}, "
      "\"decoder\": null, \"post_processor\": null, "
      "\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": []}}";
  const std::size_t at = text.find("\"" + field + "\": ") + field.size() + 4;
  const std::size_t end = text[at] == '{' ? text.find('}', at) + 1 : text.find(',', at);
  text.replace(at, end - at, value);
  try {
    parse_tokenizer_json(text, "file");
  } catch (const Error& e) {
    return e.what();
  }
  return "it was accepted";
}

}  // namespace

TEST_CASE("a folder with GPT-2's two files has a tokenizer", "[io][tokenizer_json]") {
  for (const std::string& merges : {kMerges, std::string("t h\r\nth e\r\n\xc4\xa0 the")}) {
    const Files files(kVocab, merges);
    const Tokenizer t = load_folder_tokenizer(files.folder.path());
    CHECK(encode(t, "the the<|endoftext|>het") == std::vector<int>{5, 6, 7, 1, 2, 0});
    CHECK(decode(t, encode(t, "the het")) == "the het");
    REQUIRE(t.special_tokens.size() == 1);
    // Written as one file, it is the same; and that one is preferred.
    save_tokenizer(files.folder / "tokenizer.json", t);
    files.write("vocab.json", "[]");
    CHECK(load_folder_tokenizer(files.folder.path()).merges == t.merges);
  }
}

TEST_CASE("broken vocabularies and merges are refused by the file's name",
          "[io][tokenizer_json][hostile]") {
  for (const char* vocab : {"", "[]", "{}", "7", "{\"t\": 0", "{\"t\": -1}", "{\"t\": 1}",
                            "{\"t\": 0, \"h\": 0}", "{\"t\": \"0\"}", "{\"\": 0}"}) {
    CAPTURE(vocab);
    const std::string message = refusal_of(vocab, kMerges);
    CHECK_THAT(message, ContainsSubstring("vocab.json"));
    CHECK(message.find('\n') == std::string::npos);
  }
  for (const char* merges : {"t", "t h e", "t x", " t", "t h\nt h", "t  h", "h t"}) {
    CAPTURE(merges);
    CHECK_THAT(refusal_of(kVocab, merges), ContainsSubstring("merges"));
  }
  CHECK_THAT(refusal_of(kVocab, "t \xff"), ContainsSubstring("merges.txt: not valid UTF-8"));
  Files one;
  std::filesystem::remove(one.folder / "merges.txt");
  CHECK_THAT(one.refusal(), ContainsSubstring("tokenizer.json: cannot be opened"));
}

TEST_CASE("splits of other model families are named", "[io][tokenizer_json]") {
  // As LLaMA 3's and Qwen's files have it, but for the pattern's length; and SmolLM's.
  const std::string split =
      "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": "
      "{\"Regex\": \"\\\\p{N}{1,3}\"}, \"behavior\": \"Isolated\", \"invert\": false}, "
      "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": false}]}";
  CHECK_THAT(refused_json("pre_tokenizer", split),
             ContainsSubstring("pre_tokenizer: splits text by \"Split(\\p{N}{1,3}), ByteLevel\""));
  CHECK_THAT(refused_json("pre_tokenizer", "{\"type\": \"Metaspace\"}"),
             ContainsSubstring("\"Metaspace\""));
  CHECK_THAT(refused_json("pre_tokenizer", "{\"type\": \"Sequence\", \"pretokenizers\": 7}"),
             ContainsSubstring("pretokenizers: must be an array"));
}

TEST_CASE("a file that cuts out each digit is read and written as such", "[io][tokenizer_json]") {
  const auto with = [](const char* digits, const char* level) {
    return std::string("{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Digits\"") +
           digits + "}, {\"type\": \"ByteLevel\"" + level + "}]}";
  };
  const char* each = ", \"individual_digits\": true";
  const char* level = ", \"add_prefix_space\": false";
  CHECK(refused_json("pre_tokenizer", with(each, level)) == "it was accepted");
  CHECK_THAT(refused_json("pre_tokenizer", with("", level)),
             ContainsSubstring("individual_digits: is not supported, only true"));
  CHECK_THAT(refused_json("pre_tokenizer", with(each, ", \"add_prefix_space\": true")),
             ContainsSubstring("add_prefix_space: is not supported, only false"));
  CHECK_THAT(refused_json("pre_tokenizer",
                          with(each, ", \"add_prefix_space\": false, \"use_regex\": false")),
             ContainsSubstring("use_regex: is not supported, only true"));
  Tokenizer t = train_bpe_tokenizer("in 1984 and 1984, 1984", 300);
  const std::size_t joined = encode(t, " 1984").size();
  t.split_digits = true;
  CHECK(encode(t, " 1984").size() > joined);
  const Tokenizer back = parse_tokenizer_json(tokenizer_to_json(t), "file");
  CHECK(back.split_digits);
  for (const char* text : {"in 1984", "  12 ab1  2", "\u0663\u0664 x"}) {
    CHECK(encode(back, text) == encode(t, text));
    CHECK(decode(back, encode(back, text)) == text);
  }
}

TEST_CASE("a template that adds tokens is named, and one that adds none is nothing",
          "[io][tokenizer_json]") {
  const std::string text = "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}";
  const auto refused = [](const std::string& single) {
    return refused_json("post_processor",
                        "{\"type\": \"TemplateProcessing\", \"single\": " + single + "}");
  };
  CHECK(refused("[" + text + "]") == "it was accepted");
  CHECK_THAT(refused("[{\"SpecialToken\": {\"id\": \"<s>\", \"type_id\": 0}}, " + text + "]"),
             ContainsSubstring("post_processor: adds the token \"<s>\" to every text"));
  CHECK_THAT(refused("[" + text + ", " + text + "]"), ContainsSubstring("the text alone"));
  CHECK_THAT(refused("[]"), ContainsSubstring("the text alone"));
}
