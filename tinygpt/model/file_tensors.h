// How the model's parameters are called and turned in Hugging Face files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tinygpt/model/parameters.h"

namespace tinygpt {

// One tensor of a file: `rows` consecutive rows of one of our parameters.
struct FileTensor {
  std::string name;         // "transformer.h.0.attn.c_attn.weight"
  std::int64_t offset = 0;  // of its first value in the parameter buffer
  int rows = 0;
  int cols = 0;
  bool transposed = false;  // the file holds [cols, rows]: GPT-2's Conv1D keeps weights [in, out]
  std::vector<std::int64_t> shape;  // in the file

  std::int64_t size() const { return std::int64_t{rows} * cols; }
};

// Every tensor of a file, in the order of the layout. LLaMA's files split what one product computes
// here: q | k | v, and gate | up.
std::vector<FileTensor> file_tensors(const ParameterLayout& layout, const GptConfig& config);

// A name as a file may spell it, as file_tensors spells it: files of the bare model leave the
// prefix "transformer." (GPT-2) or "model." (LLaMA) out.
std::string canonical_name(Family family, const std::string& name);

// Constants that older files hold beside the parameters: masks and rotary frequencies.
bool is_constant_buffer(Family family, std::string_view canonical_name);

}  // namespace tinygpt
