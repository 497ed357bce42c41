#include "tinygpt/cli/model_source.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <string>
#include <system_error>
#include <vector>

#include "tinygpt/cli/checks.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/io/corpus_json.h"
#include "tinygpt/io/tokenizer_json.h"
#include "tinygpt/model/folder.h"
#include "tinygpt/text/corpus.h"

namespace tinygpt::cli {
namespace {

namespace fs = std::filesystem;

bool same_tokens(const Tokenizer& a, const Tokenizer& b) {
  const auto same_merge = [](const Merge& x, const Merge& y) {
    return x.left == y.left && x.right == y.right;
  };
  return a.vocabulary == b.vocabulary &&
         std::equal(a.merges.begin(), a.merges.end(), b.merges.begin(), b.merges.end(), same_merge);
}

int end_token(const Tokenizer& tokenizer) {
  const SpecialToken* end = find_special(tokenizer, kEndOfText);
  return end != nullptr ? end->id : -1;
}

TokenText open_corpus(const fs::path& folder, Split split, const Tokenizer& tokenizer) {
  const CorpusInfo info = load_corpus_info(folder);
  check(same_tokens(load_tokenizer(folder / "tokenizer.json"), tokenizer), [&] {
    return fmt::format(
        "{}: was prepared with another tokenizer than the model's: prepare it with "
        "tinygpt data --tokenizer MODEL/tokenizer.json",
        folder.string());
  });
  const bool train = split == Split::train;
  const SplitInfo& is = train ? info.train : info.validation;
  TokenText text;
  text.tokens = std::make_unique<TokenFile>(folder / (train ? "train.npy" : "validation.npy"),
                                            vocab_size(tokenizer));
  text.boundary = end_token(tokenizer);
  text.documents = static_cast<double>(is.documents);
  text.bytes_per_token = static_cast<double>(is.bytes) / static_cast<double>(is.tokens);
  text.floor = is.floor_nats_per_byte;
  return text;
}

TokenText open_file(const fs::path& file, const Tokenizer& tokenizer) {
  const std::string bytes = read_file(file, std::uintmax_t{1} << 30);
  const std::vector<int> ids = encode(tokenizer, bytes);
  check(!ids.empty(), [&] { return fmt::format("{}: is empty", file.string()); });
  TokenText text;
  std::string folder = (fs::temp_directory_path() / "tinygpt-XXXXXX").string();
  check(::mkdtemp(folder.data()) != nullptr,
        [&] { return fmt::format("{}: cannot be created", folder); });
  text.temporary = folder;
  write_token_file(text.temporary / "text.npy", ids, vocab_size(tokenizer));
  text.tokens = std::make_unique<TokenFile>(text.temporary / "text.npy", vocab_size(tokenizer));
  text.boundary = end_token(tokenizer);
  text.documents = static_cast<double>(std::count(ids.begin(), ids.end(), text.boundary));
  text.bytes_per_token = static_cast<double>(bytes.size()) / static_cast<double>(ids.size());
  return text;
}

}  // namespace

ModelSource open_model(const fs::path& path) {
  ModelSource source;
  source.path = path;
  if (fs::is_regular_file(path) || path.extension() == ".gguf") {
    source.gguf = open_gguf(path);
    source.config = read_gguf_config(*source.gguf);
    source.tokenizer = read_gguf_tokenizer(*source.gguf);
  } else {
    source.config = read_model_config(path);
    check_has_weights(path);
    source.tokenizer = load_folder_tokenizer(path);
  }
  check_belongs(source.tokenizer, source.config, path.string());
  return source;
}

void load_weights(Gpt<float>& model, const ModelSource& source) {
  if (source.gguf) load_gguf(model, *source.gguf);
  else load_parameters(model, source.path);
}

TokenText::~TokenText() {
  if (temporary.empty()) return;
  tokens.reset();
  std::error_code ignored;
  fs::remove_all(temporary, ignored);
}

int TokenText::boundary_for(int time) const {
  const bool fits = documents > 0 && static_cast<double>(tokens->size()) <= time * documents;
  return boundary >= 0 && fits ? boundary : -1;
}

TokenText open_text(const fs::path& path, Split split, const Tokenizer& tokenizer) {
  return fs::is_directory(path) ? open_corpus(path, split, tokenizer) : open_file(path, tokenizer);
}

}  // namespace tinygpt::cli
