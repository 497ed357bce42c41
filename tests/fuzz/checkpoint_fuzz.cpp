// libFuzzer target: a checkpoint of which one file is anything at all. It is refused with Error,
// and the trainer that was to go on from it is as it was; or it loads whole.
//
// An input is a letter and a file's content: t training.json, w model.safetensors, m and v the
// optimizer's moments.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "tests/fuzz/folder.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

// Everything that loading may change.
std::string state_of(const SavedTraining& s) {
  const Trainer& t = s.trainer;
  std::string state = std::to_string(t.step) + " " + std::to_string(t.data_random.counter) + " " +
                      std::to_string(t.elapsed) + " " +
                      std::to_string(t.validation_loss.value_or(-1));
  for (const DeviceBuffer* buffer : {&t.m, &t.v, &s.model.parameters}) {
    state.append(static_cast<const char*>(buffer->data()),
                 static_cast<std::size_t>(buffer->bytes()));
  }
  return state;
}

void require_usable(const SavedTraining& s) {
  const Trainer& t = s.trainer;
  for (const DeviceBuffer* buffer : {&t.m, &t.v, &s.model.parameters}) {
    const auto* values = static_cast<const float*>(buffer->data());
    for (std::int64_t i = 0; i < s.model.layout.total; ++i) {
      if (!std::isfinite(values[i])) std::abort();
    }
  }
  if (t.step < 0 || !(t.elapsed >= 0)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static SavedTraining saved;
  with_replaced(saved.files, data, size, [](const std::filesystem::path&) {
    const std::string before = state_of(saved);
    try {
      load_checkpoint(saved.trainer, saved.checkpoint);
    } catch (const Error&) {
      if (state_of(saved) != before) std::abort();
      return;
    }
    require_usable(saved);
    try {
      check_settings(read_checkpoint_info(saved.checkpoint).settings, saved.model.config);
    } catch (const Error&) {
    }
  });
  return 0;
}
