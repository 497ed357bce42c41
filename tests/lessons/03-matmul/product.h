// How any matrix product is examined, on the CPU or as a kernel.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstdint>

#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {

using Product = void(float*, const float*, const float*, int, int, int);

inline void examine_product(Exam& exam, const char* name, Product* product) {
  struct Size {
    int M, N, K;
  };
  // Shapes with a place for each thing that goes wrong: nothing, one of each, tiles that do not
  // come out even, and one more than a tile.
  for (const auto& [M, N, K] : std::vector<Size>{{0, 3, 2},
                                                 {1, 1, 1},
                                                 {2, 3, 4},
                                                 {3, 2, 0},
                                                 {5, 7, 3},
                                                 {2, 65, 3},
                                                 {3, 5, 130},
                                                 {33, 67, 65}}) {
    const Values a = random_values(std::int64_t{M} * K, 1),
                 b = random_values(std::int64_t{K} * N, 2);
    Values out(static_cast<std::size_t>(M) * static_cast<std::size_t>(N)), magnitude(out.size());
    for (std::size_t i = 0; i < out.size(); ++i) {
      const auto m = static_cast<int>(i) / N, n = static_cast<int>(i) % N;
      for (int k = 0; k < K; ++k) {
        const double term =
            a[static_cast<std::size_t>(m * K + k)] * b[static_cast<std::size_t>(k * N + n)];
        out[i] += term, magnitude[i] += std::abs(term);
      }
    }
    Sandbox& s = exam.call(fmt::format("{}(M={}, N={}, K={})", name, M, N, K));
    float* result = s.output(std::int64_t{M} * N);
    const float *a_ = s.input(a), *b_ = s.input(b);
    product(result, a_, b_, M, N, K);
    exam.expect("out", result, out, {{"m", M}, {"n", N}},
                {.terms = static_cast<double>(K), .magnitudes = magnitude});
  }
}

// For the profiler: values do not matter, addresses do.
inline void run_product(const Memory& memory, Product* product, int M, int N, int K) {
  const auto make = [&](std::int64_t n) {
    void* data = memory.allocate(static_cast<std::size_t>(n) * sizeof(float));
    memory.zero(data, static_cast<std::size_t>(n) * sizeof(float));
    return static_cast<float*>(data);
  };
  float *out = make(std::int64_t{M} * N), *a = make(std::int64_t{M} * K),
        *b = make(std::int64_t{K} * N);
  product(out, a, b, M, N, K);
  for (float* data : {out, a, b}) memory.release(data);
}

inline ProfileRun profile_product(Product* product) {
  return {"a product of 64 x 64 matrices",
          [product](const Memory& memory) { run_product(memory, product, 64, 64, 64); }};
}

}  // namespace tinygpt::lessons
