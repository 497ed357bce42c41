#include <cstdint>

#include "tests/ops/equations.h"
#include "tests/support/catch.h"
#include "tests/support/random_values.h"
#include "tests/support/sandbox.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

struct Size {
  int N, C, OC, rank;
  int before, after;  // columns of out beside the adapter's own
};

// Ones, primes, ranks above a tile of 32, wider than deep and deeper than wide, empty ones.
const std::vector<Size> kSizes = {
    {1, 1, 1, 1, 0, 0},      {1, 7, 5, 3, 0, 0},       {5, 1, 3, 2, 1, 0},
    {3, 5, 1, 4, 0, 2},      {2, 17, 13, 8, 4, 3},     {7, 64, 65, 16, 0, 0},
    {16, 31, 33, 5, 7, 0},   {17, 33, 29, 8, 29, 29},  {65, 129, 97, 37, 0, 64},
    {33, 100, 300, 8, 0, 0}, {128, 257, 47, 64, 0, 0}, {97, 300, 259, 7, 3, 5},
    {0, 3, 4, 2, 0, 0},      {3, 4, 0, 2, 1, 1},       {3, 0, 4, 2, 0, 0}};
constexpr float kScale = 1.75f;

std::vector<Values> random_inputs(const Size& s) {
  return {random_values(std::int64_t{s.N} * s.C, 1), random_values(std::int64_t{s.rank} * s.C, 2),
          random_values(std::int64_t{s.OC} * s.rank, 3)};
}

// The values of a matrix [N, OC] among those of a wider one, whose others are `other`.
Values widened(const Size& s, const Values& values, const Values& other) {
  const int width = s.before + s.OC + s.after;
  Values wide = other;
  for (int n = 0; n < s.N; ++n) {
    for (int o = 0; o < s.OC; ++o) {
      wide[static_cast<std::size_t>(n) * width + s.before + o] =
          values[static_cast<std::size_t>(n) * s.OC + o];
    }
  }
  return wide;
}

// x A^T, which forward saves.
Exact saved(const Size& s, const std::vector<Values>& in) {
  const Values no_bias(static_cast<std::size_t>(s.rank));
  return linear_equation(s.N, s.C, s.rank).forward({in[0], in[1], no_bias});
}

}  // namespace

TEST_CASE("lora_forward adds scale (x A^T) B^T to its columns of out",
          "[lora][forward][lesson-19]") {
  for (const Size& size : kSizes) {
    const auto& [N, C, OC, rank, before, after] = size;
    const int width = before + OC + after;
    const std::vector<Values> in = random_inputs(size);
    const Exact expected = lora_equation(N, C, OC, rank, kScale).forward(in);
    const Values nothing(static_cast<std::size_t>(N) * width);
    const Exact ax_expected = saved(size, in);
    for (const Implementation& i : implementations()) {
      if (too_much_to_watch(i, std::int64_t{N} * rank * (C + OC), 300'000)) continue;
      Sandbox s(i, "lora_forward");
      const float *x = s.input(in[0]), *a = s.input(in[1]), *b = s.input(in[2]);
      float *out = s.accumulator(std::int64_t{N} * width), *ax = s.output(std::int64_t{N} * rank);
      float* scratch = s.scratch(i.ops.lora_scratch_size(N, C, OC, rank));
      i.ops.lora_forward(out + before, ax, x, a, b, scratch, N, C, OC, width, rank, kScale);
      s.expect_added("out", out, widened(size, expected.value, nothing), {{"n", N}, {"o", width}},
                     {.terms = C + rank + 2.0,
                      .factor = 2,
                      .magnitudes = widened(size, expected.magnitude, nothing)});
      s.expect("ax", ax, ax_expected.value, {{"n", N}, {"r", rank}},
               {.terms = C + 1.0, .factor = 2, .magnitudes = ax_expected.magnitude});
    }
  }
}

TEST_CASE("lora_backward adds the gradients of x, A and B, and none of the weight",
          "[lora][backward][lesson-19]") {
  for (const Size& size : kSizes) {
    const auto& [N, C, OC, rank, before, after] = size;
    const int width = before + OC + after;
    const std::vector<Values> in = random_inputs(size);
    const Values dout = random_values(std::int64_t{N} * OC, 4);
    // What stands beside the adapter's columns must not be read as theirs.
    const Values wide = widened(size, dout, random_values(std::int64_t{N} * width, 5, 100.0));
    const std::vector<Exact> expected = lora_equation(N, C, OC, rank, kScale).backward(in, dout);
    const Values ax_values = saved(size, in).value;
    for (const Implementation& i : implementations()) {
      if (too_much_to_watch(i, std::int64_t{N} * rank * (C + OC), 300'000)) continue;
      for (const bool with_dx : {true, false}) {
        Sandbox s(i, with_dx ? "lora_backward" : "lora_backward without dx");
        const float *x = s.input(in[0]), *a = s.input(in[1]), *b = s.input(in[2]);
        const float *d = s.input(wide), *ax = s.input(ax_values);
        float *dx = s.accumulator(std::int64_t{N} * C), *da = s.accumulator(std::int64_t{rank} * C);
        float* db = s.accumulator(std::int64_t{OC} * rank);
        float* scratch = s.scratch(i.ops.lora_scratch_size(N, C, OC, rank));
        i.ops.lora_backward(with_dx ? dx : nullptr, da, db, d + before, ax, x, a, b, scratch, N, C,
                            OC, width, rank, kScale);
        const auto within = [](const Exact& e, double terms) {
          return Tolerance{.terms = terms + 2, .factor = 2, .magnitudes = e.magnitude};
        };
        if (with_dx) {
          s.expect_added("dx", dx, expected[0].value, {{"n", N}, {"c", C}},
                         within(expected[0], OC + rank));
        }
        s.expect_added("da", da, expected[1].value, {{"r", rank}, {"c", C}},
                       within(expected[1], N + OC));
        s.expect_added("db", db, expected[2].value, {{"o", OC}, {"r", rank}},
                       within(expected[2], N + C));
      }
    }
  }
}

TEST_CASE("lora_merge adds scale B A to the weight, and -scale takes it out again",
          "[lora][forward][lesson-19]") {
  for (const Size& size : kSizes) {
    const auto& [N, C, OC, rank, before, after] = size;
    const std::vector<Values> in = random_inputs(size);
    // B A is what a linear layer with weight A^T makes of the rows of B.
    Values a_transposed(in[1].size());
    for (int r = 0; r < rank; ++r) {
      for (int c = 0; c < C; ++c) {
        a_transposed[static_cast<std::size_t>(c) * rank + r] =
            kScale * in[1][static_cast<std::size_t>(r) * C + c];
      }
    }
    const Exact expected = linear_equation(OC, rank, C)
                               .forward({in[2], a_transposed, Values(static_cast<std::size_t>(C))});
    for (const Implementation& i : implementations()) {
      if (too_much_to_watch(i, std::int64_t{OC} * C * rank, 300'000)) continue;
      Sandbox s(i, "lora_merge");
      const float *a = s.input(in[1]), *b = s.input(in[2]);
      float* weight = s.accumulator(std::int64_t{OC} * C);
      const Tolerance within{.terms = rank + 2.0, .factor = 2, .magnitudes = expected.magnitude};
      i.ops.lora_merge(weight, a, b, C, OC, rank, kScale);
      s.expect_added("weight", weight, expected.value, {{"o", OC}, {"c", C}}, within);
      i.ops.lora_merge(weight, a, b, C, OC, rank, -kScale);
      const Values none(expected.value.size());
      s.expect_added("weight after unmerging", weight, none, {{"o", OC}, {"c", C}}, within);
    }
  }
}

TEST_CASE("linear_lora_forward is linear, then lora", "[fused][lora][forward][lesson-19]") {
  for (const Size& size : kSizes) {
    const auto& [N, C, OC, rank, before, after] = size;
    const std::vector<Values> in = random_inputs(size);
    const Values weight = random_values(std::int64_t{OC} * C, 6);
    const Exact ax_expected = saved(size, in);
    const Exact lora = lora_equation(N, C, OC, rank, kScale).forward(in);
    for (const bool with_bias : {true, false}) {
      const Values bias = with_bias ? random_values(OC, 7) : Values(static_cast<std::size_t>(OC));
      Exact expected = linear_equation(N, C, OC).forward({in[0], weight, bias});
      for (std::size_t k = 0; k < expected.value.size(); ++k) {
        expected.value[k] += lora.value[k];
        expected.magnitude[k] += lora.magnitude[k];
      }
      for (const Implementation& i : implementations()) {
        if (i.ops.linear_lora_forward == nullptr) continue;
        if (too_much_to_watch(i, std::int64_t{N} * OC * (C + rank), 300'000)) continue;
        Sandbox s(i, "linear_lora_forward");
        const float *x = s.input(in[0]), *a = s.input(in[1]), *b = s.input(in[2]);
        const float *w = s.input(weight), *start = with_bias ? s.input(bias) : nullptr;
        float *out = s.output(std::int64_t{N} * OC), *ax = s.output(std::int64_t{N} * rank);
        float* scratch = s.scratch(i.ops.lora_scratch_size(N, C, OC, rank));
        i.ops.linear_lora_forward(out, ax, x, w, start, a, b, scratch, N, C, OC, rank, kScale);
        s.expect("out", out, expected.value, {{"n", N}, {"o", OC}},
                 {.terms = C + rank + 2.0, .factor = 2, .magnitudes = expected.magnitude});
        s.expect("ax", ax, ax_expected.value, {{"n", N}, {"r", rank}},
                 {.terms = C + 1.0, .factor = 2, .magnitudes = ax_expected.magnitude});
      }
    }
  }
}
