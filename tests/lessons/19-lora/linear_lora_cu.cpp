// Grades exercises/19-lora/linear_lora.cu.
#include <algorithm>

#include "solutions/19-lora/lora.cuh"
#include "tests/lessons/19-lora/tile_slips.h"
#include "tests/lessons/grading/device.h"

namespace tinygpt::lessons {
namespace {

// What code with a mistake makes of the two sums.
struct Parts {
  const LoraSize& s;
  Values frozen, adapter, bias;  // [N, OC], [N, OC] without the scale, [OC]

  template <class Combine>
  Values with(Combine&& combine) const {
    Values out;
    for (int i = 0; i < s.N * s.OC; ++i) {
      out.push_back(combine(at(frozen, i), at(adapter, i), at(bias, i % s.OC)));
    }
    return out;
  }
  // With the bias by row.
  template <class Combine>
  Values turned(Combine&& combine) const {
    Values out;
    for (int i = 0; i < s.N * s.OC; ++i) {
      out.push_back(combine(at(frozen, i), at(adapter, i), at(bias, i / s.OC)));
    }
    return out;
  }
};

std::vector<Mistake> sum_mistakes(const Parts& p, const Values& ax, const Values& b) {
  const double scale = p.s.scale;
  const auto up = [&](int first, int last, auto place) {
    return product(p.s.N, p.s.OC, last - first, [&](int n, int o, int i) {
      return at(ax, std::int64_t{n} * p.s.rank + first + i) * at(b, place(o, first + i));
    });
  };
  const auto with_adapter = [&](Values adapter) {
    return Parts{p.s, p.frozen, std::move(adapter), p.bias}.with(
        [&](double f, double a, double c) { return c + f + scale * a; });
  };
  const auto right_place = [&](int o, int r) { return std::int64_t{o} * p.s.rank + r; };
  const int full = p.s.rank / kTile * kTile;
  return {
      gives(p.with([](double f, double a, double c) { return c + f + a; }),
            "The scale is missing: the adapter's sum counts scale times."),
      gives(p.with([&](double f, double a, double c) { return c + scale * (f + a); }),
            "The scale is on the frozen layer's sum, too. It belongs to the adapter's alone: the "
            "two need arrays of their own."),
      gives(p.with([&](double f, double a, double c) { return scale * (c + f + a); }),
            "The scale is on everything. It belongs to the adapter's sum alone."),
      gives(p.with([](double f, double, double c) { return c + f; }),
            "This is the frozen layer alone: the loop along rank is missing, or comes to nothing."),
      gives(p.with([&](double, double a, double) { return scale * a; }),
            "This is the adapter alone: out is the sum of both, and of the bias."),
      gives(p.with([&](double f, double a, double) { return f + scale * a; }),
            "The bias is missing."),
      gives(p.with([&](double f, double a, double c) { return f + scale * (a + c); }),
            "The scale is on the bias, too. It belongs to the adapter's sum alone."),
      gives(p.with([&](double, double a, double c) { return c + scale * a; }),
            "Nothing of x W^T arrives: does the loop go along C, with its last tile, where C is no "
            "multiple of 32?"),
      gives(p.turned([&](double f, double a, double c) { return c + f + scale * a; }),
            "The bias is taken by row: bias[o] belongs to a column of out."),
      gives(with_adapter(up(0, std::min(p.s.rank, kTile), right_place)),
            "Only the first 32 of the rank arrive: the loop goes on in steps of kTile, as the one "
            "along C does."),
      gives(with_adapter(up(0, full, right_place)),
            "The last part of the rank is missing where it is no multiple of 32: load_tile fills "
            "up with zeros, so that tile counts as well."),
  };
}

// Tiles that no block has written.
std::vector<Mistake> grid_mistakes(const LoraSize& s) {
  return {
      when(
          [s](const Answer& answer) {  // only the whole tiles were written
            const auto whole = [](int size) { return std::max(size / kTile, 1) * kTile; };
            bool some = false;
            for (std::size_t i = 0; i < answer.actual.size(); ++i) {
              const auto n = static_cast<int>(i) / s.OC, o = static_cast<int>(i) % s.OC;
              const bool left = std::isnan(answer.actual[i]);
              if (left && n < whole(s.N) && o < whole(s.OC)) return false;
              some = some || left;
            }
            return some && s.N <= 2 * kTile && s.OC <= 2 * kTile;
          },
          "The last tile of rows, or of columns, was never written: the grid has "
          "ceil_div(N, kTile) by ceil_div(OC, kTile) blocks, and a quotient rounds down."),
      when(
          [s](const Answer& answer) {
            const auto reached = [](int size) { return (size + kTile - 1) / kTile * kTile; };
            bool some = false;
            for (std::size_t i = 0; i < answer.actual.size(); ++i) {
              const auto n = static_cast<int>(i) / s.OC, o = static_cast<int>(i) % s.OC;
              const bool outside = n >= reached(s.OC) || o >= reached(s.N);
              if (std::isnan(answer.actual[i]) != outside) return false;
              some = some || outside;
            }
            return some;
          },
          "The grid has its sides exchanged: blockIdx.x counts tiles of rows, so grid.x comes from "
          "N, and grid.y from OC."),
  };
}

// Matrices that are read as they do not lie.
std::vector<Mistake> layout_mistakes(const Parts& p, const Values& x, const Values& weight,
                                     const Values& ax, const Values& b) {
  const double scale = p.s.scale;
  const auto with_adapter = [&](Values adapter) {
    return Parts{p.s, p.frozen, std::move(adapter), p.bias}.with(
        [&](double f, double a, double c) { return c + f + scale * a; });
  };
  const auto up = [&](auto place) {
    return product(p.s.N, p.s.OC, p.s.rank, [&](int n, int o, int r) {
      return at(ax, std::int64_t{n} * p.s.rank + r) * at(b, place(o, r));
    });
  };
  // The frozen product with weight in another arrangement; a single tile, where 0 is outside.
  const auto with_weight = [&](int rows, int columns, auto place) {
    Parts other = p;
    other.frozen = product(p.s.N, p.s.OC, p.s.C, [&](int n, int o, int c) {
      const bool inside = c < rows && o < columns;
      return inside ? at(x, std::int64_t{n} * p.s.C + c) * at(weight, place(o, c)) : 0.0;
    });
    return other.with([&](double f, double a, double bias) { return bias + f + scale * a; });
  };
  const char* transposed =
      "weight is not read as C x OC. It lies in memory as [OC, C], and the product needs it "
      "transposed: Layout::columns, with the rows C, the columns OC and the place k0, col0 of the "
      "transposed matrix.";
  return {
      gives(with_weight(p.s.C, p.s.OC, [&](int o, int c) { return std::int64_t{c} * p.s.OC + o; }),
            transposed),
      gives(with_weight(p.s.OC, p.s.C, [&](int o, int c) { return std::int64_t{c} * p.s.C + o; }),
            transposed),
      gives(with_weight(p.s.OC, p.s.C, [&](int o, int c) { return std::int64_t{o} * p.s.OC + c; }),
            transposed),
      gives(with_adapter(product(p.s.N, p.s.OC, p.s.rank,
                                 [&](int n, int o, int r) {
                                   const bool inside = r < p.s.OC && o < p.s.rank;
                                   return inside ? at(ax, std::int64_t{n} * p.s.rank + r) *
                                                       at(b, std::int64_t{r} * p.s.rank + o)
                                                 : 0.0;
                                 })),
            "b is not read as rank x OC. It lies in memory as [OC, rank], and the product needs it "
            "transposed: Layout::columns, with the rows rank, the columns OC and the place r0, "
            "col0."),
      gives(with_adapter(up([&](int o, int r) { return std::int64_t{r} * p.s.OC + o; })),
            "b is read as [rank, OC]. It lies in memory as [OC, rank], and the product needs it "
            "transposed: Layout::columns."),
  };
}

// Tiles from the wrong place, and rows that go to the wrong one.
std::vector<Mistake> tile_mistakes(const Parts& p, const Values& x, const Values& weight,
                                   const Values& ax, const Values& b) {
  const LoraSize& s = p.s;
  const auto rows_of = [](const Values& m, int columns) {
    return [&m, columns](int row, int k) { return at(m, std::int64_t{row} * columns + k); };
  };
  const auto columns_of = [](const Values& m, int depth) {
    return [&m, depth](int k, int column) { return at(m, std::int64_t{column} * depth + k); };
  };
  const auto sum = [&](double f, double a, double c) { return c + f + s.scale * a; };
  std::vector<Mistake> known;
  for (const TileSlip& slip : kTileSlips) {
    Parts frozen = p, adapter = p;
    frozen.frozen = tiled(s.N, s.OC, s.C, rows_of(x, s.C), columns_of(weight, s.C), slip);
    adapter.adapter = tiled(s.N, s.OC, s.rank, rows_of(ax, s.rank), columns_of(b, s.rank), slip);
    known.push_back(gives(frozen.with(sum), std::string("Along C: ") + slip.nudge));
    known.push_back(gives(adapter.with(sum), std::string("Along the rank: ") + slip.nudge));
  }
  const Values right = p.with(sum);
  constexpr int kRows = 8, kEach = kTile / kRows;  // rows of threads, and of sums that each has
  known.push_back(gives(product(s.N, s.OC, 1,
                                [&](int n, int o, int) {
                                  const int m = n % kTile;
                                  const int from = n - m + m / kEach + m % kEach * kRows;
                                  return from < s.N ? at(right, std::int64_t{from} * s.OC + o)
                                                    : at(p.bias, o);
                                }),
                        "Rows of out have changed places. A thread's four sums belong to the rows "
                        "y, y + 8, y + 16 and y + 24 of the tile: multiply_tiles has it so."));
  known.push_back(when(
      [s](const Answer& answer) {
        bool some = false;
        for (std::size_t i = 0; i < answer.actual.size(); ++i) {
          const bool left = static_cast<int>(i) / s.OC % kTile >= kRows;
          if (std::isnan(answer.actual[i]) != left) return false;
          some = some || left;
        }
        return some;
      },
      "Only 8 rows of each tile are written: a thread has four, y, y + 8, y + 16 and y + 24."));
  return known;
}

void examine(Exam& exam) {
  for (const LoraSize& size : std::vector<LoraSize>{{1, 4, 3, 2, 0, 0, 2.0f},
                                                    {3, 33, 5, 8, 0, 0, 0.25f},
                                                    {33, 5, 40, 3, 0, 0, 2.0f},
                                                    {5, 64, 32, 40, 0, 0, 1.5f},
                                                    {34, 31, 70, 33, 0, 0, 0.5f},
                                                    {70, 8, 3, 1, 0, 0, 3.0f}}) {
    const Values x = random_values(size.xs(), 1), a = random_values(size.as(), 2);
    const Values b = random_values(size.bs(), 3);
    const Values weight = random_values(std::int64_t{size.OC} * size.C, 4);
    const Values ax = down(size, x, a);
    const Values no_bias(static_cast<std::size_t>(size.OC), 0.0);
    const auto linear =
        test::linear_equation(size.N, size.C, size.OC).forward({x, weight, no_bias});
    const auto lora =
        test::lora_equation(size.N, size.C, size.OC, size.rank, size.scale).forward({x, a, b});
    for (const bool with_bias : {true, false}) {
      const Parts parts{size, linear.value, times(lora.value, 1 / double{size.scale}),
                        with_bias ? random_values(size.OC, 5) : no_bias};
      Sandbox& s = exam.call(
          fmt::format("linear_lora_forward(N={}, C={}, OC={}, rank={}, scale={:g}){}", size.N,
                      size.C, size.OC, size.rank, size.scale, with_bias ? "" : ", no bias"));
      float* out = s.output(std::int64_t{size.N} * size.OC);
      float* saved = s.output(std::int64_t{size.N} * size.rank);
      const float *in = s.input(x), *w = s.input(weight);
      const float* c = with_bias ? s.input(parts.bias) : nullptr;
      const float *left = s.input(a), *right = s.input(b);
      float* scratch = s.scratch(std::int64_t{size.N} * size.rank);
      ref_cuda::linear_lora_forward<float>(out, saved, in, w, c, left, right, scratch, size.N,
                                           size.C, size.OC, size.rank, size.scale);
      Values magnitude;
      for (std::size_t i = 0; i < linear.magnitude.size(); ++i) {
        magnitude.push_back(linear.magnitude[i] + lora.magnitude[i] + 1);
      }
      const double scale = size.scale;
      std::vector<Mistake> known = sum_mistakes(parts, ax, b);
      for (const std::vector<Mistake>& more :
           {layout_mistakes(parts, x, weight, ax, b), grid_mistakes(size),
            tile_mistakes(parts, x, weight, ax, b)}) {
        known.insert(known.end(), more.begin(), more.end());
      }
      exam.expect("out", out,
                  parts.with([&](double f, double p, double q) { return q + f + scale * p; }),
                  {{"n", size.N}, {"o", size.OC}},
                  {.terms = size.C + size.rank + 2.0, .magnitudes = magnitude}, known);
    }
  }
}

void run(const Memory& memory) {
  constexpr int kRows = 32, kSide = 64, kRank = 8;
  constexpr std::size_t kBytes = kSide * kSide * sizeof(float);
  float* arrays[6];
  for (float*& array : arrays) {
    array = static_cast<float*>(memory.allocate(kBytes));
    memory.zero(array, kBytes);
  }
  ref_cuda::linear_lora_forward<float>(arrays[0], arrays[1], arrays[2], arrays[3], nullptr,
                                       arrays[4], arrays[5], nullptr, kRows, kSide, kSide, kRank,
                                       1.0f);
  for (float* array : arrays) memory.release(array);
}

// Out is written once, and never read: that is what the fusion is for.
void examine_traffic(Exam& exam) {
  exam.call("linear_lora_forward(N=32, C=64, OC=64, rank=8), watched by the profiler");
  const double stored = bytes_stored([&] { run(exam.memory()); });
  const double loaded = bytes_loaded([&] { run(exam.memory()); });
  constexpr double kOut = 32 * 64 * 4, kAx = 32 * 8 * 4;
  exam.expect_true(stored <= kOut + kAx,
                   fmt::format("the kernels store {:.0f} KiB, where {:.0f} do", stored / 1024,
                               (kOut + kAx) / 1024),
                   "out is written more than once: keep both sums in registers, and store at the "
                   "end.");
  // Two tiles along C and one along rank for each of two blocks; x A^T reads its rows, too.
  constexpr double kTiles = 2 * (2 * 2 * 32 * 32 + 2 * 32 * 8) * 4.0, kDown = 32 * 8 * 2 * 64 * 4.0;
  exam.expect_true(
      loaded <= kTiles + kDown,
      fmt::format("the kernels load {:.0f} KiB, where {:.0f} do", loaded / 1024,
                  (kTiles + kDown) / 1024),
      "Something is loaded more than once for each tile. load_tile brings each value into shared "
      "memory once, and all 256 threads read it there; out itself is never read.");
}

}  // namespace

std::vector<Task> tasks() {
  return {{"19.linear_lora_cuda",
           [](Exam& exam) {
             examine(exam);
             examine_traffic(exam);
           },
           {"32 rows, 64 inputs, 64 outputs, rank 8", run}}};
}

}  // namespace tinygpt::lessons
