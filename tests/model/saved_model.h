// A saved model in a folder, to be damaged in one place.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/model/tiny.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/io/safetensors.h"
#include "tinygpt/model/folder.h"

namespace tinygpt::testing {

inline Gpt<float> make_model(const GptConfig& config, std::uint64_t seed) {
  Gpt<float> model = make_gpt(config, ref::ops(), host_memory(), Purpose::inference, 1, 2);
  randomize_parameters(model, seed);
  return model;
}

inline std::vector<float> parameters_of(const Gpt<float>& model) {
  return {model.params(), model.params() + model.layout.total};
}

inline void write_plainly(const std::filesystem::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

inline nlohmann::json read_json(const std::filesystem::path& path) {
  return nlohmann::json::parse(read_file(path));
}

// A tensor in memory, and a file of them: to be changed and written again.
struct RawTensor {
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::string bytes;
};
using RawTensors = std::map<std::string, RawTensor>;

inline RawTensors read_raw(const std::filesystem::path& path) {
  const SafetensorsFile file = open_safetensors(path);
  RawTensors tensors;
  for (const auto& [name, view] : file.tensors) {
    const auto* data = reinterpret_cast<const char*>(view.bytes.data());
    tensors[name] = {view.dtype, view.shape, std::string(data, view.bytes.size())};
  }
  return tensors;
}

inline void write_raw(const std::filesystem::path& path, const RawTensors& tensors) {
  nlohmann::json header = nlohmann::json::object();
  std::string data;
  for (const auto& [name, t] : tensors) {
    header[name] = {{"dtype", t.dtype},
                    {"shape", t.shape},
                    {"data_offsets", {data.size(), data.size() + t.bytes.size()}}};
    data += t.bytes;
  }
  const std::string text = header.dump();
  const std::uint64_t length = text.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &length, 8);
  write_plainly(path, file + text + data);
}

// The files of a saved model.
struct Files {
  std::string config, weights;
};

inline Files save_once(const GptConfig& config) {
  const test::TemporaryFolder folder;
  save_model(make_model(config, 1), folder.path());
  return {read_file(folder / "config.json"), read_file(folder / "model.safetensors")};
}

// A saved model in a folder of its own, to be damaged.
struct Saved {
  explicit Saved(const GptConfig& shape) : config(shape) {
    static const Files gpt2 = save_once(tiny_gpt2()), llama = save_once(tiny_llama());
    const Files& files = config.family == Family::gpt2 ? gpt2 : llama;
    write_plainly(folder / "config.json", files.config);
    write_plainly(weights(), files.weights);
  }
  const std::filesystem::path& path() const { return folder.path(); }
  std::filesystem::path weights() const { return folder / "model.safetensors"; }

  template <class Change>
  void change_config(Change change) {
    config_is_changed = true;
    nlohmann::json j = read_json(folder / "config.json");
    change(j);
    write_plainly(folder / "config.json", j.dump());
  }
  template <class Change>
  void change_tensors(Change change) const {
    RawTensors tensors = read_raw(weights());
    change(tensors);
    write_raw(weights(), tensors);
  }
  // The message with which reading is refused. A model that was made before keeps its parameters.
  std::string refusal() const {
    Gpt<float> model = make_model(config, 2);
    const std::vector<float> before = parameters_of(model);
    std::string message = "it was accepted";
    try {
      const GptConfig read = read_model_config(path());
      if (read == config) load_parameters(model, path());
      else return message + ", with another config";
    } catch (const Error& e) {
      message = e.what();
      CHECK(message.find('\n') == std::string::npos);
      CHECK(message.size() < 500);
      CHECK(message.rfind(path().string(), 0) == 0);
      // Bad weights are refused also without a look at config.json, and nothing is half loaded.
      if (!config_is_changed && message.find("config.json: ") == std::string::npos) {
        CHECK_THROWS_AS(load_parameters(model, path()), Error);
      }
      CHECK((parameters_of(model) == before));
    }
    return message;
  }

  GptConfig config;
  bool config_is_changed = false;
  test::TemporaryFolder folder;
};

}  // namespace tinygpt::testing
