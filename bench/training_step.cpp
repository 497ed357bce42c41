#include "bench/training_step.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "tinygpt/core/error.h"
#include "tinygpt/core/random.h"

namespace tinygpt::bench {
namespace {

// Random tokens, in a file that is mapped and then removed: a trainer reads from files.
TokenFile random_tokens(int vocabulary, int count) {
  Random random{2};
  std::vector<int> ids(static_cast<std::size_t>(count));
  for (int& id : ids) {
    id = static_cast<int>(random.below(static_cast<std::uint64_t>(vocabulary)));
  }
  std::string folder = (std::filesystem::temp_directory_path() / "tinygpt-bench-XXXXXX").string();
  check(::mkdtemp(folder.data()) != nullptr,
        [&] { return fmt::format("{}: the folder cannot be made", folder); });
  const std::filesystem::path path = std::filesystem::path(folder) / "tokens.npy";
  write_token_file(path, ids, vocabulary);
  TokenFile file(path, vocabulary);
  std::error_code ignored;
  std::filesystem::remove_all(folder, ignored);
  return file;
}

TrainSettings step_settings(const Settings& s) {
  TrainSettings settings;
  settings.batch = s.batch;
  settings.time = s.time;
  settings.steps = 1'000'000;  // more than are taken
  settings.warmup = 0;
  settings.lr = 1e-4f;
  settings.min_lr = 1e-5f;
  settings.dtype = s.bf16 ? "bf16" : "float";
  return settings;
}

}  // namespace

TrainingStep::TrainingStep(const Settings& s)
    : data(random_tokens(s.config.vocab_size, 1 << 16 | s.time)),
      rounded(s.bf16 ? make_gpt(s.config, s.bf16_ops, s.memory, Purpose::training, s.batch, s.time)
                     : Gpt<Bfloat16>{}),
      model(s.bf16 ? make_gpt(s.config, s.ops, s.memory, Purpose::inference, 1, 1)
                   : make_gpt(s.config, s.ops, s.memory, Purpose::training, s.batch, s.time)),
      trainer(make_trainer(model, step_settings(s), s.bf16 ? &rounded : nullptr)) {
  init_parameters(model, 1);
}

}  // namespace tinygpt::bench
