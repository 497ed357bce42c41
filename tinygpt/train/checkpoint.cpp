#include "tinygpt/train/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <vector>

#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/model/folder.h"

namespace tinygpt {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::string_view kPrefix = "step-";

float* floats(const DeviceBuffer& buffer) { return static_cast<float*>(buffer.data()); }

json settings_to_json(const TrainSettings& s) {
  return {{"batch", s.batch},
          {"time", s.time},
          {"accumulate", s.accumulate},
          {"steps", s.steps},
          {"lr", s.lr},
          {"min_lr", s.min_lr},
          {"warmup", s.warmup},
          {"beta1", s.beta1},
          {"beta2", s.beta2},
          {"weight_decay", s.weight_decay},
          {"clip", s.clip},
          {"seed", s.seed},
          {"eval_every", s.eval_every},
          {"eval_windows", s.eval_windows},
          {"eval_context", s.eval_context}};
}

TrainSettings settings_from_json(const json& value) {
  TrainSettings s;
  value.at("batch").get_to(s.batch);
  value.at("time").get_to(s.time);
  value.at("accumulate").get_to(s.accumulate);
  value.at("steps").get_to(s.steps);
  value.at("lr").get_to(s.lr);
  value.at("min_lr").get_to(s.min_lr);
  value.at("warmup").get_to(s.warmup);
  value.at("beta1").get_to(s.beta1);
  value.at("beta2").get_to(s.beta2);
  value.at("weight_decay").get_to(s.weight_decay);
  value.at("clip").get_to(s.clip);
  value.at("seed").get_to(s.seed);
  value.at("eval_every").get_to(s.eval_every);
  value.at("eval_windows").get_to(s.eval_windows);
  value.at("eval_context").get_to(s.eval_context);
  return s;
}

json read_json(const fs::path& path) {
  const std::string text = read_file(path, 1 << 20);
  try {
    return json::parse(text);
  } catch (const json::exception& error) {
    throw Error(fmt::format("{}: {}", path.string(), error.what()));
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

// Gives the folder's own model the files of the checkpoint: a second name for the same content,
// moved over the old file in one step.
void publish(const fs::path& checkpoint, const fs::path& folder) {
  // A model of another shape must not be found beside the new config.json, not even for a moment.
  const bool same_shape =
      fs::exists(folder / "config.json") &&
      read_file(folder / "config.json") == read_file(checkpoint / "config.json");
  if (!same_shape) fs::remove(folder / "model.safetensors");
  for (const char* name : {"config.json", "tokenizer.json", "model.safetensors"}) {
    const fs::path from = checkpoint / name, to = folder / name;
    const fs::path link = folder / fmt::format(".{}.new", name);
    fs::remove(link);
    std::error_code failed;
    fs::create_hard_link(from, link, failed);
    if (failed) fs::copy_file(from, link);  // a file system without hard links
    fs::rename(link, to);
  }
  sync_folder(folder);
}

}  // namespace

void save_checkpoint(const Trainer& trainer, const fs::path& folder,
                     const std::string& tokenizer_json) {
  const fs::path all = folder / "checkpoints";
  fs::create_directories(all);
  const fs::path final_name = all / fmt::format("{}{:06}", kPrefix, trainer.step);
  const fs::path temporary = all / ".unfinished";
  fs::remove_all(temporary);
  fs::create_directory(temporary);
  const Gpt<float>& model = *trainer.model;
  save_model(model, temporary);
  save_tensors(model.layout, model.config, floats(trainer.m),
               temporary / "optimizer-m.safetensors");
  save_tensors(model.layout, model.config, floats(trainer.v),
               temporary / "optimizer-v.safetensors");
  write_file_atomically(temporary / "tokenizer.json", tokenizer_json);
  const json state = {{"step", trainer.step},
                      {"data_counter", trainer.data_random.counter},
                      {"settings", settings_to_json(trainer.settings)}};
  write_file_atomically(temporary / "training.json", state.dump(2) + "\n");
  sync_folder(temporary);
  // After an interrupted run a checkpoint of this step may be there: it is the same to the bit.
  fs::remove_all(final_name);
  fs::rename(temporary, final_name);
  sync_folder(all);
  publish(final_name, folder);
  const std::vector<fs::path> old = checkpoints(folder);
  for (std::size_t i = 0; i + 2 < old.size(); ++i) fs::remove_all(old[i]);
}

std::optional<fs::path> newest_checkpoint(const fs::path& folder) {
  const std::vector<fs::path> all = checkpoints(folder);
  if (all.empty()) return std::nullopt;
  return all.back();
}

TrainSettings load_settings(const fs::path& checkpoint) {
  const fs::path path = checkpoint / "training.json";
  try {
    return settings_from_json(read_json(path).at("settings"));
  } catch (const json::exception& error) {
    throw Error(fmt::format("{}: {}", path.string(), error.what()));
  }
}

void load_checkpoint(Trainer& trainer, const fs::path& checkpoint) {
  const fs::path path = checkpoint / "training.json";
  Gpt<float>& model = *trainer.model;
  try {
    const json state = read_json(path);
    const int step = state.at("step").get<int>();
    check(step >= 0, [&] { return fmt::format("{}: step is {}", path.string(), step); });
    load_parameters(model, checkpoint);
    load_tensors(model.layout, model.config, floats(trainer.m),
                 checkpoint / "optimizer-m.safetensors");
    load_tensors(model.layout, model.config, floats(trainer.v),
                 checkpoint / "optimizer-v.safetensors");
    trainer.data_random.counter = state.at("data_counter").get<std::uint64_t>();
    trainer.step = step;
  } catch (const json::exception& error) {
    throw Error(fmt::format("{}: {}", path.string(), error.what()));
  }
}

TrainingLog::TrainingLog(const fs::path& folder, int step) : path_(folder / "log.jsonl") {
  std::string kept;
  if (step > 0 && fs::exists(path_)) {
    const std::string text = read_file(path_);
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = text.find('\n', at);
      if (end == std::string::npos) break;  // cut off
      const json line =
          json::parse(text.begin() + static_cast<std::ptrdiff_t>(at),
                      text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
      const bool valid = line.is_object() && line.value("step", 0) <= step;
      if (valid) kept.append(text, at, end + 1 - at);
      at = end + 1;
    }
  }
  write_file_atomically(path_, kept);
  file_ = std::fopen(path_.c_str(), "a");
  check(file_ != nullptr, [&] { return fmt::format("{}: cannot be written", path_.string()); });
}

TrainingLog::~TrainingLog() { std::fclose(file_); }

void TrainingLog::write(const std::string& json_line) {
  fmt::print(file_, "{}\n", json_line);
  check(std::fflush(file_) == 0,
        [&] { return fmt::format("{}: cannot be written: is the disk full?", path_.string()); });
}

}  // namespace tinygpt
