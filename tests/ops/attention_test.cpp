#include <algorithm>

#include "tests/ops/equations.h"
#include "tests/support/catch.h"
#include "tests/support/random_values.h"
#include "tests/support/sandbox.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

// One position, one channel, several groups; then beyond the tiles that fast kernels cut at.
const std::vector<AttentionSize> kSizes = {
    {0, 3, 1, 1, 2, true},    {2, 0, 1, 1, 2, true},     {1, 1, 1, 1, 1, true},
    {1, 2, 1, 1, 3, true},    {2, 5, 2, 2, 4, true},     {2, 5, 2, 2, 4, false},
    {1, 7, 4, 2, 3, true},    {1, 6, 6, 1, 2, false},    {3, 3, 3, 3, 5, true},
    {1, 9, 2, 1, 8, true},    {2, 17, 6, 3, 7, true},    {1, 65, 2, 2, 16, true},
    {2, 64, 1, 1, 64, true},  {1, 129, 2, 1, 32, true},  {1, 97, 2, 2, 17, false},
    {1, 300, 1, 1, 24, true}, {1, 130, 4, 2, 40, false}, {1, 257, 1, 1, 128, true},
    {2, 33, 3, 1, 48, true},  {3, 63, 4, 4, 9, false},   {1, 257, 2, 1, 1, false}};

// A query and a key that point the same way score up to scale^2 * sqrt(HS): at 8, one key takes
// nearly all, and exp would overflow without the maximum.
const std::vector<double> kScales = {1.0, 8.0};

Tolerance within(const AttentionSize& s, const Exact& expected) {
  return {.terms = double(s.T) + s.HS, .factor = 4, .magnitudes = expected.magnitude};
}

// The one in tiles needs more than the reference for the sake of its tiles, and is faster, too.
bool too_much(const Implementation& i, const AttentionSize& s, double scale) {
  const std::int64_t most = i.name.starts_with("ref") ? 100'000 : 1'200'000;
  return too_much_to_watch(i, s.out() * s.T, most) || (i.exact_bounds && scale != kScales[0]);
}

}  // namespace

TEST_CASE("attention_forward matches its equation", "[attention][forward][lesson-08]") {
  for (const AttentionSize& size : kSizes) {
    const auto& [B, T, NH, NKV, HS, causal] = size;
    for (const double scale : kScales) {
      const Values in = random_values(size.qkv(), 1, scale);
      const Exact expected = attention_equation(size).forward({in});
      const Exact expected_lse = attention_lse(size, in);
      for (const Implementation& i : implementations()) {
        if (too_much(i, size, scale)) continue;
        Sandbox s(i, causal ? "causal attention_forward" : "bidirectional attention_forward");
        const float* qkv = s.input(in);
        float *out = s.output(size.out()), *lse = s.output(size.lse());
        float* scratch = s.scratch(i.ops.attention_scratch_size(B, T, NH, NKV, HS));
        i.ops.attention_forward(out, lse, qkv, scratch, B, T, NH, NKV, HS, causal);
        s.expect("out", out, expected.value, size.out_shape(), within(size, expected));
        s.expect("lse", lse, expected_lse.value, size.lse_shape(), within(size, expected_lse));
      }
    }
  }
}

TEST_CASE("attention_forward follows a largest score that grows with every key",
          "[attention][forward][lesson-08]") {
  const AttentionSize size{1, 290, 1, 1, 2, true};
  const auto& [B, T, NH, NKV, HS, causal] = size;
  Values in = random_values(size.qkv(), 1);
  for (std::size_t t = 0; t < static_cast<std::size_t>(T); ++t) {
    in[t * 6] = 1;  // the query's and the key's first component
    in[t * 6 + 2] = 0.1 * static_cast<double>(t);
  }
  const Exact expected = attention_equation(size).forward({in});
  const Exact expected_lse = attention_lse(size, in);
  for (const Implementation& i : implementations()) {
    if (i.exact_bounds) continue;
    Sandbox s(i, "attention_forward");
    const float* qkv = s.input(in);
    float *out = s.output(size.out()), *lse = s.output(size.lse());
    float* scratch = s.scratch(i.ops.attention_scratch_size(B, T, NH, NKV, HS));
    i.ops.attention_forward(out, lse, qkv, scratch, B, T, NH, NKV, HS, causal);
    s.expect("out", out, expected.value, size.out_shape(), within(size, expected));
    s.expect("lse", lse, expected_lse.value, size.lse_shape(), within(size, expected_lse));
  }
}

TEST_CASE("attention_backward is the gradient of its equation",
          "[attention][backward][lesson-08]") {
  for (const AttentionSize& size : kSizes) {
    const auto& [B, T, NH, NKV, HS, causal] = size;
    for (const double scale : kScales) {
      const Values in = random_values(size.qkv(), 1, scale);
      const Values out_in = attention_equation(size).forward({in}).value;
      const Values lse_in = attention_lse(size, in).value, dout = random_values(size.out(), 2);
      const Exact expected = attention_equation(size).backward({in}, dout)[0];
      for (const Implementation& i : implementations()) {
        if (too_much(i, size, scale)) continue;
        Sandbox s(i, causal ? "causal attention_backward" : "bidirectional attention_backward");
        const float *qkv = s.input(in), *out = s.input(out_in), *lse = s.input(lse_in);
        const float* d = s.input(dout);
        float* dqkv = s.accumulator(size.qkv());
        float* scratch = s.scratch(i.ops.attention_scratch_size(B, T, NH, NKV, HS));
        i.ops.attention_backward(dqkv, d, out, lse, qkv, scratch, B, T, NH, NKV, HS, causal);
        s.expect_added("dqkv", dqkv, expected.value, size.qkv_shape(), within(size, expected));
      }
    }
  }
}

TEST_CASE("causal attention does not see the future, not even its size",
          "[attention][forward][lesson-08]") {
  const AttentionSize size{1, 70, 2, 2, 8, true};
  const auto& [B, T, NH, NKV, HS, causal] = size;
  constexpr std::size_t kSeen = 40;
  const Values before = random_values(size.qkv(), 1);
  Values after = before;
  const auto row = static_cast<std::size_t>((NH + 2 * NKV) * HS);
  for (std::size_t k = kSeen * row; k < after.size(); ++k) after[k] = 1e4;
  for (const Implementation& i : implementations()) {
    std::vector<Values> outs;
    for (const Values& in : {before, after}) {
      Sandbox s(i, "attention_forward");
      const float* qkv = s.input(in);
      float *out = s.output(size.out()), *lse = s.output(size.lse());
      float* scratch = s.scratch(i.ops.attention_scratch_size(B, T, NH, NKV, HS));
      i.ops.attention_forward(out, lse, qkv, scratch, B, T, NH, NKV, HS, causal);
      outs.push_back(s.values(out));
    }
    INFO(i.name);
    const auto end = outs[0].begin() + static_cast<std::ptrdiff_t>(kSeen) * NH * HS;
    CHECK(std::equal(outs[0].begin(), end, outs[1].begin()));
  }
}

TEST_CASE("attention refuses heads that do not divide", "[attention][lesson-08]") {
  for (const Implementation& i : implementations()) {
    Sandbox s(i, "attention");
    float *a = s.accumulator(1000), *b = s.accumulator(1000), *c = s.accumulator(1000);
    float *d = s.accumulator(1000), *scratch = s.scratch(100'000);
    CHECK_THROWS_AS(i.ops.attention_forward(a, b, c, scratch, 1, 2, 3, 2, 4, true), Error);
    CHECK_THROWS_AS(i.ops.attention_backward(a, b, c, d, c, scratch, 1, 2, 3, 2, 4, true), Error);
  }
}
