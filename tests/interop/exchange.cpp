// interop_exchange FOLDER: loads the model in FOLDER, runs it on the tokens in FOLDER/tokens.json,
// writes its logits to FOLDER/logits.safetensors and the model, as we save it, to FOLDER/saved.
// check_transformers.py calls it.
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/io/json.h"
#include "tinygpt/io/safetensors.h"
#include "tinygpt/model/folder.h"

using namespace tinygpt;

namespace {

void exchange(const std::filesystem::path& folder) {
  const std::filesystem::path file = folder / "tokens.json";
  const auto tokens = parse_json(read_file(file), file.string()).get<std::vector<int>>();
  const int T = static_cast<int>(tokens.size());
  const GptConfig config = read_model_config(folder);
  Gpt<float> model = make_gpt(config, cpu::ops(), host_memory(), Purpose::inference, 1, T);
  load_parameters(model, folder);
  forward(model, tokens, {}, 1, T);
  std::vector<float> logits(tokens.size() * static_cast<std::size_t>(config.vocab_size));
  copy_logits(model, 0, logits);
  write_safetensors(
      folder / "logits.safetensors",
      {{"logits",
        {1, T, config.vocab_size},
        [&](const Sink& sink) { sink(logits.data(), logits.size() * sizeof(float)); }}},
      {});
  save_model(model, folder / "saved");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    check(argc == 2, "usage: interop_exchange FOLDER");
    exchange(argv[1]);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "interop_exchange: %s\n", e.what());
    return 2;
  }
  return 0;
}
