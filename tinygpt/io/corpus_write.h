// Writing a prepared corpus: token files, tokenizer and corpus.json in one folder.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>

#include "tinygpt/io/corpus_json.h"
#include "tinygpt/text/corpus.h"
#include "tinygpt/text/tokenizer.h"

namespace tinygpt {

// Called now and then with how many of a split's documents are encoded.
using EncodeProgress = std::function<void(std::size_t done, std::size_t documents)>;

// Encodes both splits into `folder`, and fills in what `info` says of them and of the tokenizer.
// A text that the tokenizer cannot encode, or a full disk, leaves what was there. Throws Error
// where the documents need an end-of-text token that the tokenizer has not.
void write_corpus(const std::filesystem::path& folder, CorpusInfo& info, const TextSplit& split,
                  const Tokenizer& tokenizer, const EncodeProgress& progress = {});

}  // namespace tinygpt
