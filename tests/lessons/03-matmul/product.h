// How any matrix product is examined, on the CPU or as a kernel.
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <cstdint>

#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {

using Product = void(float*, const float*, const float*, int, int, int);

// A product as code with a mistake would compute it.
struct Slips {
  const Values &a, &b;
  int M, N, K;

  // Element (r, c) of a matrix as it lies in memory, and 0 outside, as tiles are padded.
  double in_a(int r, int c) const {
    return r < M && c < K ? a[static_cast<std::size_t>(r * K + c)] : 0.0;
  }
  double in_b(int r, int c) const {
    return r < K && c < N ? b[static_cast<std::size_t>(r * N + c)] : 0.0;
  }
  // What lies at a place of an input: NaN past its end, as in the sandbox.
  static double at(const Values& values, int place) {
    const auto i = static_cast<std::size_t>(place);
    return i < values.size() ? values[i] : NAN;
  }
  // out[m, n] = sum of term(m, n, k) over k from `first` to `last` - 1
  template <class Term>
  Values sums(int first, int last, Term&& term) const {
    Values out;
    for (int m = 0; m < M; ++m) {
      for (int n = 0; n < N; ++n) {
        double sum = 0;
        for (int k = first; k < last; ++k) sum += term(m, n, k);
        out.push_back(sum);
      }
    }
    return out;
  }
  Values product(int first, int last) const {
    return sums(first, last, [&](int m, int n, int k) { return in_a(m, k) * in_b(k, n); });
  }
};

// The sums of a row, or of all rows, run on: each output starts with those before it.
inline Values run_on(Values values, int length) {
  for (std::size_t i = 1; i < values.size(); ++i) {
    if (i % static_cast<std::size_t>(length) != 0) values[i] += values[i - 1];
  }
  return values;
}

inline void add_index_mistakes(std::vector<Mistake>& all, const Slips& s) {
  const auto with_b = [&](auto place) {
    return s.sums(0, s.K,
                  [&](int m, int n, int k) { return s.in_a(m, k) * s.at(s.b, place(n, k)); });
  };
  const auto with_a = [&](auto place) {
    return s.sums(0, s.K,
                  [&](int m, int n, int k) { return s.at(s.a, place(m, k)) * s.in_b(k, n); });
  };
  const char* b_is =
      "b is read in the wrong order: a row of b has N numbers, so element (k, n) is "
      "at k * N + n.";
  const char* a_is =
      "a is read in the wrong order: a row of a has K numbers, so element (m, k) is "
      "at m * K + k.";
  all.push_back(gives(with_b([&](int n, int k) { return n * s.K + k; }), b_is));
  all.push_back(gives(with_b([&](int n, int k) { return k * s.K + n; }), b_is));
  all.push_back(gives(with_a([&](int m, int k) { return k * s.M + m; }), a_is));
  all.push_back(gives(with_a([&](int m, int k) { return m * s.N + k; }), a_is));
  all.push_back(gives(with_a([&](int m, int k) { return m * s.M + k; }), a_is));
}

// For tiles of one side: what is lost at their borders.
inline void add_tile_mistakes(std::vector<Mistake>& all, const Slips& s, int side) {
  const int full = s.K / side * side;
  all.push_back(gives(s.product(0, full),
                      "The last products are missing: where K is no multiple of the tile, the last "
                      "tile of k is narrower, but it is there."));
  all.push_back(gives(s.product((s.K - 1) / side * side, s.K),
                      "Only the last tile of k has arrived. A sum goes on from tile to tile: set "
                      "it to 0 once, before the first."));
  all.push_back(gives(
      s.sums(0, s.K, [&](int m, int n, int k) { return s.in_a(m, k) * s.in_b(k % side, n); }),
      "Every tile of k meets the first rows of b: row k of b begins at k * N, with k counted from "
      "the start of the matrix."));
  all.push_back(when(
      [s, side](const Answer& answer) {
        const auto reached = [&](int size) { return (size + side - 1) / side * side; };
        bool some = false;
        for (std::size_t i = 0; i < answer.actual.size(); ++i) {
          const auto m = static_cast<int>(i) / s.N, n = static_cast<int>(i) % s.N;
          const bool outside = m >= reached(s.N) || n >= reached(s.M);
          if (std::isnan(answer.actual[i]) != outside) return false;
          some = some || outside;
        }
        return some;
      },
      "The grid has its sides exchanged: blockIdx.x counts columns, so grid.x comes from N, and "
      "grid.y from M."));
}

inline std::vector<Mistake> product_mistakes(const Slips& s, const Values& right) {
  std::vector<Mistake> all;
  add_index_mistakes(all, s);
  const char* runs_on = "The sum runs on from one output to the next: each starts from 0.";
  all.push_back(gives(run_on(right, std::max(s.N, 1)), runs_on));
  all.push_back(gives(run_on(right, std::max(s.M * s.N, 1)), runs_on));
  const char* turned =
      "A tile is read with its rows and columns exchanged: what thread (x, y) stored "
      "at [y][x] is row y, column x.";
  const auto corner = [](int i) { return i / 16 * 16; };
  all.push_back(gives(s.sums(0, s.K,
                             [&](int m, int n, int k) {
                               return s.in_a(m, k) * s.in_b(corner(k) + n % 16, corner(n) + k % 16);
                             }),
                      turned));
  all.push_back(gives(s.sums(0, s.K,
                             [&](int m, int n, int k) {
                               return s.in_a(corner(m) + k % 16, corner(k) + m % 16) * s.in_b(k, n);
                             }),
                      turned));
  for (const int side : {16, 32, 64}) add_tile_mistakes(all, s, side);
  return all;
}

// `more`: mistakes of this product alone.
inline void examine_product(Exam& exam, const char* name, Product* product,
                            const std::vector<Mistake>& more = {}) {
  struct Size {
    int M, N, K;
  };
  // Shapes with a place for each thing that goes wrong: nothing, one of each, tiles that do not
  // come out even, and one more than a tile.
  for (const auto& [M, N, K] : std::vector<Size>{{0, 3, 2},
                                                 {1, 1, 1},
                                                 {2, 4, 3},
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
    const Slips slips{a, b, M, N, K};
    std::vector<Mistake> mistakes = product_mistakes(slips, out);
    mistakes.insert(mistakes.end(), more.begin(), more.end());
    exam.expect("out", result, out, {{"m", M}, {"n", N}},
                {.terms = static_cast<double>(K), .magnitudes = magnitude}, mistakes);
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
