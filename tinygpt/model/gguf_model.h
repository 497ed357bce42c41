// A model and its tokenizer as one GGUF file, under llama.cpp's names for GPT-2 and LLaMA.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tinygpt/io/gguf.h"
#include "tinygpt/model/gpt.h"
#include "tinygpt/text/tokenizer.h"

namespace tinygpt {

// A matrix that has been quantized already: the bytes of its rows, in the model's order.
struct EncodedMatrix {
  GgufType type = GgufType::f32;
  std::vector<std::byte> bytes;  // rows * bytes_of(type, cols)
};
using EncodedMatrices = std::map<std::string, EncodedMatrix>;  // by the parameter's name

// Writes the file atomically. Matrices are kept in `type`, but those of `encoded` as they are;
// norms, biases and learned positions in F32, whatever it is, as other programs expect. Rows that
// do not divide into blocks of the type throw Error, naming the tensor, and so does a character
// tokenizer, for which the format has no name. In LLaMA's files the rows of q and k stand in
// another order: where Hugging Face turns values i and i + HS / 2 together, they turn 2 i and
// 2 i + 1.
void save_gguf(const Gpt<float>& model, const Tokenizer& tokenizer, const std::string& name,
               GgufType type, const std::filesystem::path& path,
               const EncodedMatrices& encoded = {});

// What a GGUF file says of its model and tokenizer. Throws Error, naming the file and the setting,
// on another architecture than "gpt2" and "llama", on settings that change the computation and are
// not implemented, on tensors that are missing, unexpected or misshapen, and on another tokenizer
// than byte-level BPE.
GptConfig read_gguf_config(const GgufFile& file);
Tokenizer read_gguf_tokenizer(const GgufFile& file);

// The weights, as floats, into a model made from read_gguf_config. A tensor that is missing,
// unexpected or misshapen, or holds a value that is not finite, throws Error and leaves the model
// as it was.
void load_gguf(Gpt<float>& model, const GgufFile& file);

}  // namespace tinygpt
