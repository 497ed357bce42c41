#include <algorithm>
#include <cmath>
#include <cstdint>

#include "tests/support/catch.h"
#include "tests/support/random_values.h"
#include "tests/support/sandbox.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

struct Size {
  int B, T, C, start, places;
  Shape shape() const { return {{"b", B}, {"t", T}, {"c", C}}; }
};
const std::vector<Size> kSizes = {{0, 2, 3, 0, 2},  {1, 1, 1, 0, 1},    {3, 5, 17, 0, 8},
                                  {3, 5, 17, 3, 8}, {2, 64, 33, 1, 65}, {5, 127, 96, 129, 256}};

// The row of the table of places that value k of a [B, T, C] array meets, and where in it.
std::size_t place_of(std::size_t k, const Size& size) {
  const auto T = static_cast<std::size_t>(size.T), C = static_cast<std::size_t>(size.C);
  return (static_cast<std::size_t>(size.start) + k / C % T) * C + k % C;
}

struct RopeSize {
  int B, T, heads, HS, rest, start;
  int stride() const { return heads * HS + rest; }
  Shape shape() const { return {{"b", B}, {"t", T}, {"column", stride()}}; }
};
const std::vector<RopeSize> kRopeSizes = {{0, 1, 1, 2, 0, 0},  {1, 1, 1, 2, 0, 0},
                                          {2, 5, 3, 6, 4, 2},  {1, 7, 2, 16, 0, 0},
                                          {2, 3, 1, 34, 5, 1}, {3, 129, 4, 64, 64, 3}};
constexpr double kBase = 100;

// The values of x, each pair turned by its angle (or back, for a direction of -1).
Values turned(const Values& x, const RopeSize& size, double direction) {
  Values out = x;
  const int half = size.HS / 2;
  for (int bt = 0; bt < size.B * size.T; ++bt) {
    for (int h = 0; h < size.heads; ++h) {
      for (int i = 0; i < half; ++i) {
        const auto first = static_cast<std::size_t>(bt * size.stride() + h * size.HS + i);
        const std::size_t second = first + static_cast<std::size_t>(half);
        const double place = size.start + bt % size.T;
        const double angle = direction * place * std::pow(kBase, -2.0 * i / size.HS);
        out[first] = x[first] * std::cos(angle) - x[second] * std::sin(angle);
        out[second] = x[first] * std::sin(angle) + x[second] * std::cos(angle);
      }
    }
  }
  return out;
}

}  // namespace

TEST_CASE("learned positions are added by place, from start on",
          "[positions][forward][lesson-09]") {
  for (const Implementation& i : implementations()) {
    for (const Size& size : kSizes) {
      const auto& [B, T, C, start, places] = size;
      const Values in = random_values(std::int64_t{B} * T * C, 1);
      const Values table = random_values(std::int64_t{places} * C, 2);
      Values expected = in;
      for (std::size_t k = 0; k < in.size(); ++k) expected[k] += table[place_of(k, size)];
      Sandbox s(i, "learned_positions_forward");
      const float *x = s.input(in), *weight = s.input(table);
      float *out = s.output(std::int64_t{B} * T * C), *both = s.accumulator(in);
      i.ops.learned_positions_forward(out, x, weight, B, T, C, start);
      i.ops.learned_positions_forward(both, both, weight, B, T, C, start);
      s.expect("out", out, expected, size.shape(), {.factor = 1});
      s.expect("out in place of x", both, expected, size.shape(), {.factor = 1});
    }
  }
}

TEST_CASE("learned positions collect the gradient of the whole batch",
          "[positions][backward][lesson-09]") {
  for (const Implementation& i : implementations()) {
    for (const Size& size : kSizes) {
      const auto& [B, T, C, start, places] = size;
      const Values gradient = random_values(std::int64_t{B} * T * C, 1);
      Values sum(static_cast<std::size_t>(places) * C), magnitude = sum;
      for (std::size_t k = 0; k < gradient.size(); ++k) {
        sum[place_of(k, size)] += gradient[k];
        magnitude[place_of(k, size)] += std::abs(gradient[k]);
      }
      Sandbox s(i, "learned_positions_backward");
      const float* dout = s.input(gradient);
      float* dweight = s.accumulator(std::int64_t{places} * C);
      i.ops.learned_positions_backward(dweight, dout, B, T, C, start);
      s.expect_added("dweight", dweight, sum, {{"place", places}, {"c", C}},
                     {.factor = 4, .magnitudes = magnitude});
    }
  }
}

TEST_CASE("sinusoidal positions match their equation", "[positions][forward][lesson-09]") {
  for (const Implementation& i : implementations()) {
    for (const auto& [T, C] : {std::pair{0, 4}, {1, 1}, {5, 7}, {300, 16}}) {
      Values expected;
      for (int t = 0; t < T; ++t) {
        for (int c = 0; c < C; ++c) {
          const double angle = t / std::pow(10000.0, double(c / 2 * 2) / C);
          expected.push_back(c % 2 == 0 ? std::sin(angle) : std::cos(angle));
        }
      }
      Sandbox s(i, "sinusoidal_positions");
      float* table = s.output(std::int64_t{T} * C);
      i.ops.sinusoidal_positions(table, T, C, 10000.0f);
      s.expect("table", table, expected, {{"t", T}, {"c", C}}, {.scale = 1, .factor = 2});
    }
  }
}

TEST_CASE("rope_table keeps its digits at far places", "[rope][forward][lesson-09]") {
  constexpr int T = 5000, HS = 10;
  Values cosines, sines;
  for (int t = 0; t < T; ++t) {
    for (int k = 0; k < HS / 2; ++k) {
      cosines.push_back(std::cos(t * std::pow(10000.0, -2.0 * k / HS)));
      sines.push_back(std::sin(t * std::pow(10000.0, -2.0 * k / HS)));
    }
  }
  for (const Implementation& i : implementations()) {
    Sandbox s(i, "rope_table");
    float *cosine = s.output(T * HS / 2), *sine = s.output(T * HS / 2);
    i.ops.rope_table(cosine, sine, T, HS, 10000.0f);
    s.expect("cosine", cosine, cosines, {{"t", T}, {"i", HS / 2}}, {.scale = 1, .factor = 2});
    s.expect("sine", sine, sines, {{"t", T}, {"i", HS / 2}}, {.scale = 1, .factor = 2});
  }
}

TEST_CASE("rope turns pairs half a head apart by their place's angle, and back",
          "[rope][forward][backward][lesson-09]") {
  for (const RopeSize& size : kRopeSizes) {
    const auto& [B, T, heads, HS, rest, start] = size;
    const int stride = size.stride(), places = start + T;
    const Values in = random_values(std::int64_t{B} * T * stride, 1);
    Values cosines, sines;
    for (int k = 0; k < places * HS / 2; ++k) {
      const double angle = k / (HS / 2) * std::pow(kBase, -2.0 * (k % (HS / 2)) / HS);
      cosines.push_back(std::cos(angle));
      sines.push_back(std::sin(angle));
    }
    for (const Implementation& i : implementations()) {
      Sandbox s(i, "rope");
      const float *cosine = s.input(cosines), *sine = s.input(sines);
      float *x = s.accumulator(in), *dx = s.accumulator(in);
      i.ops.rope_forward(x, cosine, sine, B, T, heads, HS, stride, start);
      i.ops.rope_backward(dx, cosine, sine, B, T, heads, HS, stride, start);
      s.expect("rope_forward's x", x, turned(in, size, 1), size.shape(), {.factor = 2});
      s.expect("rope_backward's dx", dx, turned(in, size, -1), size.shape(), {.factor = 2});
    }
  }
}

TEST_CASE("rope makes scores depend on the distance alone", "[rope][forward][lesson-09]") {
  constexpr int HS = 16, kPlaces = 600;
  const Values q_in = random_values(HS, 1), k_in = random_values(HS, 2);
  for (const Implementation& i : implementations()) {
    Sandbox s(i, "rope");
    float *cosine = s.output(kPlaces * HS / 2), *sine = s.output(kPlaces * HS / 2);
    i.ops.rope_table(cosine, sine, kPlaces, HS, 10000.0f);
    const auto score = [&](int q_place, int k_place) {
      float *q = s.accumulator(q_in), *k = s.accumulator(k_in);
      i.ops.rope_forward(q, cosine, sine, 1, 1, 1, HS, HS, q_place);
      i.ops.rope_forward(k, cosine, sine, 1, 1, 1, HS, HS, k_place);
      const Values turned_q = s.values(q), turned_k = s.values(k);
      double sum = 0;
      for (std::size_t c = 0; c < HS; ++c) sum += turned_q[c] * turned_k[c];
      return sum;
    };
    INFO(i.name << ", seed " << test_seed());
    CHECK(std::abs(score(7, 3) - score(504, 500)) < 1e-4);
    CHECK(std::abs(score(7, 3) - score(3, 7)) > 1e-3);
  }
}

TEST_CASE("attention notices the order of its tokens by positions alone",
          "[positions][rope][attention][lesson-09]") {
  constexpr int T = 9, NH = 2, HS = 6, C = NH * HS;
  const Values tokens = random_values(T * C, 1), weight_in = random_values(3 * C * C, 2, 0.3);
  const Values places = random_values(T * C, 3);
  const std::vector<int> order = {4, 0, 7, 1, 3, 8, 2, 5, 6};  // token order[t] stands at place t
  Values shuffled;
  for (const int token : order) {
    for (int c = 0; c < C; ++c) shuffled.push_back(tokens[static_cast<std::size_t>(token * C + c)]);
  }
  for (const Implementation& i : implementations()) {
    Sandbox s(i, "attention with positions");
    const float* weight = s.input(weight_in);
    float *sines = s.output(T * C), *cosine = s.output(T * HS / 2), *sine = s.output(T * HS / 2);
    i.ops.sinusoidal_positions(sines, T, C, 10000.0f);
    i.ops.rope_table(cosine, sine, T, HS, 10000.0f);
    const auto attend = [&](const Values& in, const float* table, bool rotary) {
      float *x = s.accumulator(in), *qkv = s.output(T * 3 * C), *out = s.output(T * C);
      float* scratch = s.scratch(std::max(i.ops.linear_scratch_size(T, C, 3 * C),
                                          i.ops.attention_scratch_size(1, T, NH, NH, HS)));
      if (table != nullptr) i.ops.learned_positions_forward(x, x, table, 1, T, C, 0);
      i.ops.linear_forward(qkv, x, weight, nullptr, scratch, T, C, 3 * C);
      if (rotary) i.ops.rope_forward(qkv, cosine, sine, 1, T, 2 * NH, HS, 3 * C, 0);
      i.ops.attention_forward(out, s.output(NH * T), qkv, scratch, 1, T, NH, NH, HS, false);
      return s.values(out);
    };
    // The largest difference between what a token gets in the one order and in the other.
    const auto difference = [&](const float* table, bool rotary) {
      const Values before = attend(tokens, table, rotary), after = attend(shuffled, table, rotary);
      double worst = 0;
      for (std::size_t k = 0; k < after.size(); ++k) {
        const auto was = static_cast<std::size_t>(order[k / C] * C) + k % C;
        worst = std::max(worst, std::abs(before[was] - after[k]));
      }
      return worst;
    };
    INFO(i.name << ", seed " << test_seed());
    CHECK(difference(nullptr, false) < 1e-5);
    CHECK(difference(s.input(places), false) > 0.1);
    CHECK(difference(sines, false) > 0.1);
    CHECK(difference(nullptr, true) > 0.1);
  }
}

TEST_CASE("rope refuses a head that has no pairs", "[rope][lesson-09]") {
  for (const Implementation& i : implementations()) {
    Sandbox s(i, "rope");
    float *x = s.accumulator(10), *cosine = s.accumulator(10), *sine = s.accumulator(10);
    INFO(i.name);
    CHECK_THROWS_AS(i.ops.rope_table(cosine, sine, 2, 5, 100.0f), Error);
    CHECK_THROWS_AS(i.ops.rope_forward(x, cosine, sine, 1, 2, 1, 5, 5, 0), Error);
    CHECK_THROWS_AS(i.ops.rope_backward(x, cosine, sine, 1, 2, 1, 5, 5, 0), Error);
  }
}
