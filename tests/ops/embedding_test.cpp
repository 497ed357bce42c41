#include <cmath>
#include <cstdint>

#include "tests/support/catch.h"
#include "tests/support/random_values.h"
#include "tests/support/sandbox.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

struct Size {
  int N, C, V;
};
// Few classes make tokens repeat; the last sizes are large enough for several threads.
const std::vector<Size> kSizes = {{0, 3, 5},   {3, 0, 5},     {1, 1, 1},
                                  {7, 5, 3},   {20, 16, 2},   {9, 17, 40},
                                  {65, 31, 1}, {3000, 33, 7}, {2000, 64, 500}};

}  // namespace

TEST_CASE("embedding_forward copies the row of each token", "[embedding][forward][lesson-02]") {
  for (const Implementation& i : implementations()) {
    for (const auto& [N, C, V] : kSizes) {
      if (too_much_to_watch(i, std::int64_t{N} * C)) continue;
      const Values table = random_values(std::int64_t{V} * C, 1);
      const std::vector<int> ids = random_tokens(N, V, 2);
      Values expected;
      for (const int id : ids) {
        for (int c = 0; c < C; ++c) expected.push_back(table[static_cast<std::size_t>(id) * C + c]);
      }
      Sandbox s(i, "embedding_forward");
      const float* weight = s.input(table);
      const int* tokens = s.input(ids);
      float* out = s.output(std::int64_t{N} * C);
      i.ops.embedding_forward(out, tokens, weight, N, C, V);
      s.expect("out", out, expected, {{"n", N}, {"c", C}}, {.factor = 0});  // a copy is exact
    }
  }
}

TEST_CASE("embedding_backward adds up what repeated tokens receive",
          "[embedding][backward][lesson-02]") {
  for (const Implementation& i : implementations()) {
    for (const auto& [N, C, V] : kSizes) {
      if (too_much_to_watch(i, std::int64_t{N} * C)) continue;
      const Values gradient = random_values(std::int64_t{N} * C, 1);
      const std::vector<int> ids = random_tokens(N, V, 2);
      Values sum(static_cast<std::size_t>(V) * C), magnitude = sum;
      for (std::size_t k = 0; k < gradient.size(); ++k) {
        const auto width = static_cast<std::size_t>(C);
        const std::size_t to = static_cast<std::size_t>(ids[k / width]) * width + k % width;
        sum[to] += gradient[k];
        magnitude[to] += std::abs(gradient[k]);
      }
      Sandbox s(i, "embedding_backward");
      const float* dout = s.input(gradient);
      const int* tokens = s.input(ids);
      float* dweight = s.accumulator(std::int64_t{V} * C);
      i.ops.embedding_backward(dweight, dout, tokens, N, C, V);
      // Random roundings of N / V additions to sums of about the root of that.
      s.expect_added("dweight", dweight, sum, {{"v", V}, {"c", C}},
                     {.factor = 4, .magnitudes = magnitude});
    }
  }
}
