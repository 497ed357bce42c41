#include "tinygpt/io/corpus_json.h"

#include <cstdint>

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"

namespace tinygpt {
namespace {

using nlohmann::json;

json split_to_json(const SplitInfo& split) {
  json result = {{"documents", split.documents}, {"bytes", split.bytes}, {"tokens", split.tokens}};
  if (split.floor_nats_per_byte) result["floor_nats_per_byte"] = *split.floor_nats_per_byte;
  return result;
}

std::optional<double> optional_number(const json& value, const char* key) {
  if (!value.contains(key)) return std::nullopt;
  return value.at(key).get<double>();
}

SplitInfo split_from_json(const json& value) {
  SplitInfo split;
  split.documents = value.at("documents").get<std::int64_t>();
  split.bytes = value.at("bytes").get<std::int64_t>();
  split.tokens = value.at("tokens").get<std::int64_t>();
  split.floor_nats_per_byte = optional_number(value, "floor_nats_per_byte");
  return split;
}

}  // namespace

CorpusInfo load_corpus_info(const std::filesystem::path& folder) {
  const std::filesystem::path path = folder / "corpus.json";
  check(std::filesystem::exists(path), [&] {
    return fmt::format(
        "{}: no prepared corpus (there is no corpus.json): make one with tinygpt data",
        folder.string());
  });
  const std::string text = read_file(path, 1 << 20);
  try {
    const json value = json::parse(text);
    CorpusInfo info;
    info.name = value.at("name").get<std::string>();
    info.made_from = value.at("made_from").get<std::string>();
    info.tokenizer = value.at("tokenizer").get<std::string>();
    info.vocab_size = value.at("vocab_size").get<int>();
    info.seed = value.at("seed").get<std::uint64_t>();
    info.text_sha256 = value.value("text_sha256", std::string());
    info.source_stamp = value.value("source_stamp", std::string());
    info.entropy_nats_per_document = optional_number(value, "entropy_nats_per_document");
    info.log10_documents = optional_number(value, "log10_documents");
    info.train = split_from_json(value.at("train"));
    info.validation = split_from_json(value.at("validation"));
    check(info.train.tokens > 0 && info.validation.tokens > 0 && info.validation.bytes > 0,
          [&] { return fmt::format("{}: a split is empty", path.string()); });
    return info;
  } catch (const json::exception& error) {
    throw Error(fmt::format("{}: {}; make the corpus again with tinygpt data", path.string(),
                            error.what()));
  }
}

void save_corpus_info(const std::filesystem::path& folder, const CorpusInfo& info) {
  json value = {{"name", info.name},
                {"made_from", info.made_from},
                {"tokenizer", info.tokenizer},
                {"vocab_size", info.vocab_size},
                {"seed", info.seed},
                {"text_sha256", info.text_sha256},
                {"source_stamp", info.source_stamp},
                {"train", split_to_json(info.train)},
                {"validation", split_to_json(info.validation)}};
  if (info.entropy_nats_per_document) {
    value["entropy_nats_per_document"] = *info.entropy_nats_per_document;
  }
  if (info.log10_documents) value["log10_documents"] = *info.log10_documents;
  write_file_atomically(folder / "corpus.json", value.dump(2) + "\n");
}

}  // namespace tinygpt
