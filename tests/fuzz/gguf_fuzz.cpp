// libFuzzer target: any bytes as a GGUF file are refused with Error, or give tensors and settings
// that can be read to their ends; and the model and the tokenizer that they may be are refused with
// Error or load whole: as floats, and as the engine's weights, with which it writes a token.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "solutions/table.h"
#include "tests/support/temporary_folder.h"
#include "tinygpt/core/error.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/infer/engine.h"
#include "tinygpt/model/gguf_model.h"

using namespace tinygpt;

namespace {

void require(bool ok) {
  if (!ok) std::abort();
}

void read_to_the_end(const GgufFile& g, std::size_t size) {
  for (const GgufTensor& tensor : g.tensors) {
    require(static_cast<std::size_t>(tensor.size()) <= 8 * size);
    std::vector<float> values(static_cast<std::size_t>(tensor.size()));
    copy_as_float(values, tensor);
    require(g.find(tensor.name) != nullptr);
  }
  for (const auto& [key, value] : g.settings) require(g.has(key));
}

void use_tokenizer(const GgufFile& g) {
  const Tokenizer t = read_gguf_tokenizer(g);
  for (const std::string& token : t.vocabulary) {
    try {
      const std::string back = decode(t, encode(t, token));
      require(t.add_prefix_space || back == token);
    } catch (const Error&) {  // a byte that has no token
    }
  }
}

void load_model(const GgufFile& g) {
  const GptConfig config = read_gguf_config(g);
  Gpt<float> model = make_gpt(config, ref::ops(), host_memory(), Purpose::inference, 1, 1);
  load_gguf(model, g);
  const float* values = model.params();
  require(
      std::all_of(values, values + model.layout.total, [](float x) { return std::isfinite(x); }));
}

// The engine maps the file, so that it needs one.
void load_engine(const std::uint8_t* data, std::size_t size) {
  static const test::TemporaryFolder folder;
  const std::filesystem::path path = folder / "fuzz.gguf";
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  const auto gguf = open_gguf_weights(path, cpu::ops(), host_memory());
  EngineSettings settings;
  settings.capacity = settings.rows = 1;
  Engine<float> engine = make_engine(gguf->weights, settings);
  const int token = 0;
  const SequenceInput input{add_sequence(engine), {&token, 1}, WantLogits::last};
  require(run(engine, std::span(&input, 1)) == 1);
  require(logits_of(engine, 0).size() == static_cast<std::size_t>(gguf->weights.config.vocab_size));
}

template <class Work>
void attempt(Work&& work) {
  try {
    work();
  } catch (const Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint64_t> aligned(size / 8 + 1);
  if (size > 0) std::memcpy(aligned.data(), data, size);
  attempt([&] {
    const GgufFile g =
        parse_gguf({reinterpret_cast<const std::byte*>(aligned.data()), size}, "fuzz");
    read_to_the_end(g, size);
    attempt([&] { use_tokenizer(g); });
    attempt([&] { load_model(g); });
    attempt([&] { load_engine(data, size); });
  });
  return 0;
}
