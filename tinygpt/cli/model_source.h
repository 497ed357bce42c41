// Models and texts as commands name them: a folder or a GGUF file, a prepared corpus or plain text.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "tinygpt/model/gguf_model.h"
#include "tinygpt/model/gpt.h"
#include "tinygpt/text/token_file.h"
#include "tinygpt/text/tokenizer.h"

namespace tinygpt::cli {

// Config and tokenizer of a model; its weights are read when there is a place for them.
struct ModelSource {
  std::filesystem::path path;
  std::optional<GgufFile> gguf;  // of a file; without one, path is a folder
  GptConfig config;
  Tokenizer tokenizer;
};

// Throws Error, naming the path, where there is neither a model's folder nor a GGUF file.
ModelSource open_model(const std::filesystem::path& path);
void load_weights(Gpt<float>& model, const ModelSource& source);

// A text as a model's tokens.
struct TokenText {
  std::unique_ptr<TokenFile> tokens;
  std::filesystem::path temporary;  // a folder to remove with it, or empty
  double bytes_per_token = 0;
  double documents = 0;           // that end with `boundary`
  int boundary = -1;              // the token that ends a document, or -1
  std::optional<double> floor{};  // what the best possible model loses, in nats per byte

  TokenText() = default;
  ~TokenText();
  TokenText(TokenText&&) = default;
  TokenText& operator=(TokenText&&) = default;

  // Whether a document fits a window of so many tokens on average: then windows begin with one.
  int boundary_for(int time) const;
};

enum class Split { train, validation };

// A split of a prepared corpus, whose tokenizer must be the model's; or a file of text, all of it.
TokenText open_text(const std::filesystem::path& path, Split split, const Tokenizer& tokenizer);

}  // namespace tinygpt::cli
