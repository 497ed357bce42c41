#include "tinygpt/cpu/few_rows.h"

#include <algorithm>
#include <cstdint>

#include "tinygpt/cpu/parallel.h"
#include "tinygpt/cpu/vec.h"

namespace tinygpt::cpu {
namespace {

constexpr int kWeightRows =
    4;  // 4 weight rows x 3 rows of x: 12 sums, as many as stay in registers
constexpr int kInputRows = 3;

// Rows x kWeightRows dot products, side by side so that every vector loaded is used several times
// and the additions do not wait for each other.
template <int Rows>
void dot_products(float* out, std::int64_t OC, const float* x, const float* weight,
                  const float* bias, std::int64_t C) {
  Vec sum[Rows][kWeightRows] = {};
  const auto add = [&](auto&& read, std::int64_t c) {
    Vec w[kWeightRows];
#pragma GCC unroll 4
    for (int o = 0; o < kWeightRows; ++o) w[o] = read(weight + o * C + c);
#pragma GCC unroll 4
    for (int n = 0; n < Rows; ++n) {
      const Vec x_n = read(x + n * C + c);
#pragma GCC unroll 4
      for (int o = 0; o < kWeightRows; ++o) sum[n][o] += x_n * w[o];
    }
  };
  std::int64_t c = 0;
  for (; c + kLanes <= C; c += kLanes) add([](const float* p) { return load(p); }, c);
  if (c < C) add([&](const float* p) { return load_part(p, C - c); }, c);
  for (int n = 0; n < Rows; ++n) {
    for (int o = 0; o < kWeightRows; ++o) {
      out[n * OC + o] = (bias != nullptr ? bias[o] : 0.0f) + sum_lanes(sum[n][o]);
    }
  }
}

float dot_product(const float* x, const float* w, std::int64_t C) {
  Vec sum{};
  std::int64_t c = 0;
  for (; c + kLanes <= C; c += kLanes) sum += load(x + c) * load(w + c);
  if (c < C) sum += load_part(x + c, C - c) * load_part(w + c, C - c);
  return sum_lanes(sum);
}

// Outputs begin .. end - 1 of a layer; `out` is where the first one goes.
void products(float* out, std::int64_t out_step, const float* x, const float* weight,
              const float* bias, std::int64_t N, std::int64_t C, std::int64_t begin,
              std::int64_t end) {
  std::int64_t o = begin;
  for (; o + kWeightRows <= end; o += kWeightRows) {
    const float* w = weight + o * C;
    const float* b = bias != nullptr ? bias + o : nullptr;
    // The four weight rows are read from memory for the first rows of x and stay in the cache.
    for (std::int64_t n = 0; n < N; n += kInputRows) {
      float* to = out + n * out_step + o - begin;
      const float* from = x + n * C;
      if (N - n >= 3) dot_products<3>(to, out_step, from, w, b, C);
      if (N - n == 2) dot_products<2>(to, out_step, from, w, b, C);
      if (N - n == 1) dot_products<1>(to, out_step, from, w, b, C);
    }
  }
  for (; o < end; ++o) {
    for (std::int64_t n = 0; n < N; ++n) {
      out[n * out_step + o - begin] =
          (bias != nullptr ? bias[o] : 0.0f) + dot_product(x + n * C, weight + o * C, C);
    }
  }
}

// For a team that is awake. A chunk is some outputs.
struct FewRows {
  float* out;
  const float *weight, *bias;
  std::int64_t N, C, OC, chunk_rows;

  void compute(const void* x, void* copy, std::int64_t chunk) const {
    const std::int64_t begin = chunk * chunk_rows, end = std::min(begin + chunk_rows, OC);
    products(copy != nullptr ? static_cast<float*>(copy) : out + begin,
             copy != nullptr ? chunk_rows : OC, static_cast<const float*>(x), weight, bias, N, C,
             begin, end);
  }

  void commit(const void* copy, std::int64_t chunk) const {
    const std::int64_t begin = chunk * chunk_rows, end = std::min(begin + chunk_rows, OC);
    for (std::int64_t n = 0; n < N; ++n) {
      std::copy_n(static_cast<const float*>(copy) + n * chunk_rows, end - begin,
                  out + n * OC + begin);
    }
  }
};

}  // namespace

void linear_forward_few_rows(float* out, const float* x, const float* weight, const float* bias,
                             int N, int C, int OC) {
  const std::int64_t steps = std::int64_t{N} * C / 4 + 1;
  const std::int64_t chunk = chunk_of(OC, kWeightRows, steps);
  const std::int64_t bytes = std::int64_t{N} * C * std::int64_t{sizeof(float)};
  const std::int64_t out_bytes = N * chunk * std::int64_t{sizeof(float)};
  if (leads_team() && threads_for(OC * steps) > 1 && bytes <= kMostInput &&
      out_bytes <= kMostOutput) {
    run_product(ceil_div(OC, chunk), FewRows{out, weight, bias, N, C, OC, chunk}, x, bytes,
                out_bytes);
    return;
  }
  parallel_ranges(OC, kWeightRows, steps, [=](std::int64_t begin, std::int64_t end) {
    products(out + begin, OC, x, weight, bias, N, C, begin, end);
  });
}

}  // namespace tinygpt::cpu
