#include <nlohmann/json.hpp>

#include "tinygpt/core/file.h"
#include "tinygpt/io/tokenizer_json.h"
#include "tinygpt/text/bpe_alphabet.h"

namespace tinygpt {
namespace {

using nlohmann::ordered_json;

// The tokens as the file spells them. Special tokens are spelled as they are, and never as bytes.
std::vector<std::string> spell_vocabulary(const Tokenizer& t) {
  std::vector<std::string> spelled = t.vocabulary;
  if (t.kind != TokenizerKind::character) {
    for (std::string& token : spelled) token = spell_bytes(token);
  }
  for (const SpecialToken& s : t.special_tokens) spelled[s.id] = s.content;
  return spelled;
}

ordered_json added_tokens(const Tokenizer& t) {
  ordered_json list = ordered_json::array();
  for (const SpecialToken& s : t.special_tokens) {
    list.push_back({{"id", s.id},
                    {"content", s.content},
                    {"single_word", false},
                    {"lstrip", false},
                    {"rstrip", false},
                    {"normalized", false},
                    {"special", s.is_control}});
  }
  return list;
}

ordered_json byte_level(bool add_prefix_space, bool use_regex) {
  return {{"type", "ByteLevel"},
          {"add_prefix_space", add_prefix_space},
          {"trim_offsets", true},
          {"use_regex", use_regex}};
}

ordered_json bpe_model(const Tokenizer& t) {
  const std::vector<std::string> spelled = spell_vocabulary(t);
  // Built as one array and moved: an ordered object looks for duplicates on every insertion, which
  // is quadratic.
  ordered_json::object_t vocab;
  for (std::size_t id = 0; id < spelled.size(); ++id) {
    vocab.emplace_back(spelled[id], static_cast<int>(id));
  }
  ordered_json merges = ordered_json::array();
  for (const Merge& m : t.merges) merges.push_back(spelled[m.left] + " " + spelled[m.right]);
  return {{"type", "BPE"},
          {"dropout", nullptr},
          {"unk_token", nullptr},
          {"continuing_subword_prefix", nullptr},
          {"end_of_word_suffix", nullptr},
          {"fuse_unk", false},
          {"byte_fallback", false},
          {"ignore_merges", false},
          {"vocab", std::move(vocab)},
          {"merges", std::move(merges)}};
}

}  // namespace

std::string tokenizer_to_json(const Tokenizer& t) {
  const bool is_byte_level = t.kind != TokenizerKind::character;
  const bool use_regex = t.kind == TokenizerKind::bpe && t.pre_split;
  ordered_json file;
  file["version"] = "1.0";
  file["truncation"] = nullptr;
  file["padding"] = nullptr;
  file["added_tokens"] = added_tokens(t);
  file["normalizer"] = nullptr;
  file["pre_tokenizer"] = nullptr;
  file["post_processor"] = nullptr;
  file["decoder"] = {{"type", "Fuse"}};
  if (is_byte_level) {
    file["pre_tokenizer"] = byte_level(t.add_prefix_space, use_regex);
    if (t.split_digits) {
      file["pre_tokenizer"] = {{"type", "Sequence"},
                               {"pretokenizers",
                                {{{"type", "Digits"}, {"individual_digits", true}},
                                 byte_level(t.add_prefix_space, use_regex)}}};
    }
    file["decoder"] = byte_level(true, true);  // a decoder's options change nothing
  }
  file["model"] = bpe_model(t);
  return file.dump(2) + "\n";
}

void save_tokenizer(const std::filesystem::path& path, const Tokenizer& tokenizer) {
  write_file_atomically(path, tokenizer_to_json(tokenizer));
}

}  // namespace tinygpt
