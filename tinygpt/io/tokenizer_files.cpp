// vocab.json and merges.txt: the two files of a byte-level BPE before there was tokenizer.json.
#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/io/json.h"
#include "tinygpt/io/tokenizer_json.h"
#include "tinygpt/text/corpus.h"

namespace tinygpt {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t kLargestFile = std::uint64_t{1} << 26;

// A merge a line, "a b", the first learned first. A first line may tell the format's version.
json read_merges(std::string_view text) {
  json merges = json::array();
  for (bool first = true; !text.empty(); first = false) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || (first && line.starts_with("#version"))) continue;
    merges.push_back(std::string(line));
  }
  return merges;
}

}  // namespace

Tokenizer load_folder_tokenizer(const fs::path& folder) {
  const fs::path vocab = folder / "vocab.json", merges = folder / "merges.txt";
  const bool has_both = fs::exists(vocab) && fs::exists(merges);
  if (fs::exists(folder / "tokenizer.json") || !has_both) {
    return load_tokenizer(folder / "tokenizer.json");
  }
  const json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  const std::string pairs = read_file(merges, kLargestFile);
  check_utf8(pairs, merges.string());
  json file = {{"pre_tokenizer", byte_level},
               {"decoder", byte_level},
               {"added_tokens", json::array()},
               {"model",
                {{"type", "BPE"},
                 {"vocab", parse_json(read_file(vocab, kLargestFile), vocab.string())},
                 {"merges", read_merges(pairs)}}}};
  const json& tokens = file["model"]["vocab"];
  if (tokens.is_object() && tokens.contains(kEndOfText)) {
    file["added_tokens"].push_back({{"content", kEndOfText}, {"id", tokens[kEndOfText]}});
  }
  return tokenizer_from_json(file, (folder / "vocab.json, merges.txt").string());
}

}  // namespace tinygpt
