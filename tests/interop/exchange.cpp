// What the checks of this folder ask the library for. MODEL is a model's folder, computed in
// floats, or a GGUF file, which the engine computes on weights that stay quantized. Results go to
// files that Python reads.
//
//   interop_exchange logits FOLDER            FOLDER/tokens.json to FOLDER/logits.safetensors, and
//                                             the model, as we save it, to FOLDER/saved
//   interop_exchange encode MODEL TEXTS IDS   a JSON list of texts to a list of lists of ids
//   interop_exchange continue MODEL PROMPTS N RESULT
//                                             a JSON list of lists of ids: N tokens more, greedily
//   interop_exchange probabilities MODEL TEXTS RESULT
//                                             a JSON list of lists of ids: the next token's
//                                             probabilities [T, V] after each, as tensors 0, 1, ...
//   interop_exchange tensors FILE RESULT      every tensor of a GGUF file as floats
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/infer/engine.h"
#include "tinygpt/infer/generate.h"
#include "tinygpt/io/json.h"
#include "tinygpt/io/safetensors.h"
#include "tinygpt/io/tokenizer_json.h"
#include "tinygpt/model/folder.h"
#include "tinygpt/model/gguf_model.h"

using namespace tinygpt;
namespace fs = std::filesystem;

namespace {

using Lists = std::vector<std::vector<int>>;

template <class T>
T read_list(const fs::path& file) {
  return parse_json(read_file(file), file.string()).get<T>();
}

Gpt<float> load_model(const fs::path& folder, int longest) {
  const GptConfig config = read_model_config(folder);
  const int T = std::min(longest, config.context_length);
  Gpt<float> model = make_gpt(config, cpu::ops(), host_memory(), Purpose::inference, 1, T);
  load_parameters(model, folder);
  return model;
}

Tokenizer read_tokenizer(const fs::path& path) {
  if (path.extension() == ".gguf") return read_gguf_tokenizer(open_gguf(path));
  return load_folder_tokenizer(path);
}

// The logits [T, V].
std::vector<float> logits_of(Gpt<float>& model, const std::vector<int>& tokens) {
  forward(model, tokens, {}, 1, static_cast<int>(tokens.size()));
  std::vector<float> logits(tokens.size() * static_cast<std::size_t>(model.config.vocab_size));
  copy_logits(model, 0, logits);
  return logits;
}

void softmax_rows(std::vector<float>& logits, std::size_t V) {
  for (std::size_t at = 0; at < logits.size(); at += V) {
    const auto row = std::span(logits).subspan(at, V);
    const double most = *std::max_element(row.begin(), row.end());
    double sum = 0;
    for (const float x : row) sum += std::exp(x - most);
    for (float& x : row) x = static_cast<float>(std::exp(x - most) / sum);
  }
}

void write_tensors(const fs::path& file, const std::vector<std::string>& names,
                   const std::vector<std::vector<std::int64_t>>& shapes,
                   const std::vector<std::vector<float>>& values) {
  std::vector<TensorSource> sources;
  for (std::size_t i = 0; i < names.size(); ++i) {
    sources.push_back({names[i], shapes[i], [&v = values[i]](const Sink& sink) {
                         sink(v.data(), v.size() * sizeof(float));
                       }});
  }
  write_safetensors(file, sources, {});
}

void write_logits(const fs::path& folder) {
  const auto tokens = read_list<std::vector<int>>(folder / "tokens.json");
  const int T = static_cast<int>(tokens.size());
  Gpt<float> model = load_model(folder, T);
  write_tensors(folder / "logits.safetensors", {"logits"}, {{1, T, model.config.vocab_size}},
                {logits_of(model, tokens)});
  save_model(model, folder / "saved");
}

void write_ids(const fs::path& model, const fs::path& texts, const fs::path& result) {
  const Tokenizer tokenizer = read_tokenizer(model);
  Lists ids;
  for (const auto& text : read_list<std::vector<std::string>>(texts)) {
    ids.push_back(encode(tokenizer, text));
    check(decode(tokenizer, ids.back()) == text, "a text does not come back from its ids");
  }
  write_file_atomically(result, nlohmann::json(ids).dump());
}

void write_continuations(const fs::path& path, const fs::path& prompts, int count,
                         const fs::path& result) {
  const bool is_file = path.extension() == ".gguf";
  const auto gguf = is_file ? open_gguf_weights(path, cpu::ops(), host_memory()) : nullptr;
  GenerateSettings settings;
  settings.sampling.temperature = 0;
  settings.max_tokens = count;
  Lists written;
  for (const std::vector<int>& prompt : read_list<Lists>(prompts)) {
    if (is_file) {
      Engine<float> engine = make_engine(gguf->weights, EngineSettings{});
      written.push_back(generate(engine, add_sequence(engine), prompt, settings));
    } else {
      Gpt<float> model = load_model(path, static_cast<int>(prompt.size()) + count);
      written.push_back(generate<float>(model, prompt, settings));
    }
  }
  write_file_atomically(result, nlohmann::json(written).dump());
}

// The same from the engine.
std::vector<float> logits_of(const GgufWeights& gguf, const std::vector<int>& tokens) {
  const int T = static_cast<int>(tokens.size());
  EngineSettings settings;
  settings.capacity = settings.logit_rows = T;
  Engine<float> engine = make_engine(gguf.weights, settings);
  const SequenceInput input{add_sequence(engine), tokens, WantLogits::all};
  const int rows = run(engine, std::span(&input, 1));
  check(rows == T, "the engine gives other logits than were asked for");
  std::vector<float> logits;
  for (int t = 0; t < T; ++t) {
    const std::span<const float> row = logits_of(engine, t);
    logits.insert(logits.end(), row.begin(), row.end());
  }
  return logits;
}

void write_probabilities(const fs::path& path, const fs::path& texts, const fs::path& result) {
  const bool is_file = path.extension() == ".gguf";
  const auto gguf = is_file ? open_gguf_weights(path, cpu::ops(), host_memory()) : nullptr;
  std::vector<std::string> names;
  std::vector<std::vector<std::int64_t>> shapes;
  std::vector<std::vector<float>> values;
  for (const std::vector<int>& tokens : read_list<Lists>(texts)) {
    const auto T = static_cast<std::int64_t>(tokens.size());
    if (is_file) {
      values.push_back(logits_of(*gguf, tokens));
    } else {
      Gpt<float> model = load_model(path, static_cast<int>(T));
      values.push_back(logits_of(model, tokens));
    }
    const std::size_t V = values.back().size() / tokens.size();
    names.push_back(std::to_string(names.size()));
    shapes.push_back({T, static_cast<std::int64_t>(V)});
    softmax_rows(values.back(), V);
  }
  write_tensors(result, names, shapes, values);
}

void write_gguf_tensors(const fs::path& path, const fs::path& result) {
  const GgufFile file = open_gguf(path);
  std::vector<std::string> names;
  std::vector<std::vector<std::int64_t>> shapes;
  std::vector<std::vector<float>> values;
  for (const GgufTensor& t : file.tensors) {
    names.push_back(t.name);
    shapes.push_back(t.shape);
    values.emplace_back(static_cast<std::size_t>(t.size()));
    copy_as_float(values.back(), t);
  }
  write_tensors(result, names, shapes, values);
}

void run(const std::vector<std::string>& words) {
  const std::string& what = words.empty() ? std::string() : words[0];
  const std::size_t n = words.size();
  if (what == "logits" && n == 2) return write_logits(words[1]);
  if (what == "encode" && n == 4) return write_ids(words[1], words[2], words[3]);
  if (what == "continue" && n == 5)
    return write_continuations(words[1], words[2], std::stoi(words[3]), words[4]);
  if (what == "probabilities" && n == 4) return write_probabilities(words[1], words[2], words[3]);
  if (what == "tensors" && n == 3) return write_gguf_tensors(words[1], words[2]);
  throw Error("usage: at the top of tests/interop/exchange.cpp");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    run({argv + 1, argv + argc});
  } catch (const std::exception& e) {
    std::fprintf(stderr, "interop_exchange: %s\n", e.what());
    return 2;
  }
  return 0;
}
