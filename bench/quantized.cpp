// bench-quantized: the linear layers of a 110M LLaMA shape alone, over quantized weights: what a
// model's speed is made of. Decode reads every weight once a token, so it is bounded by memory.
#include <fmt/format.h>
#include <omp.h>

#include <cstdint>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "bench/measure.h"
#include "tinygpt/core/buffer.h"
#include "tinygpt/core/random.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/model/gpt.h"

namespace {

using namespace tinygpt;
using bench::Timing;

constexpr int kWidth = 768, kHidden = 2048, kLayers = 12, kVocab = 32000, kPrompt = 256;

// One matrix as a model holds it, in memory of its own.
struct Layer {
  QuantizedMatrix matrix;
  DeviceBuffer packed;
};

Layer random_layer(const Ops<float>& ops, QuantType type, int rows, int cols, Random& random) {
  const std::int64_t block_bytes = type == QuantType::q8_0 ? sizeof(BlockQ8_0) : sizeof(BlockQ4_0);
  const std::int64_t blocks = std::int64_t{rows} * cols / kQuantBlock;
  Buffer<std::uint8_t> file(blocks * block_bytes);
  for (std::int64_t b = 0; b < blocks; ++b) {
    std::uint8_t* block = file.data() + b * block_bytes;
    for (std::int64_t i = 0; i < block_bytes; ++i) {
      block[i] = static_cast<std::uint8_t>(random.below(256));
    }
    *reinterpret_cast<Float16*>(block) = Float16(0.001f);
  }
  Layer layer{{type, rows, cols, nullptr},
              DeviceBuffer(host_memory(), ops.quantized_packed_size(type, rows, cols))};
  ops.quantized_pack(layer.packed.data(), file.data(), type, rows, cols);
  layer.matrix.packed = layer.packed.data();
  return layer;
}

struct Model {
  std::vector<Layer> layers;
  Layer head;
  double bytes = 0;
};

Model random_model(const Ops<float>& ops, QuantType type) {
  Random random(1);
  Model model;
  const auto add = [&](int rows, int cols, int times) {
    for (int i = 0; i < times; ++i) {
      model.layers.push_back(random_layer(ops, type, rows, cols, random));
    }
  };
  for (int i = 0; i < kLayers; ++i) {
    add(kWidth, kWidth, 4);   // queries, keys, values, projection
    add(kHidden, kWidth, 2);  // gate, up
    add(kWidth, kHidden, 1);  // down
  }
  model.head = random_layer(ops, type, kVocab, kWidth, random);
  model.bytes = static_cast<double>(model.head.packed.bytes());
  for (const Layer& layer : model.layers) model.bytes += static_cast<double>(layer.packed.bytes());
  return model;
}

// N tokens through all layers; as when a prompt is read, only the last one meets the head.
void forward(const Ops<float>& ops, const Model& model, int N, float* out, const float* x,
             float* scratch) {
  for (const Layer& layer : model.layers) {
    ops.quantized_linear_forward(out, x, layer.matrix, nullptr, scratch, N);
  }
  ops.quantized_linear_forward(out, x, model.head.matrix, nullptr, scratch, 1);
}

void run(int threads, int rounds) {
  omp_set_num_threads(threads);
  const Ops<float> ops = cpu::ops();
  const Model models[] = {random_model(ops, QuantType::q8_0), random_model(ops, QuantType::q4_0)};
  Buffer<float> x(kPrompt * kHidden), out(std::int64_t{kPrompt} * kVocab);
  Buffer<float> scratch(ops.quantized_scratch_size(kPrompt, kVocab, kHidden));
  Random random(2);
  for (float& value : x.span()) value = static_cast<float>(random.uniform()) - 0.5f;
  std::vector<bench::Candidate> candidates;
  for (const Model& model : models) {
    for (const int N : {1, kPrompt}) {
      candidates.push_back(
          {fmt::format("{} {}", &model == models ? "Q8_0" : "Q4_0",
                       N == 1 ? "decode" : "prefill 256"),
           [&, N] { forward(ops, model, N, out.data(), x.data(), scratch.data()); }});
    }
  }
  const std::vector<Timing> times = bench::time_in_turn(candidates, rounds, 0.02);
  const double bandwidth = bench::measure_read_bandwidth(threads);
  fmt::print("{} threads, {:.1f} GB/s read from memory\n", threads, bandwidth * 1e-9);
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const double tokens = i % 2 == 0 ? 1 : kPrompt;
    fmt::print("{:<18} {:8.1f} tokens/s median, {:8.1f} best", candidates[i].name,
               tokens / times[i].median, tokens / times[i].min);
    if (tokens == 1) fmt::print(", {:.1f} GB/s", models[i / 2].bytes / times[i].min * 1e-9);
    fmt::print("\n");
  }
}

}  // namespace

int main(int count, char** words) {
  try {
    run(count > 1 ? std::atoi(words[1]) : 2, count > 2 ? std::atoi(words[2]) : 15);
  } catch (const std::exception& problem) {
    fmt::print(stderr, "bench-quantized: {}\n", problem.what());
    return 2;
  }
}
