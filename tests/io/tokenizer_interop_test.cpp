// Against numbers from Hugging Face's tokenizers; tests/interop/tokenizers/generate.py makes them.
#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tinygpt/core/file.h"
#include "tinygpt/io/tokenizer_json.h"
#include "tinygpt/text/bpe_alphabet.h"
#include "tinygpt/text/bpe_train.h"
#include "tinygpt/text/pretokenize.h"

using namespace tinygpt;

namespace {

std::filesystem::path interop_file(const std::string& name) {
  return std::filesystem::path(TINYGPT_INTEROP_FOLDER) / "tokenizers" / name;
}

const std::vector<std::string> kSpecial = {"<|endoftext|>"};

// Hugging Face numbers the bytes in the order of their stand-ins, and ties go by those numbers.
std::vector<int> byte_order() {
  std::vector<int> bytes(256);
  for (int b = 0; b < 256; ++b) bytes[static_cast<std::size_t>(b)] = b;
  std::sort(bytes.begin(), bytes.end(), [](int a, int b) {
    return byte_character(static_cast<unsigned char>(a)) <
           byte_character(static_cast<unsigned char>(b));
  });
  return bytes;
}

}  // namespace

TEST_CASE("ids are those that Hugging Face's tokenizers gives", "[io][tokenizer_json][interop]") {
  const auto cases = nlohmann::json::parse(read_file(interop_file("cases.json")));
  for (const char* name : {"hugging_face.json", "bpe.json", "byte.json", "character.json"}) {
    const Tokenizer t = load_tokenizer(interop_file(name));
    REQUIRE(cases.at(name).size() > 10);
    for (const auto& one : cases.at(name)) {
      const auto text = one.at(0).get<std::string>();
      INFO(name << ": " << text);
      const auto ids = one.at(1).get<std::vector<int>>();
      CHECK(encode(t, text) == ids);
      CHECK(decode(t, ids) == text);
    }
  }
}

TEST_CASE("files are written as those that Hugging Face's tokenizers opened",
          "[io][tokenizer_json][interop]") {
  const std::string text = read_file(interop_file("training.txt"));
  const auto file = [](const char* name) { return read_file(interop_file(name)); };
  CHECK(tokenizer_to_json(byte_tokenizer(kSpecial)) == file("byte.json"));
  CHECK(tokenizer_to_json(train_char_tokenizer(text, kSpecial)) == file("character.json"));
  CHECK(tokenizer_to_json(train_bpe_tokenizer(text, 700, kSpecial)) == file("bpe.json"));
}

TEST_CASE("training learns the merges that Hugging Face's trainer learns",
          "[io][bpe][train][interop]") {
  std::vector<std::string> vocabulary;
  std::array<int, 256> id_of_byte{};
  for (const int b : byte_order()) {
    id_of_byte[static_cast<std::size_t>(b)] = static_cast<int>(vocabulary.size());
    vocabulary.emplace_back(1, static_cast<char>(b));
  }
  const std::string text = read_file(interop_file("training.txt"));
  std::map<std::string, std::int64_t> counts;
  for_each_word(text, [&](std::string_view word) { ++counts[std::string(word)]; });
  std::vector<CountedWord> words;
  for (const auto& [word, count] : counts) {
    words.push_back({{}, count});
    for (const char b : word) {
      words.back().symbols.push_back(id_of_byte[static_cast<unsigned char>(b)]);
    }
  }
  const auto spell = [](const std::vector<Merge>& merges, const std::vector<std::string>& tokens) {
    std::vector<std::string> spelled;  // so that a failure can be read
    for (const Merge& m : merges) {
      spelled.push_back(spell_bytes(tokens[m.left]) + " " + spell_bytes(tokens[m.right]));
    }
    return spelled;
  };
  const Tokenizer expected = load_tokenizer(interop_file("hugging_face.json"));
  REQUIRE(expected.merges.size() > 200);
  const std::vector<Merge> merges = learn_merges(vocabulary, words, 700);
  CHECK(spell(merges, vocabulary) == spell(expected.merges, expected.vocabulary));
  CHECK(merges == expected.merges);
}
