#include "tinygpt/quant/gptq.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "solutions/21-quantization/gptq.h"
#include "tinygpt/core/error.h"
#include "tinygpt/cpu/parallel.h"

namespace tinygpt {
namespace {

constexpr float kMost = 65504.0f;  // of half precision
constexpr const char* kGrown =
    "gptq: weights have grown out of range while they made up for others' errors: damp the Hessian "
    "more";

using Order = std::vector<std::size_t>;

// What one matrix's columns go through, in the order in which they are rounded.
struct Work {
  const GroupFormat& format;
  const GptqSettings& settings;
  const double* hessian;  // [cols, cols], by column
  std::size_t cols;
  Order order;              // the column that stands at each place
  std::vector<double> U{};  // [cols, cols], by place
  std::vector<double> w{};  // [rows, cols], by place
};

Order column_order(const double* hessian, std::size_t cols, bool by_activation) {
  Order order(cols);
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (by_activation) {
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return hessian[a * cols + a] > hessian[b * cols + b];
    });
  }
  return order;
}

std::vector<double> damped_factor(const double* hessian, const Order& order, double damping) {
  const std::size_t n = order.size();
  double trace = 0;
  for (std::size_t i = 0; i < n; ++i) trace += hessian[i * n + i];
  std::vector<double> H(n * n);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) H[i * n + j] = hessian[order[i] * n + order[j]];
    H[i * n + i] += damping * trace / static_cast<double>(n);
  }
  ref::inverse_factor(H.data(), static_cast<int>(n));
  return H;
}

// The grid of the group that begins at column `first`, from the weights as they stand. The order is
// the natural one.
Grid grid_from_here(const Work& work, const double* w, std::size_t first) {
  const auto size = static_cast<std::size_t>(group_size(work.format, static_cast<int>(work.cols)));
  const std::size_t n = std::min(size, work.cols - first);
  const std::vector<float> now(w + first, w + first + n);
  // Grown out of range: gptq() raises the Error once it has left the parallel region.
  const auto in_range = [](float x) { return std::fabs(x) <= kMost; };
  if (!std::all_of(now.begin(), now.end(), in_range)) return {};
  return find_grid(now.data(), static_cast<int>(n), work.format, work.settings.rule,
                   work.hessian + first * work.cols + first, static_cast<int>(work.cols));
}

// Rounds the places first .. last - 1 of one row, and then lets the places behind make up for all
// of their errors at once.
void round_places(Work& work, GroupedMatrix& out, int row, std::size_t first, std::size_t last) {
  const std::size_t C = work.cols;
  const auto size = static_cast<std::size_t>(group_size(work.format, static_cast<int>(C)));
  double* w = &work.w[static_cast<std::size_t>(row) * C];
  std::vector<double> errors(last - first);
  for (std::size_t i = first; i < last; ++i) {
    const std::size_t column = work.order[i];
    const int g = static_cast<int>(column / size);
    if (!work.settings.activation_order && i % size == 0) {
      set_grid(out, row, g, grid_from_here(work, w, i));
    }
    const Grid grid = out.grid(row, g);
    const int code = code_of(w[i], grid, work.format.bits);
    set_code(out, row, static_cast<int>(column), code);
    const double error = (w[i] - value_of(code, grid)) / work.U[i * C + i];
    for (std::size_t j = i + 1; j < last; ++j) w[j] -= error * work.U[i * C + j];
    errors[i - first] = error;
  }
  for (std::size_t i = first; i < last; ++i) {
    const double error = errors[i - first];
    const double* u = &work.U[i * C];
    for (std::size_t j = last; j < C; ++j) w[j] -= error * u[j];
  }
}

}  // namespace

GroupedMatrix gptq(const float* w, const double* hessian, int rows, int cols,
                   const GroupFormat& format, const GptqSettings& settings) {
  check_format(format);
  check(settings.block >= 1, "gptq: blocks of at least one column");
  const auto C = static_cast<std::size_t>(cols);
  Work work{format, settings, hessian, C, column_order(hessian, C, settings.activation_order)};
  work.U = damped_factor(hessian, work.order, settings.damping);
  work.w.resize(static_cast<std::size_t>(rows) * C);
  for (std::size_t o = 0; o < static_cast<std::size_t>(rows); ++o) {
    for (std::size_t i = 0; i < C; ++i) work.w[o * C + i] = w[o * C + work.order[i]];
  }
  // With activation order the grids are those of the weights as they came.
  GroupedMatrix out = settings.activation_order
                          ? quantize_groups(w, rows, cols, format, settings.rule, hessian)
                          : make_grouped(format, rows, cols);
  // A group's grid is found from columns that have seen all errors so far: so no group is cut.
  const auto size = static_cast<std::size_t>(group_size(format, cols));
  const std::size_t block = (static_cast<std::size_t>(settings.block) + size - 1) / size * size;
  for (std::size_t first = 0; first < C; first += block) {
    const std::size_t last = std::min(first + block, C);
    cpu::parallel_tasks(
        rows, static_cast<std::int64_t>((last - first) * (C - first)),
        [&](std::int64_t o) { round_places(work, out, static_cast<int>(o), first, last); });
    for (const double value : work.w) check(std::fabs(value) <= kMost, kGrown);
  }
  return out;
}

}  // namespace tinygpt
