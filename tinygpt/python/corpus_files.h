// A prepared corpus as Python holds it.
#pragma once

#include <filesystem>
#include <memory>

#include "tinygpt/io/corpus_json.h"
#include "tinygpt/text/token_file.h"
#include "tinygpt/text/tokenizer.h"

namespace tinygpt::python {

struct CorpusFiles {
  explicit CorpusFiles(const std::filesystem::path& path);
  std::filesystem::path folder;
  CorpusInfo info;
  std::shared_ptr<Tokenizer> tokenizer;
  TokenFile train, validation;
};

}  // namespace tinygpt::python
