// The experiments of lesson 21.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "lessons/21-quantization/lab.h"
#include "lessons/support/demo.h"
#include "lessons/support/table.h"
#include "solutions/21-quantization/awq.h"
#include "solutions/21-quantization/gptq.h"
#include "solutions/21-quantization/quantize.h"
#include "tinygpt/core/random.h"
#include "tinygpt/quant/groups.h"

using namespace tinygpt;
using namespace tinygpt::lessons;

namespace {

const char* const kWords[] = {"cat", "dog", "sun", "."};

// ---- the worked example

// snippet: worked
const std::vector<float> kWeights = {0.85f, -1.60f, 0.33f, 0.05f};
// end of snippet

void worked_blocks() {
  std::vector<float> block(kQuantBlock, 0.0f), eight(kQuantBlock), four(kQuantBlock);
  std::copy(kWeights.begin(), kWeights.end(), block.begin());
  BlockQ8_0 q8;
  BlockQ4_0 q4;
  ref::quantize_q8_0(&q8, block.data(), kQuantBlock);
  ref::quantize_q4_0(&q4, block.data(), kQuantBlock);
  ref::dequantize_q8_0(eight.data(), &q8, kQuantBlock);
  ref::dequantize_q4_0(four.data(), &q4, kQuantBlock);
  const double d8 = 1.60 / 127, d4 = -1.60 / -8;
  fmt::print("eight bits: d = 1.60 / 127 = {:.4f}     four bits: d = -1.60 / -8 = {:.2f}\n", d8,
             d4);
  fmt::print("kept in half precision: {:.6f} and {:.6f}\n\n", static_cast<float>(q8.d),
             static_cast<float>(q4.d));
  fmt::print("{:>5}{:>8}{:>9}{:>6}{:>8}{:>14}{:>5}{:>8}\n", "", "weight", "x / d", "q", "d q",
             "x / d + 8.5", "q", "value");
  for (std::size_t i = 0; i < kWeights.size(); ++i) {
    fmt::print("{:>5}{:>8.2f}{:>9.2f}{:>6}{:>8.3f}{:>14.2f}{:>5}{:>8.2f}\n", kWords[i], kWeights[i],
               kWeights[i] / d8, q8.q[i], eight[i], kWeights[i] / d4 + 8.5, q4.q[i] & 15, four[i]);
  }
}

// Two columns of one row, whose inputs mostly come together.
void worked_gptq() {
  const double w[2] = {0.33, 0.32}, step = 0.2, H[2][2] = {{2.0, 1.8}, {1.8, 2.0}};
  const auto nearest = [&](double x) { return step * std::round(x / step); };
  const auto error = [&](double a, double b) {
    const double e[2] = {a - w[0], b - w[1]};
    return e[0] * e[0] * H[0][0] + 2 * e[0] * e[1] * H[0][1] + e[1] * e[1] * H[1][1];
  };
  const double first = nearest(w[0]), plain = nearest(w[1]);
  const double shift = -(first - w[0]) * H[1][0] / H[1][1];
  const double second = nearest(w[1] + shift);
  fmt::print("\ntwo weights, {:.2f} and {:.2f}, on a grid of {:.1f}; H = [2.0 1.8; 1.8 2.0]\n\n",
             w[0], w[1], step);
  fmt::print("{:<18}{:>6}{:>8}{:>16}\n", "", "first", "second", "e H e^T");
  fmt::print("{:<18}{:>6.1f}{:>8.1f}{:>16.4f}\n", "round to nearest", first, plain,
             error(first, plain));
  fmt::print("{:<18}{:>6.1f}{:>8.1f}{:>16.4f}\n", "GPTQ", first, second, error(first, second));
  fmt::print(
      "\nthe first is off by {:+.2f}, so the second goes to {:.2f} {:+.3f} = {:.3f} before it "
      "is rounded\n",
      first - w[0], w[1], shift, w[1] + shift);
}

void worked(const std::vector<Option>&) {
  worked_blocks();
  worked_gptq();
}

// ---- one large weight

// snippet: naive
// One scale for all, and steps on both sides of zero: 7 for four bits, 127 for eight.
std::vector<float> round_tensor(std::vector<float> w, int steps) {
  float largest = 0.0f;
  for (const float x : w) largest = std::max(largest, std::fabs(x));
  const float d = largest / static_cast<float>(steps);
  for (float& x : w) x = d * std::round(x / d);
  return w;
}
// end of snippet

std::vector<float> round_groups(const std::vector<float>& w, const GroupFormat& f, int cols) {
  const int rows = static_cast<int>(w.size()) / cols;
  std::vector<float> out(w.size());
  dequantize_groups(out.data(),
                    quantize_groups(w.data(), rows, cols, f, ScaleRule::absmax, nullptr));
  return out;
}

constexpr std::size_t kEach = 1021;  // of these weights one is large

// The few large weights themselves are not counted: what happens to all others?
std::string error_of_others(const std::vector<float>& rounded, const std::vector<float>& w) {
  double sum = 0, all = 0;
  for (std::size_t k = 0; k < w.size(); ++k) {
    if (k % kEach == 0) continue;
    sum += std::pow(double{rounded[k]} - w[k], 2);
    all += std::pow(double{w[k]}, 2);
  }
  return fmt::format("{:.2f} %", 100 * std::sqrt(sum / all));
}

void groups(const std::vector<Option>&) {
  constexpr int kRows = 64, kCols = 512;
  std::vector<float> normal(kRows * kCols);
  Random random{1};
  for (float& x : normal) x = static_cast<float>(random.normal());
  std::vector<float> outliers = normal;
  for (std::size_t k = 0; k < outliers.size(); k += kEach) outliers[k] *= 20;
  std::vector<std::vector<std::string>> rows;
  const auto add_tensor = [&](int bits, int steps) {
    rows.push_back({fmt::format("the tensor, {} bits", bits), fmt::format("{:.3f}", 1.0 * bits),
                    error_of_others(round_tensor(normal, steps), normal),
                    error_of_others(round_tensor(outliers, steps), outliers)});
  };
  const auto add = [&](const std::string& name, const GroupFormat& f) {
    const double bytes = static_cast<double>(bytes_in(f, kRows, kCols));
    rows.push_back({name, fmt::format("{:.3f}", 8 * bytes / (kRows * kCols)),
                    error_of_others(round_groups(normal, f, kCols), normal),
                    error_of_others(round_groups(outliers, f, kCols), outliers)});
  };
  add_tensor(4, 7);
  add("a row of 512, 4 bits", {4, 0, true});
  add("each 128, 4 bits", {4, 128, true});
  add("each 32, 4 bits: Q4_0", {4, 32, true});
  add("each 16, 4 bits", {4, 16, true});
  add_tensor(8, 127);
  add("each 32, 8 bits", {8, 32, true});
  print_table({"a scale for", "bits a weight", "normal weights", "a few of 20 times the size"},
              rows);
  fmt::print("root mean square error of the ordinary weights, of their size\n");
}

// ---- one layer

struct Layer {
  int rows = 32, cols = 128;
  std::vector<float> weight, inputs, magnitude;
  std::vector<double> hessian;
};

// Inputs with a few causes behind them; `outliers` of the columns meet large ones.
Layer make_layer(double noise, int outliers) {
  constexpr int kInputs = 1000, kCauses = 12;
  Layer l;
  Random random{3};
  const auto C = static_cast<std::size_t>(l.cols);
  for (int k = 0; k < l.rows * l.cols; ++k) l.weight.push_back(static_cast<float>(random.normal()));
  std::vector<double> mix(kCauses * C);
  for (double& x : mix) x = random.normal() / std::sqrt(double{kCauses});
  l.hessian.assign(C * C, 0.0);
  l.magnitude.assign(C, 0.0f);
  std::vector<double> x(C), causes(kCauses);
  for (int n = 0; n < kInputs; ++n) {
    for (double& cause : causes) cause = random.normal();
    for (std::size_t i = 0; i < C; ++i) {
      x[i] = noise * random.normal();
      for (std::size_t c = 0; c < kCauses; ++c) x[i] += (1 - noise) * causes[c] * mix[c * C + i];
      if (static_cast<int>(i) % (l.cols / std::max(outliers, 1)) == 5 && outliers > 0) x[i] *= 15;
      l.magnitude[i] += static_cast<float>(std::fabs(x[i]) / kInputs);
    }
    for (std::size_t i = 0; i < C; ++i) {
      for (std::size_t j = 0; j < C; ++j) l.hessian[i * C + j] += x[i] * x[j];
    }
  }
  return l;
}

void round_q4_0(float* w, int rows, int cols) {
  std::vector<BlockQ4_0> blocks(static_cast<std::size_t>(rows * cols / kQuantBlock));
  ref::quantize_q4_0(blocks.data(), w, std::int64_t{rows} * cols);
  ref::dequantize_q4_0(w, blocks.data(), std::int64_t{rows} * cols);
}

// The outputs' squared error, as a share of the outputs' squares.
std::string output_share(const Layer& l, const std::vector<float>& rounded) {
  const std::vector<float> zeros(l.weight.size(), 0.0f);
  const double* H = l.hessian.data();
  return fmt::format("{:.3f} %",
                     100 * ref::output_error(rounded.data(), l.weight.data(), H, l.rows, l.cols) /
                         ref::output_error(l.weight.data(), zeros.data(), H, l.rows, l.cols));
}

void layers(const std::vector<Option>&) {
  std::vector<std::vector<std::string>> rows;
  const auto add = [&](const std::string& name, const Layer& l) {
    std::vector<float> nearest = l.weight, scaled = l.weight, gptq(l.weight.size());
    round_q4_0(nearest.data(), l.rows, l.cols);
    std::vector<float> s(static_cast<std::size_t>(l.cols));
    const double alpha = ref::awq_scales(s.data(), l.weight.data(), l.magnitude.data(),
                                         l.hessian.data(), round_q4_0, l.rows, l.cols);
    for (std::size_t k = 0; k < scaled.size(); ++k) scaled[k] *= s[k % s.size()];
    round_q4_0(scaled.data(), l.rows, l.cols);
    for (std::size_t k = 0; k < scaled.size(); ++k) scaled[k] /= s[k % s.size()];
    std::vector<BlockQ4_0> blocks(l.weight.size() / kQuantBlock);
    ref::gptq_quantize(blocks.data(), l.weight.data(), l.hessian.data(), l.rows, l.cols, 0.01);
    ref::dequantize_q4_0(gptq.data(), blocks.data(), static_cast<std::int64_t>(gptq.size()));
    rows.push_back({name, output_share(l, nearest), output_share(l, scaled),
                    fmt::format("{:.2f}", alpha), output_share(l, gptq)});
  };
  add("every input for itself", make_layer(1.0, 0));
  add("inputs that come together", make_layer(0.2, 0));
  add("four inputs are 15 times as large", make_layer(1.0, 4));
  add("both", make_layer(0.2, 4));
  print_table({"a layer whose inputs are", "nearest", "AWQ", "alpha", "GPTQ"}, rows);
  fmt::print("squared error of the outputs, as a share of their squares; Q4_0\n");
}

}  // namespace

int main(int argc, char** argv) {
  return run_demo(argc, argv, "Lesson 21: how few bits can a weight stand?",
                  {{"worked", "the numbers of the lesson's worked example", worked},
                   {"groups", "one large weight, and how many share a scale with it", groups},
                   {"layers", "round to nearest, AWQ and GPTQ on one layer", layers},
                   {"methods",
                    "a small model under every method: bytes, perplexity, divergence",
                    compare_methods,
                    {{"steps", "steps of its training", "900"},
                     {"outliers", "1: write the model with a few large channels", "0"},
                     {"out", "where the chart goes", "lessons-out/21-methods.svg"}}}});
}
