#include "tinygpt/adapt/quantize_matrix.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "solutions/21-quantization/awq.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/float16.h"

namespace tinygpt {
namespace {

template <class Block>
EncodedMatrix encode(GgufType type, const std::vector<Block>& blocks) {
  const auto bytes = std::as_bytes(std::span(blocks));
  return {type, {bytes.begin(), bytes.end()}};
}

void check_rows(int cols, GgufType type) {
  check(cols % block_of(type) == 0, [&] {
    return fmt::format(
        "quantize: rows of {} values, and {} needs multiples of 32: train a model of another width",
        cols, type_name(type));
  });
}

// There and back in blocks of one of ggml's types.
template <class Block>
EncodedMatrix round_blocks(float* w, std::int64_t n, GgufType type,
                           void (*quantize)(Block*, const float*, std::int64_t),
                           void (*dequantize)(float*, const Block*, std::int64_t)) {
  std::vector<Block> blocks(static_cast<std::size_t>(n / kQuantBlock));
  quantize(blocks.data(), w, n);
  dequantize(w, blocks.data(), n);
  return encode(type, blocks);
}

EncodedMatrix round_q8_0(float* w, int rows, int cols, const Quantizers& q) {
  check_rows(cols, GgufType::q8_0);
  return round_blocks(w, std::int64_t{rows} * cols, GgufType::q8_0, q.quantize_q8_0,
                      q.dequantize_q8_0);
}

EncodedMatrix round_q4_0(float* w, int rows, int cols, const Quantizers& q) {
  check_rows(cols, GgufType::q4_0);
  return round_blocks(w, std::int64_t{rows} * cols, GgufType::q4_0, q.quantize_q4_0,
                      q.dequantize_q4_0);
}

bool is_q4_0(const GroupFormat& f) { return f == GroupFormat{4, kQuantBlock, true}; }

EncodedMatrix keep(float* w, const GroupedMatrix& m) {
  dequantize_groups(w, m);
  if (!is_q4_0(m.format)) return {};
  check_rows(m.cols, GgufType::q4_0);
  return encode(GgufType::q4_0, to_q4_0(m));
}

EncodedMatrix round_by_gptq(float* w, int rows, int cols, const LinearInputs& inputs,
                            const QuantizeSettings& s) {
  if (is_q4_0(s.format) && s.quantizers.gptq_quantize != nullptr) {
    check_rows(cols, GgufType::q4_0);
    std::vector<BlockQ4_0> blocks(static_cast<std::size_t>(rows) *
                                  static_cast<std::size_t>(cols / kQuantBlock));
    s.quantizers.gptq_quantize(blocks.data(), w, inputs.hessian.data(), rows, cols, s.damping);
    s.quantizers.dequantize_q4_0(w, blocks.data(), std::int64_t{rows} * cols);
    return encode(GgufType::q4_0, blocks);
  }
  const GptqSettings settings{s.damping, s.column_block, s.activation_order, s.rule};
  return keep(w, gptq(w, inputs.hessian.data(), rows, cols, s.format, settings));
}

EncodedMatrix round_to_nearest(float* w, int rows, int cols, const LinearInputs* inputs,
                               const QuantizeSettings& s) {
  if (is_q4_0(s.format) && s.rule == ScaleRule::absmax) {
    return round_q4_0(w, rows, cols, s.quantizers);
  }
  return keep(w, quantize_groups(w, rows, cols, s.format, s.rule,
                                 inputs == nullptr ? nullptr : inputs->hessian.data()));
}

MatrixReport report_of(const std::vector<float>& before, const float* w, std::int64_t bytes) {
  MatrixReport r;
  r.values = static_cast<std::int64_t>(before.size());
  r.bytes = bytes;
  double error = 0, all = 0;
  for (std::size_t k = 0; k < before.size(); ++k) {
    error += (double{w[k]} - before[k]) * (double{w[k]} - before[k]);
    all += double{before[k]} * before[k];
  }
  r.weight_error = all > 0 ? error / all : 0;
  return r;
}

// What a layer sees once its inputs are divided by s.
void divide_inputs(LinearInputs& inputs, const std::vector<float>& s) {
  const std::size_t C = s.size();
  for (std::size_t i = 0; i < C; ++i) {
    inputs.magnitude[i] /= s[i];
    for (std::size_t j = 0; j < C; ++j) inputs.hessian[i * C + j] /= double{s[i]} * s[j];
  }
}

// AWQ's scales are compared on so many rows of a matrix: all rows share the inputs, and a search
// of the grids costs more than anything else.
constexpr std::size_t kRowsCompared = 128;

std::vector<float> some_rows(const float* w, int rows, int cols) {
  const auto R = static_cast<std::size_t>(rows), C = static_cast<std::size_t>(cols);
  const std::size_t count = std::min(R, kRowsCompared);
  std::vector<float> some;
  for (std::size_t k = 0; k < count; ++k) {
    const float* row = w + k * R / count * C;
    some.insert(some.end(), row, row + C);
  }
  return some;
}

// The s that columns of w [rows, cols] were multiplied by; 1 for a column of zeros.
std::vector<float> column_factors(const float* scaled, const float* w, int rows, int cols) {
  const auto C = static_cast<std::size_t>(cols);
  std::vector<double> after(C), before(C);
  for (std::size_t k = 0; k < static_cast<std::size_t>(rows) * C; ++k) {
    after[k % C] += std::fabs(scaled[k]);
    before[k % C] += std::fabs(w[k]);
  }
  std::vector<float> s;
  for (std::size_t i = 0; i < C; ++i) {
    const bool zeros = !(before[i] > 0) || !(after[i] > 0);
    s.push_back(zeros ? 1.0f : static_cast<float>(after[i] / before[i]));
  }
  return s;
}

}  // namespace

MatrixReport quantize_matrix(float* w, int rows, int cols, const LinearInputs* inputs,
                             const QuantizeSettings& s, EncodedMatrix& encoded) {
  const std::vector<float> before(w, w + std::int64_t{rows} * cols);
  const bool eight = s.method == QuantizeMethod::q8_0;
  if (eight) encoded = round_q8_0(w, rows, cols, s.quantizers);
  else if (s.method == QuantizeMethod::gptq) encoded = round_by_gptq(w, rows, cols, *inputs, s);
  else encoded = round_to_nearest(w, rows, cols, inputs, s);
  const std::int64_t bytes =
      eight ? bytes_of(GgufType::q8_0, std::int64_t{rows} * cols) : bytes_in(s.format, rows, cols);
  MatrixReport r = report_of(before, w, bytes);
  if (inputs != nullptr) {
    const std::vector<float> zeros(before.size(), 0.0f);
    const double* H = inputs->hessian.data();
    const double all = ref::output_error(before.data(), zeros.data(), H, rows, cols);
    r.output_error = all > 0 ? ref::output_error(w, before.data(), H, rows, cols) / all : 0;
  }
  return r;
}

MatrixReport quantize_table(float* w, int rows, int cols, GgufType type, const Quantizers& q,
                            EncodedMatrix& encoded) {
  const std::int64_t n = std::int64_t{rows} * cols;
  const std::vector<float> before(w, w + n);
  if (type == GgufType::q8_0) {
    encoded = round_q8_0(w, rows, cols, q);
  } else if (type == GgufType::q4_0) {
    encoded = round_q4_0(w, rows, cols, q);
  } else {
    check(type == GgufType::f16, "quantize: the embedding table is kept in f16, q8_0 or q4_0");
    std::vector<Float16> halves;
    for (const float x : before) halves.emplace_back(x);
    std::copy(halves.begin(), halves.end(), w);
    encoded = encode(type, halves);
  }
  return report_of(before, w, bytes_of(type, n));
}

std::vector<float> find_awq_scales(const float* w, int rows, int cols, const LinearInputs& inputs,
                                   const QuantizeSettings& s, double& alpha) {
  const std::vector<float> some = some_rows(w, rows, cols);
  const int count = static_cast<int>(some.size() / static_cast<std::size_t>(cols));
  const RoundRows round = [&](float* to, int R, int C) {
    if (s.rule == ScaleRule::absmax) {
      round_to_nearest(to, R, C, nullptr, s);
      return;
    }
    LinearInputs divided = inputs;
    divide_inputs(divided, column_factors(to, some.data(), R, C));
    round_to_nearest(to, R, C, &divided, s);
  };
  std::vector<float> scales(static_cast<std::size_t>(cols));
  alpha = s.quantizers.awq_scales(scales.data(), some.data(), inputs.magnitude.data(),
                                  inputs.hessian.data(), round, count, cols);
  return scales;
}

void scale_columns(float* w, int rows, int cols, const std::vector<float>& s,
                   LinearInputs& inputs) {
  const auto C = static_cast<std::size_t>(cols);
  for (std::size_t k = 0; k < static_cast<std::size_t>(rows) * C; ++k) w[k] *= s[k % C];
  divide_inputs(inputs, s);
}

}  // namespace tinygpt
