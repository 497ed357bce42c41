// What a GPT-2 costs, and what it starts from.
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "solutions/11-gpt/gpt.h"
#include "tinygpt/core/random.h"

namespace tinygpt::ref {

// Every tensor of GptParameters (tensors.h) has a shape; its size is their product. Count in
// std::int64_t: int ends at 2^31.
std::int64_t gpt_parameter_count(const GptShape& s) {
  // your code: 11.gpt_parameter_count
  const std::int64_t C = s.C;
  const std::int64_t attention = (3 * C * C + 3 * C) + (C * C + C);
  const std::int64_t mlp = (4 * C * C + 4 * C) + (4 * C * C + C);
  const std::int64_t norm = C + C;
  return s.V * C + s.max_T * C + s.L * (norm + attention + norm + mlp) + norm;
  // end of your code
}

// Biases cost an addition where a weight costs two operations for each input: left out.
double gpt_flops(const GptShape& s, int T) {
  // your code: 11.gpt_flops
  const double C = s.C;
  const double linears = 2 * (C * 3 * C + C * C + C * 4 * C + 4 * C * C);
  const double attention = 2 * (C + C) * (T + 1) / 2;
  const double head = 2 * C * s.V;
  return s.L * (linears + attention) + head;
  // end of your code
}

namespace {

// x[i] = deviation times the number i of a standard normal sequence. Another stream is another
// sequence, under the same seed.
void fill_normal(float* x, std::int64_t n, double deviation, std::uint64_t seed,
                 std::uint64_t stream) {
  Random random{seed, 0, stream};
  for (std::int64_t i = 0; i < n; ++i) x[i] = static_cast<float>(deviation * random.normal());
}

void fill(float* x, std::int64_t n, float value) { std::fill_n(x, n, value); }

}  // namespace

// fill_normal and fill stand above. A stream of random numbers of its own for each tensor keeps
// them different: count the streams.
void gpt_init(const GptParameters<float>& p, float deviation, std::uint64_t seed,
              const GptShape& s) {
  // your code: 11.gpt_init
  const std::int64_t C = s.C;
  const double to_stream = deviation / std::sqrt(2.0 * s.L);
  std::uint64_t stream = 0;
  fill_normal(p.wte, s.V * C, deviation, seed, ++stream);
  fill_normal(p.wpe, s.max_T * C, deviation, seed, ++stream);
  for (const BlockParameters<float>& b : p.blocks) {
    fill(b.norm1_weight, C, 1.0f), fill(b.norm1_bias, C, 0.0f);
    fill_normal(b.qkv_weight, 3 * C * C, deviation, seed, ++stream);
    fill(b.qkv_bias, 3 * C, 0.0f);
    fill_normal(b.proj_weight, C * C, to_stream, seed, ++stream);
    fill(b.proj_bias, C, 0.0f);
    fill(b.norm2_weight, C, 1.0f), fill(b.norm2_bias, C, 0.0f);
    fill_normal(b.up_weight, 4 * C * C, deviation, seed, ++stream);
    fill(b.up_bias, 4 * C, 0.0f);
    fill_normal(b.down_weight, C * 4 * C, to_stream, seed, ++stream);
    fill(b.down_bias, C, 0.0f);
  }
  fill(p.norm_f_weight, C, 1.0f), fill(p.norm_f_bias, C, 0.0f);
  // end of your code
}

}  // namespace tinygpt::ref
