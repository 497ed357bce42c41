// fuzz_seeds FOLDER: writes the seeds that are no text, from which the fuzzing starts.
#include <cstdio>
#include <string>
#include <vector>

#include "tests/fuzz/folder.h"
#include "tinygpt/core/error.h"
#include "tinygpt/model/gguf_model.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

void write_files(const std::vector<FuzzFile>& files, const std::string& start) {
  for (const FuzzFile& file : files) {
    write_plainly(start + "_" + file.letter, file.letter + file.content);
  }
}

// A model with a BPE tokenizer of a few tokens, so that the file is small.
void write_model(const std::filesystem::path& path, Family family, GgufType type) {
  Tokenizer t;
  t.kind = TokenizerKind::bpe;
  t.vocabulary = {"a", "b", " ", "ab", "<|endoftext|>"};
  t.merges = {{0, 1, 3}};
  t.special_tokens = {{"<|endoftext|>", 4, true}};
  index_tokenizer(t);
  GptConfig c = smallest_config();
  c.family = family;
  c.vocab_size = 5;
  c.eos_token = 4;
  if (block_of(type) > 1) c.width = c.hidden = 32;
  c.tied_head = family == Family::gpt2;
  save_gguf(fuzz_model(c, Purpose::inference, 1), t, "seed", type, path);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    check(argc == 2, "usage: fuzz_seeds FOLDER");
    const std::string folder = std::string(argv[1]) + "/";
    const ModelFolders model;
    write_files(model.files, folder + "model_folder");
    write_files(SavedTraining().files, folder + "checkpoint");
    write_plainly(folder + "small.safetensors", model.files[1].content);
    write_model(folder + "gpt2_f16.gguf", Family::gpt2, GgufType::f16);
    write_model(folder + "llama_q4_0.gguf", Family::llama, GgufType::q4_0);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "fuzz_seeds: %s\n", e.what());
    return 2;
  }
  return 0;
}
