// libFuzzer target: a model's folder of which one file is anything at all. It is refused with
// Error, and a model that was made before keeps its parameters; or it loads, and every parameter
// is finite.
//
// An input is a letter and a file's content: c config.json, w model.safetensors, s the index of
// shards (whose folder has no model.safetensors), p one of the shards.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "tests/fuzz/folder.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

void load(const std::filesystem::path& folder) {
  const GptConfig config = read_model_config(folder);
  check_has_weights(folder);
  Gpt<float> model = make_gpt(config, ref::ops(), host_memory(), Purpose::inference, 1, 1);
  const float kept = model.params()[0] = 7;
  try {
    load_parameters(model, folder);
  } catch (const Error&) {
    if (model.params()[0] != kept) std::abort();
    throw;
  }
  for (std::int64_t i = 0; i < model.layout.total; ++i) {
    if (!std::isfinite(model.params()[i])) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const ModelFolders folders;
  with_replaced(folders.files, data, size, [](const std::filesystem::path& replaced) {
    try {
      load(replaced.parent_path());
    } catch (const Error&) {
    }
  });
  return 0;
}
