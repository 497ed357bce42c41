#include "tests/ops/bfloat16.h"

#include <cmath>

#include "tests/support/catch.h"
#include "tests/support/compare.h"
#if defined(TINYGPT_TEST_GPU)
#include "tests/support/gpu.h"
#endif
#include "tests/support/implementations.h"
#include "tinygpt/simt/memory.h"

using namespace tinygpt::test;

namespace {

// This file is compiled for each world: the emulator's two, and a GPU.
tinygpt::Memory device_memory() {
#if defined(TINYGPT_TEST_GPU)
  return gpu_memory_or_skip();
#else
  return tinygpt::simt::emulated_memory();
#endif
}

double root_mean_square(const Values& values) {
  double sum = 0.0;
  for (const double v : values) sum += v * v;
  return std::sqrt(sum / static_cast<double>(values.size()));
}

}  // namespace

// Both compute in float, so they differ by the rounding of what is stored: half a unit of the last
// of bf16's eight bits. (An accumulator is rounded once, when the sum is stored.)
TEST_CASE("operators with bf16 in memory compute in float and round once", "[bf16]") {
  REQUIRE_FALSE(implementations().empty());  // sets the order of threads in check mode
  constexpr double kHalfUnit = 0x1.0p-8;
  const bool fast = GENERATE(false, true);
  int rounded = 0;
  for (const auto& [what, in_float, in_bf16] :
       tinygpt::test_cuda::bf16_beside_float(device_memory(), fast)) {
    const Values expected(in_float.begin(), in_float.end());
    // Attention on tensor cores also rounds the probabilities, and their gradients, that it sums
    // with: errors relative to the terms, which may be as large as eight usual sums.
    const bool inside = fast && what.starts_with("attention");
    const double term = inside ? 8.0 * root_mean_square(expected) : 1e-4;
    Values magnitudes;
    for (const double e : expected) magnitudes.push_back(std::abs(e) + term);
    const Shape shape = {{"i", static_cast<int>(expected.size())}};
    const std::string wrong =
        difference(what, in_bf16, expected, shape,
                   {.factor = 1, .magnitudes = magnitudes, .epsilon = kHalfUnit * 1.02});
    INFO(wrong);
    CHECK(wrong.empty());
    rounded += in_float != in_bf16;
  }
  CHECK(rounded >= 15);  // otherwise it was float all along
}
