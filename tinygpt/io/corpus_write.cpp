#include "tinygpt/io/corpus_write.h"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
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
  const EncodeOptions options{.allow_special = false, .threads = omp_get_max_threads()};
  constexpr std::size_t kAtOnce = 1 << 14;
  for (std::size_t done = 0; done < documents.size(); done += kAtOnce) {
    if (progress) progress(done, documents.size());
    const auto some =
        std::span(documents).subspan(done).first(std::min(kAtOnce, documents.size() - done));
    for (const std::vector<int>& ids : encode_all(tokenizer, some, options)) {
      writer.append(ids);
      if (has_documents) writer.append(std::span(&end->id, 1));
    }
    for (const std::string_view d : some) {
      info.bytes += static_cast<std::int64_t>(d.size()) + (has_documents ? 1 : 0);
    }
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
