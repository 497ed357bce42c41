// What a GPT-2 costs, and what it starts from.
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "exercises/11-gpt/gpt.h"
#include "tinygpt/core/random.h"
#include "tinygpt/core/error.h"  // NotImplemented

namespace tinygpt::mine {

// Every tensor of GptParameters (tensors.h) has a shape; its size is their product. Count in
// std::int64_t: int ends at 2^31.
std::int64_t gpt_parameter_count(const GptShape& s) {
  // your code: 11.gpt_parameter_count
  throw NotImplemented("11.gpt_parameter_count");
  // end of your code
}

// Biases cost an addition where a weight costs two operations for each input: left out.
double gpt_flops(const GptShape& s, int T) {
  // your code: 11.gpt_flops
  throw NotImplemented("11.gpt_flops");
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
  throw NotImplemented("11.gpt_init");
  // end of your code
}

}  // namespace tinygpt::mine
