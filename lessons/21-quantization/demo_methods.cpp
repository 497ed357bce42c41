// One small model under every method.
#include <fmt/format.h>

#include <cmath>

#include "lessons/21-quantization/lab.h"
#include "lessons/support/chart.h"
#include "lessons/support/table.h"
#include "solutions/13-training-loop/batch.h"
#include "tinygpt/adapt/quantize.h"

namespace tinygpt::lessons {
namespace {

struct Method {
  std::string name;
  QuantizeMethod method;
  int group;
  ScaleRule rule = ScaleRule::absmax;
};

// snippet: methods
const std::vector<Method> kMethods = {
    {"Q8_0", QuantizeMethod::q8_0, 32}, {"nearest", QuantizeMethod::nearest, 32},
    {"AWQ", QuantizeMethod::awq, 32},   {"AWQ, clip", QuantizeMethod::awq, 32, ScaleRule::outputs},
    {"GPTQ", QuantizeMethod::gptq, 32}, {"nearest", QuantizeMethod::nearest, 0},
    {"AWQ", QuantizeMethod::awq, 0},    {"AWQ, clip", QuantizeMethod::awq, 0, ScaleRule::outputs},
    {"GPTQ", QuantizeMethod::gptq, 0}};
// end of snippet

std::vector<int> calibration_windows(const Text& text) {
  constexpr int kWindows = 96;
  std::vector<int> tokens(kWindows * kTime), targets(tokens.size());
  Random random{2};
  ref::next_batch(tokens, targets, text.train, kWindows, kTime, random);
  return tokens;
}

// Large models have a few channels whose values are many times as large as all others. Here are
// some: the norm makes four of its outputs 20 times as large, and the columns that read them are as
// much smaller. What the model computes stays the same.
void enlarge_channels(Gpt<float>& m) {
  constexpr float kBy = 20;
  const int C = m.config.width;
  const auto enlarge = [&](std::int64_t norm, std::int64_t weight, int rows) {
    for (int i = 5; i < C; i += C / 4) {
      m.params()[norm + i] *= kBy;
      for (int o = 0; o < rows; ++o) m.params()[weight + std::int64_t{o} * C + i] /= kBy;
    }
  };
  for (const BlockOffsets& b : m.layout.blocks) {
    enlarge(b.norm1_weight, b.qkv_weight, m.config.qkv_width());
    enlarge(b.norm2_weight, b.up_weight, m.config.up_width());
  }
}

}  // namespace

void compare_methods(const std::vector<Option>& options) {
  const Text text = load_text(2000);
  const Gpt<float> model = train_model(text, static_cast<int>(as_number(options, "steps")));
  Gpt<float> reference = copy_of(model);
  const std::vector<int> windows = calibration_windows(text);
  const double plain = measure(reference, reference, text).loss;
  const double floats = 4e-3 * static_cast<double>(parameter_ledger(model.config).total);
  std::vector<std::vector<std::string>> rows = {{"float", "", fmt::format("{:.0f}", floats),
                                                 fmt::format("{:.4f}", std::exp(plain)), "", "-"}};
  std::vector<LabelledPoint> points;
  for (const Method& m : kMethods) {
    Gpt<float> rounded = copy_of(model);
    if (as_number(options, "outliers") != 0) enlarge_channels(rounded);
    QuantizeSettings s;
    s.quantizers = lesson_quantizers();
    s.method = m.method;
    s.format.group = m.group;
    s.rule = m.rule;
    s.activation_order = false;
    const QuantizedModel q = quantize_model(rounded, windows, kTime, s);
    const Quality quality = measure(rounded, reference, text);
    rows.push_back({m.name, m.group == 0 ? "row" : fmt::format("{}", m.group),
                    fmt::format("{:.0f}", 1e-3 * static_cast<double>(q.bytes)),
                    fmt::format("{:.4f}", std::exp(quality.loss)),
                    fmt::format("{:+.2f} %", 100 * (std::exp(quality.loss - plain) - 1)),
                    fmt::format("{:.5f}", quality.divergence)});
    points.push_back({m.name + (m.group == 0 ? ", row" : ""), 1e-3 * static_cast<double>(q.bytes),
                      quality.divergence, m.group == 0 ? 1 : 0});
  }
  print_table({"method", "scale for", "kB", "perplexity", "change", "divergence"}, rows);
  const std::string out = as_text(options, "out");
  write_scatter(out, "Bytes, and how far predictions move", points,
                {.x = "kilobytes of parameters", .y = "divergence, nats per token", .log_y = true});
  fmt::print("perplexity per character of held-out text\n");
}

}  // namespace tinygpt::lessons
