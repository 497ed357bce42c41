#include "tinygpt/io/corpus_write.h"

#include <fmt/format.h>

#include <cstdint>
#include <span>
#include <system_error>

#include "tinygpt/core/error.h"
#include "tinygpt/io/tokenizer_json.h"
#include "tinygpt/text/token_file.h"

namespace tinygpt {
namespace {

namespace fs = std::filesystem;

// What the writer gets is not in place before it is finished.
void write_split(TokenFileWriter& writer, SplitInfo& info,
                 const std::vector<std::string_view>& documents, bool has_documents,
                 const Tokenizer& tokenizer, const EncodeProgress& progress) {
  const SpecialToken* end = find_special(tokenizer, kEndOfText);
  for (std::size_t i = 0; i < documents.size(); ++i) {
    if (i % 4096 == 0 && progress) progress(i, documents.size());
    writer.append(encode(tokenizer, documents[i], {.allow_special = false}));
    if (has_documents) writer.append(std::span(&end->id, 1));
    info.bytes += static_cast<std::int64_t>(documents[i].size()) + (has_documents ? 1 : 0);
  }
  info.documents = static_cast<std::int64_t>(documents.size());
  info.tokens = writer.size();
}

}  // namespace

void write_corpus(const fs::path& folder, CorpusInfo& info, const TextSplit& split,
                  const Tokenizer& tokenizer, const EncodeProgress& progress) {
  const bool documents = split.has_documents;
  check(!documents || find_special(tokenizer, kEndOfText) != nullptr, [&] {
    return fmt::format("--tokenizer: it has no {} token, which parts this corpus's documents",
                       kEndOfText);
  });
  info.tokenizer = kind_name(tokenizer.kind);
  info.vocab_size = vocab_size(tokenizer);
  const bool is_new = fs::create_directories(folder);
  try {
    TokenFileWriter validation(folder / "validation.npy", vocab_size(tokenizer));
    TokenFileWriter train(folder / "train.npy", vocab_size(tokenizer));
    write_split(validation, info.validation, split.validation, documents, tokenizer, progress);
    write_split(train, info.train, split.train, documents, tokenizer, progress);
    fs::remove(folder / "corpus.json");  // until the new parts are all there
    validation.finish();
    train.finish();
    save_tokenizer(folder / "tokenizer.json", tokenizer);
    save_corpus_info(folder, info);
  } catch (...) {
    std::error_code not_empty;
    if (is_new) fs::remove(folder, not_empty);
    throw;
  }
}

}  // namespace tinygpt
