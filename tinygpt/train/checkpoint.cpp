#include "tinygpt/train/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "tinygpt/core/buffer.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/io/json.h"
#include "tinygpt/model/adapter.h"
#include "tinygpt/model/folder.h"

namespace tinygpt {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::string_view kPrefix = "step-";
constexpr const char* kUnfinished = ".unfinished";
constexpr const char* kRemoved = ".removed";

Product whole_model(Gpt<float>& model) {
  Product product;
  product.save = [&model](const fs::path& folder) { save_model(model, folder); };
  product.load = [&model](const fs::path& folder) { load_parameters(model, folder); };
  product.save_values = [&model](const float* values, const fs::path& file) {
    save_tensors(model.layout, model.config, values, file);
  };
  product.load_values = [&model](float* values, const fs::path& file) {
    load_tensors(model.layout, model.config, values, file);
  };
  return product;
}

Product completed(const Trainer& trainer, const Product& product) {
  return product.save ? product : whole_model(*trainer.model);
}

// The optimizer's moments lie on the device; files are read and written by way of the host.
void save_moments(const Trainer& trainer, const DeviceBuffer& moments, const Product& product,
                  const fs::path& file) {
  Buffer<float> values(moments.bytes() / std::int64_t{sizeof(float)});
  trainer.model->memory.copy_out(values.data(), moments.data(), values.span().size_bytes());
  product.save_values(values.data(), file);
}

// The moments of one file, as many as `like` has. Throws Error unless every one is finite and,
// where they are means of squares, none is negative: the first step would make all weights
// nonsense.
Buffer<float> read_moments(const DeviceBuffer& like, const Product& product, const fs::path& file,
                           bool squares) {
  Buffer<float> values(like.bytes() / std::int64_t{sizeof(float)});
  std::fill_n(values.data(), values.size(), 0.0f);  // the padding between tensors stays zero
  product.load_values(values.data(), file);
  const bool usable = std::all_of(values.data(), values.data() + values.size(), [&](float x) {
    return std::isfinite(x) && (!squares || x >= 0);
  });
  check(usable, [&] {
    return fmt::format("{}: holds a value that is {}", file.string(),
                       squares ? "negative or not finite" : "not finite");
  });
  return values;
}

// What training.json says beside the settings and the origin.
struct Progress {
  int step = 0;
  std::uint64_t data_counter = 0;
  double elapsed = 0;
  std::optional<double> validation_loss;
};

struct State {
  TrainSettings settings;
  TrainOrigin origin;
  Progress progress;
};

Progress read_progress(const json& state) {
  Progress p;
  read_field(state, "step", p.step);
  read_field(state, "data_counter", p.data_counter);
  if (state.contains("elapsed_s")) read_field(state, "elapsed_s", p.elapsed);
  if (state.contains("validation_loss")) {
    p.validation_loss = 0;
    read_field(state, "validation_loss", *p.validation_loss);
  }
  check(p.step >= 0, [&] { return fmt::format("step: {} is negative", p.step); });
  check(p.elapsed >= 0, [&] { return fmt::format("elapsed_s: {} is negative", p.elapsed); });
  return p;
}

TrainOrigin read_origin(const json& state) {
  check(state.contains("origin"), "origin: is missing");
  const json& from = state["origin"];
  TrainOrigin origin;
  read_field(from, "data", origin.data);
  read_field(from, "corpus", origin.corpus);
  read_field(from, "kernels", origin.kernels);
  read_field(from, "threads", origin.threads);
  if (from.contains("device")) read_field(from, "device", origin.device);
  if (from.contains("base")) read_field(from, "base", origin.base);
  if (from.contains("base_sha256")) read_field(from, "base_sha256", origin.base_sha256);
  return origin;
}

State read_state(const fs::path& checkpoint) {
  const fs::path file = checkpoint / "training.json";
  const json state = parse_json(read_file(file, 1 << 20), file.string());
  try {
    check(state.is_object(), "must hold a JSON object");
    check(state.contains("settings"), "settings: is missing");
    return {settings_from_json(state["settings"]), read_origin(state), read_progress(state)};
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", file.string(), error.what()));
  }
}

// The step of a folder named step-000500, or nothing for any other name.
std::optional<int> step_of(const fs::path& folder) {
  const std::string name = folder.filename().string();
  if (!name.starts_with(kPrefix)) return std::nullopt;
  int step = 0;
  const char* end = name.data() + name.size();
  const auto read = std::from_chars(name.data() + kPrefix.size(), end, step);
  if (read.ec != std::errc() || read.ptr != end) return std::nullopt;
  return step;
}

// All complete checkpoints, oldest first.
std::vector<fs::path> checkpoints(const fs::path& folder) {
  std::vector<std::pair<int, fs::path>> found;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder / "checkpoints", ignored)) {
    if (const auto step = step_of(entry.path())) found.emplace_back(*step, entry.path());
  }
  std::sort(found.begin(), found.end());
  std::vector<fs::path> paths;
  for (auto& [step, path] : found) paths.push_back(std::move(path));
  return paths;
}

// A folder that is half removed must not look like a checkpoint: it loses its name first.
void remove_checkpoint(const fs::path& checkpoint) {
  const fs::path removed = checkpoint.parent_path() / kRemoved;
  fs::remove_all(removed);
  fs::rename(checkpoint, removed);
  fs::remove_all(removed);
}

bool same_content(const fs::path& a, const fs::path& b) {
  return fs::exists(a) && fs::exists(b) && read_file(a) == read_file(b);
}

// Weights that are not finite are worth nothing, and must not take the place of some that are.
void check_finite(const Trainer& trainer) {
  // With `rounded`, what is trained is the master copy, in a model that has no gradients.
  const Trained<float> trained = trained_part(*trainer.model);
  std::vector<float> values(static_cast<std::size_t>(trained.total));
  trainer.model->memory.copy_out(values.data(), trained.values, values.size() * sizeof(float));
  const bool finite =
      std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
  check(finite, [&] {
    return fmt::format(
        "step {}: a parameter is no longer a finite number: the training has diverged, and the "
        "last checkpoint stays as it is; try a smaller --lr or a longer --warmup",
        trainer.step);
  });
}

void write_checkpoint(const Trainer& trainer, const TrainOrigin& origin, const fs::path& folder,
                      const std::string& tokenizer_json, const Product& product) {
  product.save(folder);
  save_moments(trainer, trainer.m, product, folder / "optimizer-m.safetensors");
  save_moments(trainer, trainer.v, product, folder / "optimizer-v.safetensors");
  write_file_atomically(folder / "tokenizer.json", tokenizer_json);
  write_file_atomically(folder / "tokenizer_config.json",
                        tokenizer_config_json(trainer.model->config, tokenizer_json));
  json state = {{"step", trainer.step},
                {"data_counter", trainer.data_random.counter},
                {"elapsed_s", trainer.elapsed},
                {"settings", settings_to_json(trainer.settings)},
                {"origin",
                 {{"data", origin.data},
                  {"corpus", origin.corpus},
                  {"kernels", origin.kernels},
                  {"threads", origin.threads},
                  {"device", origin.device}}}};
  if (!origin.base.empty()) {
    state["origin"]["base"] = origin.base;
    state["origin"]["base_sha256"] = origin.base_sha256;
  }
  if (trainer.validation_loss) state["validation_loss"] = *trainer.validation_loss;
  write_file_atomically(folder / "training.json", state.dump(2) + "\n");
  sync_folder(folder);
}

}  // namespace

void save_checkpoint(const Trainer& trainer, const TrainOrigin& origin, const fs::path& folder,
                     const std::string& tokenizer_json, const Product& product) {
  check_finite(trainer);
  const fs::path all = folder / "checkpoints";
  const fs::path final_name = all / fmt::format("{}{:06}", kPrefix, trainer.step);
  const fs::path unfinished = all / kUnfinished;
  fs::create_directories(all);
  fs::remove_all(unfinished);
  fs::create_directory(unfinished);
  try {
    write_checkpoint(trainer, origin, unfinished, tokenizer_json, completed(trainer, product));
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(unfinished, ignored);  // it may have filled the disk
    throw;
  }
  if (fs::exists(final_name)) remove_checkpoint(final_name);
  fs::rename(unfinished, final_name);
  sync_folder(all);
  publish_checkpoint(final_name, folder, product);
  const std::vector<fs::path> old = checkpoints(folder);
  for (std::size_t i = 0; i + 2 < old.size(); ++i) remove_checkpoint(old[i]);
}

std::optional<fs::path> newest_checkpoint(const fs::path& folder) {
  const std::vector<fs::path> all = checkpoints(folder);
  if (all.empty()) return std::nullopt;
  return all.back();
}

void publish_checkpoint(const fs::path& checkpoint, const fs::path& folder,
                        const Product& product) {
  // A model must not be found beside the config or tokenizer of another, not even for a moment.
  const bool same_kind = same_content(folder / product.config, checkpoint / product.config) &&
                         same_content(folder / "tokenizer.json", checkpoint / "tokenizer.json");
  if (!same_kind) fs::remove(folder / product.weights);
  for (const std::string& name : {product.config, std::string("tokenizer.json"),
                                  std::string("tokenizer_config.json"), product.weights}) {
    const fs::path from = checkpoint / name, to = folder / name;
    if (!fs::exists(from)) continue;  // older checkpoints have no tokenizer_config.json
    const fs::path link = folder / fmt::format(".{}.new", name);
    fs::remove(link);
    // A second name for the same content, moved over the old file in one step.
    std::error_code failed;
    fs::create_hard_link(from, link, failed);
    if (failed) fs::copy_file(from, link);  // a file system without hard links
    fs::rename(link, to);
    fs::remove(link);  // rename leaves it where both are one file already
  }
  sync_folder(folder);
}

void remove_checkpoints(const fs::path& folder) {
  // The newest goes last: whoever interrupts this finds the end of the old training, or nothing.
  for (const fs::path& checkpoint : checkpoints(folder)) remove_checkpoint(checkpoint);
}

CheckpointInfo read_checkpoint_info(const fs::path& checkpoint) {
  State state = read_state(checkpoint);
  return {std::move(state.settings), std::move(state.origin), state.progress.step};
}

void load_checkpoint(Trainer& trainer, const fs::path& checkpoint, const Product& product) {
  const Memory& memory = trainer.model->memory;
  const Product whole = completed(trainer, product);
  const Progress progress = read_state(checkpoint).progress;
  // Whatever can be refused is, before the trainer changes: it goes on whole or not at all.
  const Buffer<float> m =
      read_moments(trainer.m, whole, checkpoint / "optimizer-m.safetensors", false);
  const Buffer<float> v =
      read_moments(trainer.v, whole, checkpoint / "optimizer-v.safetensors", true);
  whole.load(checkpoint);
  memory.copy_in(trainer.m.data(), m.data(), m.span().size_bytes());
  memory.copy_in(trainer.v.data(), v.data(), v.span().size_bytes());
  trainer.rounded_is_current = false;
  trainer.data_random.counter = progress.data_counter;
  trainer.elapsed = progress.elapsed;
  trainer.validation_loss = progress.validation_loss;
  trainer.step = progress.step;
}

}  // namespace tinygpt
