// Folders of good files, of which an input replaces one: its first byte chooses which.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "solutions/table.h"
#include "tests/support/temporary_folder.h"
#include "tinygpt/core/file.h"
#include "tinygpt/io/safetensors.h"
#include "tinygpt/model/folder.h"
#include "tinygpt/train/checkpoint.h"

namespace tinygpt::test {

struct FuzzFile {
  char letter;  // what an input that replaces it begins with
  std::filesystem::path path;
  std::string content;  // as it should be
};

inline void write_plainly(const std::filesystem::path& path, std::string_view content) {
  std::ofstream(path, std::ios::binary) << content;
}

inline void add(std::vector<FuzzFile>& files, char letter, const std::filesystem::path& path) {
  files.push_back({letter, path, read_file(path)});
}

// work(path) with the input's file in the place of the good one at this path. An input that names
// no file does nothing.
template <class Work>
void with_replaced(const std::vector<FuzzFile>& files, const std::uint8_t* data, std::size_t size,
                   Work&& work) {
  if (size == 0) return;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  for (const FuzzFile& file : files) {
    if (file.letter != input[0]) continue;
    write_plainly(file.path, input.substr(1));
    work(file.path);
    write_plainly(file.path, file.content);
  }
}

inline GptConfig smallest_config() {
  GptConfig c;
  c.vocab_size = 3, c.context_length = 2, c.layers = 1;
  c.heads = c.kv_heads = 1, c.width = 2, c.hidden = 8;
  return c;
}

inline Gpt<float> fuzz_model(const GptConfig& config, Purpose purpose, int T) {
  Gpt<float> model = make_gpt(config, ref::ops(), host_memory(), purpose, 1, T);
  init_parameters(model, 1);
  return model;
}

// Two folders of one model: with all weights in one file, and in two shards.
struct ModelFolders {
  ModelFolders() {
    save_model(fuzz_model(smallest_config(), Purpose::inference, 1), whole());
    std::filesystem::create_directory(shards());
    std::filesystem::copy_file(whole() / "config.json", shards() / "config.json");
    write_shards(open_safetensors(whole() / "model.safetensors"));
    add(files, 'c', whole() / "config.json");
    add(files, 'w', whole() / "model.safetensors");
    add(files, 's', shards() / "model.safetensors.index.json");
    add(files, 'p', shards() / "b.safetensors");
  }
  std::filesystem::path whole() const { return folder / "whole"; }
  std::filesystem::path shards() const { return folder / "shards"; }

  void write_shards(const SafetensorsFile& f) const {
    const std::string names[] = {"a.safetensors", "b.safetensors"};
    std::vector<TensorSource> parts[2];
    std::string map;
    for (const auto& [name, view] : f.tensors) {
      const std::size_t part = parts[0].size() < f.tensors.size() / 2 ? 0 : 1;
      const auto write = [bytes = view.bytes](const Sink& sink) {
        sink(bytes.data(), bytes.size());
      };
      parts[part].push_back({name, view.shape, write});
      map += (map.empty() ? "\"" : ",\"") + name + "\":\"" + names[part] + "\"";
    }
    for (const std::size_t part : {0, 1}) {
      write_safetensors(shards() / names[part], parts[part], {});
    }
    write_plainly(shards() / "model.safetensors.index.json", "{\"weight_map\":{" + map + "}}");
  }

  TemporaryFolder folder;
  std::vector<FuzzFile> files;
};

// A trainer, and the checkpoint that it saved.
struct SavedTraining {
  SavedTraining() {
    TrainSettings settings;
    settings.batch = 1, settings.time = 2, settings.steps = 9, settings.warmup = 1;
    trainer = make_trainer(model, settings);
    std::fill_n(static_cast<float*>(trainer.m.data()), model.layout.total, 0.25f);
    std::fill_n(static_cast<float*>(trainer.v.data()), model.layout.total, 0.5f);
    save_checkpoint(trainer, {"data/x", "text", "ref", 1}, folder.path(), "{}\n");
    checkpoint = *newest_checkpoint(folder.path());
    add(files, 't', checkpoint / "training.json");
    add(files, 'w', checkpoint / "model.safetensors");
    add(files, 'm', checkpoint / "optimizer-m.safetensors");
    add(files, 'v', checkpoint / "optimizer-v.safetensors");
  }

  TemporaryFolder folder;
  std::filesystem::path checkpoint;
  std::vector<FuzzFile> files;
  Gpt<float> model = fuzz_model(smallest_config(), Purpose::training, 2);
  Trainer trainer;
};

}  // namespace tinygpt::test
