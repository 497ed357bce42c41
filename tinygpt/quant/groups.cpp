#include "tinygpt/quant/groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tinygpt/core/error.h"
#include "tinygpt/cpu/parallel.h"

namespace tinygpt {
namespace {

std::size_t code_bytes(const GroupFormat& f, int cols) {
  return static_cast<std::size_t>(f.bits == 8 ? cols : (cols + 1) / 2);
}

std::size_t at(const GroupedMatrix& m, int row, int group_index) {
  return static_cast<std::size_t>(row) * static_cast<std::size_t>(groups_in(m.format, m.cols)) +
         static_cast<std::size_t>(group_index);
}

float half_precision(float scale) {
  check(std::fabs(scale) <= 65504.0f,
        "quantize: a weight is too large for a scale in half precision");
  return Float16(scale);
}

// The errors of one group's values under a grid, and what they count.
class GroupErrors {
 public:
  GroupErrors(const float* w, int n, int bits, ScaleRule rule, const double* hessian, int stride)
      : w_(w),
        n_(static_cast<std::size_t>(n)),
        bits_(bits),
        rule_(rule),
        hessian_(hessian),
        stride_(static_cast<std::size_t>(stride)),
        a_(n_),
        b_(n_),
        product_(n_) {}

  double of(const Grid& grid) {
    for (std::size_t i = 0; i < n_; ++i) {
      a_[i] = double{value_of(code_of(w_[i], grid, bits_), grid)} - w_[i];
    }
    return form(a_, a_);
  }

  // The scale with the least error for the codes that a grid gives: a least-squares fit.
  Grid refit(const Grid& grid) {
    for (std::size_t i = 0; i < n_; ++i) {
      a_[i] = code_of(w_[i], grid, bits_) - grid.zero;
      b_[i] = w_[i];
    }
    const double square = form(a_, a_);
    if (!(square > 0)) return grid;
    const auto scale = static_cast<float>(form(a_, b_) / square);
    return std::fabs(scale) <= 65504.0f ? Grid{Float16(scale), grid.zero} : grid;
  }

 private:
  // sum_ij a_i H_ij b_j, with as much of H as the rule asks for
  double form(const std::vector<double>& a, const std::vector<double>& b) {
    const bool whole = hessian_ != nullptr && rule_ == ScaleRule::outputs;
    if (whole) multiply(a);
    double sum = 0;
    for (std::size_t i = 0; i < n_; ++i) {
      const double h = hessian_ == nullptr ? 1.0 : hessian_[i * stride_ + i];
      sum += (whole ? product_[i] : h * a[i]) * b[i];
    }
    return sum;
  }

  void multiply(const std::vector<double>& a) {
    std::fill(product_.begin(), product_.end(), 0.0);
    for (std::size_t i = 0; i < n_; ++i) {
      const double* row = hessian_ + i * stride_;
      for (std::size_t j = 0; j < n_; ++j) product_[j] += a[i] * row[j];
    }
  }

  const float* w_;
  std::size_t n_;
  int bits_;
  ScaleRule rule_;
  const double* hessian_;
  std::size_t stride_;
  std::vector<double> a_, b_, product_;
};

// Signs matter where the codes reach one step further down than up.
Grid symmetric_grid(float end, int bits) {
  const int half = 1 << (bits - 1);
  return {half_precision(end / static_cast<float>(-half)), half};
}

Grid asymmetric_grid(float low, float high, int bits) {
  const int most = (1 << bits) - 1;
  const float scale = half_precision((high - low) / static_cast<float>(most));
  const int zero = scale == 0 ? 0 : static_cast<int>(std::lround(-low / scale));
  return {scale, std::clamp(zero, 0, most)};
}

// Ends that are tried, as shares of the group's own: nothing clipped at 1, and a little beyond.
constexpr float kShares[] = {1.1f,  1.05f, 1.0f,  0.96f, 0.92f, 0.88f, 0.84f,
                             0.80f, 0.76f, 0.72f, 0.68f, 0.62f, 0.56f, 0.5f};

}  // namespace

void check_format(const GroupFormat& f) {
  check(f.bits == 4 || f.bits == 8,
        [&] { return fmt::format("quantize: {} bits: there are 4 and 8", f.bits); });
  check(f.group >= 0, [&] {
    return fmt::format("quantize: groups of {} values: at least 1, or 0 for whole rows", f.group);
  });
}

int group_size(const GroupFormat& f, int cols) {
  return f.group == 0 ? cols : std::min(f.group, cols);
}

int groups_in(const GroupFormat& f, int cols) {
  const int size = group_size(f, cols);
  return size == 0 ? 0 : (cols + size - 1) / size;
}

std::int64_t bytes_in(const GroupFormat& f, int rows, int cols) {
  const std::int64_t grids = std::int64_t{rows} * groups_in(f, cols);
  return std::int64_t{rows} * static_cast<std::int64_t>(code_bytes(f, cols)) +
         grids * (f.symmetric ? 2 : 3);
}

Grid GroupedMatrix::grid(int row, int group_index) const {
  const std::size_t i = at(*this, row, group_index);
  return {scale[i], format.symmetric ? 1 << (format.bits - 1) : zero[i]};
}

int code_of(double w, const Grid& grid, int bits) {
  if (grid.scale == 0) return grid.zero;
  const double code = std::floor(w / grid.scale + grid.zero + 0.5);
  const int most = (1 << bits) - 1;
  return code >= most ? most : code > 0 ? static_cast<int>(code) : 0;  // NaN: 0
}

Grid find_grid(const float* w, int n, const GroupFormat& f, ScaleRule rule, const double* hessian,
               int stride) {
  float low = 0, high = 0;
  for (int i = 0; i < n; ++i) {
    check(std::isfinite(w[i]), "quantize: a weight is not finite");
    low = std::min(low, w[i]);
    high = std::max(high, w[i]);
  }
  const float end = -low >= high ? low : high;  // of the largest magnitude, with its sign
  const Grid plain = f.symmetric ? symmetric_grid(end, f.bits) : asymmetric_grid(low, high, f.bits);
  if (rule == ScaleRule::absmax || plain.scale == 0) return plain;
  GroupErrors errors(w, n, f.bits, rule, hessian, stride);
  Grid best = plain;
  double least = errors.of(best);
  const auto consider = [&](const Grid& grid) {
    const double error = grid.scale == 0 ? least : errors.of(grid);
    if (error >= least) return;
    least = error;
    best = grid;
  };
  for (const float share : kShares) {
    if (f.symmetric) {
      consider(symmetric_grid(end * share, f.bits));
      consider(symmetric_grid(-end * share, f.bits));
    } else {
      const float most = std::fabs(end) * share;  // the longer end alone, or both
      consider(asymmetric_grid(std::max(low, -most), std::min(high, most), f.bits));
      consider(asymmetric_grid(low * share, high * share, f.bits));
    }
  }
  for (int turn = 0; turn < 3; ++turn) consider(errors.refit(best));
  return best;
}

GroupedMatrix make_grouped(const GroupFormat& f, int rows, int cols) {
  check_format(f);
  GroupedMatrix m{f, rows, cols, {}, {}, {}};
  const auto grids = static_cast<std::size_t>(rows) * static_cast<std::size_t>(groups_in(f, cols));
  m.scale.resize(grids, Float16(0.0f));
  if (!f.symmetric) m.zero.resize(grids);
  m.codes.resize(static_cast<std::size_t>(rows) * code_bytes(f, cols));
  return m;
}

void set_grid(GroupedMatrix& m, int row, int group_index, const Grid& grid) {
  const std::size_t i = at(m, row, group_index);
  m.scale[i] = Float16(grid.scale);
  if (!m.format.symmetric) m.zero[i] = static_cast<std::uint8_t>(grid.zero);
}

void set_code(GroupedMatrix& m, int row, int col, int code) {
  std::uint8_t* codes = &m.codes[static_cast<std::size_t>(row) * code_bytes(m.format, m.cols)];
  if (m.format.bits == 8) {
    codes[col] = static_cast<std::uint8_t>(code);
    return;
  }
  std::uint8_t& byte = codes[col / 2];
  byte = static_cast<std::uint8_t>(col % 2 == 0 ? (byte & 0xf0) | code : (byte & 15) | code << 4);
}

int get_code(const GroupedMatrix& m, int row, int col) {
  const std::uint8_t* codes =
      &m.codes[static_cast<std::size_t>(row) * code_bytes(m.format, m.cols)];
  if (m.format.bits == 8) return codes[col];
  return col % 2 == 0 ? codes[col / 2] & 15 : codes[col / 2] >> 4;
}

GroupedMatrix quantize_groups(const float* w, int rows, int cols, const GroupFormat& f,
                              ScaleRule rule, const double* hessian) {
  GroupedMatrix m = make_grouped(f, rows, cols);
  const int size = group_size(f, cols);
  // An Error must not leave a parallel region: what could raise one is found before.
  for (std::int64_t i = 0; i < std::int64_t{rows} * cols; ++i) {
    check(std::fabs(w[i]) <= 65504.0f, "quantize: a weight is not finite, or too large");
  }
  cpu::parallel_tasks(rows, std::int64_t{cols} * 16, [&](std::int64_t row) {
    const float* of = w + row * cols;
    const int o = static_cast<int>(row);
    for (int first = 0, g = 0; first < cols; first += size, ++g) {
      const int n = std::min(size, cols - first);
      const double* block =
          hessian == nullptr ? nullptr : hessian + std::int64_t{first} * cols + first;
      const Grid grid = find_grid(of + first, n, f, rule, block, cols);
      set_grid(m, o, g, grid);
      for (int i = first; i < first + n; ++i) set_code(m, o, i, code_of(of[i], grid, f.bits));
    }
  });
  return m;
}

void dequantize_groups(float* out, const GroupedMatrix& m) {
  const int size = group_size(m.format, m.cols);
  for (int o = 0; o < m.rows; ++o) {
    for (int i = 0; i < m.cols; ++i) {
      *out++ = value_of(get_code(m, o, i), m.grid(o, i / size));
    }
  }
}

std::vector<BlockQ4_0> to_q4_0(const GroupedMatrix& m) {
  check(m.format == GroupFormat{4, kQuantBlock, true} && m.cols % kQuantBlock == 0,
        "quantize: Q4_0 is four bits, symmetric, in groups of 32");
  std::vector<BlockQ4_0> out(m.scale.size());
  const int blocks = m.cols / kQuantBlock;
  for (std::size_t b = 0; b < out.size(); ++b) {
    const int row = static_cast<int>(b) / blocks, first = static_cast<int>(b) % blocks * 32;
    out[b].d = m.scale[b];
    for (int i = 0; i < kQuantBlock / 2; ++i) {
      const int low = get_code(m, row, first + i), high = get_code(m, row, first + i + 16);
      out[b].q[i] = static_cast<std::uint8_t>(low | high << 4);
    }
  }
  return out;
}

}  // namespace tinygpt
