// interop_adapter_exchange FOLDER: loads the model in FOLDER and the adapter in FOLDER/adapter,
// runs both on the tokens in FOLDER/tokens.json, writes the logits to FOLDER/logits.safetensors,
// the adapter, as we save it, to FOLDER/saved, and the model that it is merged into to
// FOLDER/merged. check_peft.py calls it.
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "tinygpt/adapt/adapter_folder.h"
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
  Adapter<float> adapter = load_adapter(model, folder / "adapter", T);
  model.adapter = &adapter;
  forward(model, tokens, {}, 1, T);
  std::vector<float> logits(tokens.size() * static_cast<std::size_t>(config.vocab_size));
  copy_logits(model, 0, logits);
  write_safetensors(
      folder / "logits.safetensors",
      {{"logits",
        {1, T, config.vocab_size},
        [&](const Sink& sink) { sink(logits.data(), logits.size() * sizeof(float)); }}},
      {});
  save_adapter(adapter, read_lora_config(folder / "adapter"), config, folder / "saved");
  merge_adapter(model);
  save_model(model, folder / "merged");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    check(argc == 2, "usage: interop_adapter_exchange FOLDER");
    exchange(argv[1]);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "interop_adapter_exchange: %s\n", e.what());
    return 2;
  }
  return 0;
}
