// corpus.json: what a prepared corpus is, beside its token files and its tokenizer.
//
// A corpus is a folder with train.npy, validation.npy, tokenizer.json and corpus.json, which is
// written last: a folder without it is not complete.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace tinygpt {

// One of the two splits.
struct SplitInfo {
  std::int64_t documents = 0;
  std::int64_t bytes = 0;  // of text, and one for each end-of-text token
  std::int64_t tokens = 0;
  // What the best possible model loses, in nats per byte; only where the text's distribution is
  // known.
  std::optional<double> floor_nats_per_byte;
};

struct CorpusInfo {
  std::string name;       // "tinytales", "shakespeare", or the name of the file
  std::string made_from;  // everything that decides the content: equal means nothing to do
  std::string tokenizer;  // "byte", "char" or "bpe"
  int vocab_size = 0;
  std::uint64_t seed = 0;    // tinytales
  std::string text_sha256;   // of the text, or of the grammar that drew it
  std::string source_stamp;  // names, sizes and times of the files read: equal means not changed
  // tinytales: what measure_grammar says.
  std::optional<double> entropy_nats_per_document, log10_documents;
  SplitInfo train, validation;
};

// Throws Error, naming the file and the field.
CorpusInfo load_corpus_info(const std::filesystem::path& folder);

// Atomically.
void save_corpus_info(const std::filesystem::path& folder, const CorpusInfo& info);

}  // namespace tinygpt
