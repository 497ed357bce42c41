#include "tests/support/operator_case.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

struct Size {
  int N, C, V;
};
// Few classes make tokens repeat; the last sizes are large enough for several threads.
const std::vector<Size> kSizes = {{0, 3, 5},   {1, 1, 1},     {7, 5, 3},      {20, 16, 2},
                                  {9, 17, 40}, {3000, 33, 7}, {2000, 64, 500}};

}  // namespace

TEST_CASE("embedding_forward copies the row of each token", "[embedding][forward][lesson-02]") {
  for (const Implementation& i : implementations()) {
    for (const auto& [N, C, V] : kSizes) {
      const Values weight = random_values(std::int64_t{V} * C, 1);
      const std::vector<int> tokens = random_tokens(N, V, 2);
      Values expected;
      for (const int token : tokens) {
        for (int c = 0; c < C; ++c) expected.push_back(weight[std::size_t(token) * C + c]);
      }
      Guarded w(weight, 1), out(std::int64_t{N} * C);
      i.ops.embedding_forward(out.data(), tokens.data(), w.data(), N, C, V);
      CHECK_SAME("embedding_forward of " + i.name, out.values(), expected, {{"n", N}, {"c", C}},
                 {});
      CHECK((out.is_intact() && w.is_unchanged()));
    }
  }
}

TEST_CASE("embedding_backward adds up what repeated tokens receive",
          "[embedding][backward][lesson-02]") {
  for (const Implementation& i : implementations()) {
    for (const auto& [N, C, V] : kSizes) {
      const Values dout = random_values(std::int64_t{N} * C, 1);
      const std::vector<int> tokens = random_tokens(N, V, 2);
      Guarded d(dout, 1), dw = accumulator(std::int64_t{V} * C, 3);
      Values expected = dw.doubles();
      for (int n = 0; n < N; ++n) {
        for (int c = 0; c < C; ++c) {
          expected[std::size_t(tokens[n]) * C + c] += dout[std::size_t(n) * C + c];
        }
      }
      i.ops.embedding_backward(dw.data(), d.data(), tokens.data(), N, C, V);
      CHECK_SAME("embedding_backward of " + i.name, dw.values(), expected, {{"v", V}, {"c", C}},
                 {.terms = double(N) / V + 1, .scale = 40});
      CHECK((dw.is_intact() && d.is_unchanged()));
    }
  }
}
