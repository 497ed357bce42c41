// libFuzzer target: any bytes as a LoRA adapter's folder are refused with Error, or give an adapter
// of finite values that the model runs with.
//
// The input is adapter_config.json, a zero byte, and adapter_model.safetensors.
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "solutions/table.h"
#include "tinygpt/adapt/adapter_folder.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;

namespace {

namespace fs = std::filesystem;

GptConfig small_config(Family family) {
  GptConfig c;
  c.family = family;
  c.vocab_size = 5;
  c.context_length = 4;
  c.layers = 1;
  c.heads = c.kv_heads = 2;
  c.width = 8;
  c.hidden = 12;
  return c;
}

struct Fixture {
  fs::path folder = fs::temp_directory_path() / ("tinygpt-fuzz-" + std::to_string(::getpid()));
  Gpt<float> models[2] = {make(Family::gpt2), make(Family::llama)};

  Fixture() { fs::create_directory(folder); }
  ~Fixture() { fs::remove_all(folder); }
  static Gpt<float> make(Family family) {
    Gpt<float> model =
        make_gpt(small_config(family), ref::ops(), host_memory(), Purpose::inference, 1, 4);
    init_parameters(model, 1);
    return model;
  }
  void write(const char* name, std::string_view content) const {
    fs::remove(folder / name);  // a new file: some file systems flush one that is truncated
    std::FILE* file = std::fopen((folder / name).c_str(), "wb");
    if (file == nullptr) std::abort();
    std::fwrite(content.data(), 1, content.size(), file);
    std::fclose(file);
  }
};

void load_and_run(Gpt<float>& model, const fs::path& folder, std::size_t size) {
  try {
    Adapter<float> adapter = load_adapter(model, folder, 4);
    // Every value came from the file, in two bytes at least: nothing was made by a lying header.
    if (static_cast<std::size_t>(adapter.layout.parameters()) > size / 2) std::abort();
    for (std::int64_t i = 0; i < adapter.layout.total; ++i) {
      if (!std::isfinite(adapter.params()[i])) std::abort();
    }
    model.adapter = &adapter;
    const std::vector<int> tokens = {1, 2, 3};
    forward(model, tokens, {}, 1, 3);
  } catch (const Error&) {
  }
  model.adapter = nullptr;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Fixture fixture;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t zero = std::min(input.find('\0'), size);
  fixture.write("adapter_config.json", input.substr(0, zero));
  fixture.write("adapter_model.safetensors", input.substr(std::min(zero + 1, size)));
  for (Gpt<float>& model : fixture.models) load_and_run(model, fixture.folder, size);
  return 0;
}
