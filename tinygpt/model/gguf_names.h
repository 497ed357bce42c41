// How the model's parameters are called in GGUF files, and in which order their rows stand there.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tinygpt/io/gguf.h"
#include "tinygpt/model/parameters.h"

namespace tinygpt {

// One tensor of a file: `rows` consecutive rows of one of our parameters.
struct GgufPart {
  std::string name;         // "blk.0.attn_q.weight"
  std::int64_t offset = 0;  // of its first value in the parameter buffer
  int rows = 0;
  int cols = 0;
  int turned_heads =
      0;  // of LLaMA's q and k: heads whose two halves the file has row by row in turn
  bool matrix = false;  // kept in the file's type; vectors and positions are F32

  std::int64_t size() const { return std::int64_t{rows} * cols; }
  std::vector<std::int64_t> shape() const;
  // The row of ours that stands in row r of the file.
  int our_row(int r) const;
};

std::vector<GgufPart> gguf_parts(const ParameterLayout& layout, const GptConfig& config);

}  // namespace tinygpt
