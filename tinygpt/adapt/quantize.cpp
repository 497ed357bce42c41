#include "tinygpt/adapt/quantize.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "tinygpt/adapt/calibration.h"
#include "tinygpt/adapt/quantize_matrix.h"
#include "tinygpt/core/error.h"

namespace tinygpt {
namespace {

// A quantization on its way.
struct Work {
  Gpt<float>& model;
  const QuantizeSettings& settings;
  std::optional<Calibration> calibration;
  QuantizedModel result{};
  const std::function<void(double, const std::string&)>& progress;
  int done = 0;
};

const std::string& name_of(const ParameterLayout& layout, std::int64_t offset) {
  for (const Parameter& p : layout.parameters) {
    if (p.offset == offset) return p.name;
  }
  throw Error("quantize: no parameter begins there");
}

void report_progress(Work& work, const std::string& name) {
  const int all = 4 * work.model.config.layers + 1;
  if (work.progress) work.progress(static_cast<double>(work.done) / all, name);
  ++work.done;
}

// What `quantize` reports of a matrix; its errors name the matrix.
template <class Quantize>
MatrixReport named(const std::string& name, const Quantize& quantize) {
  try {
    return quantize();
  } catch (const Error& e) {
    throw Error(fmt::format("{}: {}", name, e.what()));
  }
}

void keep(Work& work, const std::string& name, MatrixReport report, EncodedMatrix encoded) {
  report.name = name;
  work.result.matrices.push_back(report);
  if (!encoded.bytes.empty()) work.result.encoded[name] = std::move(encoded);
}

void quantize_linear(Work& work, const LinearPlace& place, const LinearInputs* inputs,
                     double alpha = -1) {
  const std::string& name = name_of(work.model.layout, place.weight);
  report_progress(work, name);
  EncodedMatrix encoded;
  MatrixReport report = named(name, [&] {
    return quantize_matrix(work.model.params() + place.weight, place.rows, place.cols, inputs,
                           work.settings, encoded);
  });
  report.alpha = alpha;
  keep(work, name, report, std::move(encoded));
}

void divide(float* values, const std::vector<float>& s) {
  for (std::size_t i = 0; i < s.size(); ++i) values[i] /= s[i];
}

// The rows of w [s.size(), cols], and their biases, divided by s.
void divide_rows(Gpt<float>& m, const LinearPlace& p, int first_row, const std::vector<float>& s) {
  for (std::size_t i = 0; i < s.size(); ++i) {
    float* row = m.params() + p.weight + (first_row + static_cast<std::int64_t>(i)) * p.cols;
    std::for_each(row, row + p.cols, [&](float& w) { w /= s[i]; });
  }
  if (p.bias >= 0) divide(m.params() + p.bias + first_row, s);
}

// Moves the scales that suit a layer into whatever makes its inputs, where that can take them.
double fold_scales(Work& work, int block, BlockLinear linear, LinearInputs& inputs) {
  Gpt<float>& m = work.model;
  const GptConfig& c = m.config;
  const bool passes_v = c.kv_heads == c.heads;
  if (linear == BlockLinear::down && c.family == Family::gpt2) return -1;
  if (linear == BlockLinear::proj && !passes_v) return -1;
  const LinearPlace place = linear_place(m.layout, c, block, linear);
  float* w = m.params() + place.weight;
  double alpha = 0;
  const std::vector<float> s =
      find_awq_scales(w, place.rows, place.cols, inputs, work.settings, alpha);
  scale_columns(w, place.rows, place.cols, s, inputs);
  const BlockOffsets& b = m.layout.blocks[static_cast<std::size_t>(block)];
  if (linear == BlockLinear::qkv || linear == BlockLinear::up) {
    const bool first = linear == BlockLinear::qkv;
    divide(m.params() + (first ? b.norm1_weight : b.norm2_weight), s);
    const std::int64_t bias = first ? b.norm1_bias : b.norm2_bias;
    if (bias >= 0) divide(m.params() + bias, s);
  } else if (linear == BlockLinear::proj) {
    divide_rows(m, linear_place(m.layout, c, block, BlockLinear::qkv), 2 * c.width, s);
  } else {
    // act = silu(gate) * up: the rows of up are the second half.
    divide_rows(m, linear_place(m.layout, c, block, BlockLinear::up), c.hidden, s);
  }
  return alpha;
}

// A pair of layers whose scales reach into each other: the second one's go into the first one's
// rows, so both are found before either is rounded.
void awq_pair(Work& work, int block, BlockLinear first, BlockLinear second) {
  Gpt<float>& m = work.model;
  LinearInputs first_inputs = collect_inputs(m, *work.calibration, block, first);
  LinearInputs second_inputs = collect_inputs(m, *work.calibration, block, second);
  const double first_alpha = fold_scales(work, block, first, first_inputs);
  const double second_alpha = fold_scales(work, block, second, second_inputs);
  quantize_linear(work, linear_place(m.layout, m.config, block, first), &first_inputs, first_alpha);
  quantize_linear(work, linear_place(m.layout, m.config, block, second), &second_inputs,
                  second_alpha);
}

void quantize_block(Work& work, int block) {
  if (work.settings.method == QuantizeMethod::awq) {
    awq_pair(work, block, BlockLinear::qkv, BlockLinear::proj);
    awq_pair(work, block, BlockLinear::up, BlockLinear::down);
  } else {
    for (const BlockLinear linear : kBlockLinears) {
      std::optional<LinearInputs> inputs;
      if (work.calibration) inputs = collect_inputs(work.model, *work.calibration, block, linear);
      quantize_linear(work, linear_place(work.model.layout, work.model.config, block, linear),
                      inputs ? &*inputs : nullptr);
    }
  }
  if (work.calibration) pass_block(work.model, *work.calibration, block);
}

void quantize_tables(Work& work) {
  const ParameterLayout& layout = work.model.layout;
  for (const Parameter& p : layout.parameters) {
    if (p.name != "wte" && p.name != "head") continue;
    if (p.name == "wte") report_progress(work, p.name);
    EncodedMatrix encoded;
    const MatrixReport report = named(p.name, [&] {
      return quantize_table(work.model.params() + p.offset, p.rows, p.cols, work.settings.table,
                            work.settings.quantizers, encoded);
    });
    keep(work, p.name, report, std::move(encoded));
  }
}

std::int64_t all_bytes(const Work& work) {
  std::int64_t bytes = 0, in_matrices = 0, all = 0;
  for (const MatrixReport& r : work.result.matrices) {
    bytes += r.bytes;
    in_matrices += r.values;
  }
  for (const Parameter& p : work.model.layout.parameters) all += p.size();
  return bytes + (all - in_matrices) * std::int64_t{sizeof(float)};
}

}  // namespace

ScaleRule usual_rule(QuantizeMethod method) {
  switch (method) {
    case QuantizeMethod::awq:
      return ScaleRule::outputs;
    case QuantizeMethod::gptq:
      return ScaleRule::searched;
    case QuantizeMethod::q8_0:
    case QuantizeMethod::nearest:
      break;
  }
  return ScaleRule::absmax;
}

bool needs_calibration(const QuantizeSettings& s) {
  return s.method == QuantizeMethod::gptq || s.method == QuantizeMethod::awq;
}

QuantizedModel quantize_model(Gpt<float>& model, const std::vector<int>& calibration, int time,
                              const QuantizeSettings& settings,
                              const std::function<void(double, const std::string&)>& progress) {
  check_format(settings.format);
  check(!needs_calibration(settings) || !calibration.empty(),
        "quantize: GPTQ and AWQ round by what the layers see of a text: give them one");
  Work work{model, settings, std::nullopt, {}, progress};
  if (!calibration.empty()) work.calibration = start_calibration(model, calibration, time);
  for (int block = 0; block < model.config.layers; ++block) quantize_block(work, block);
  quantize_tables(work);
  work.result.bytes = all_bytes(work);
  return std::move(work.result);
}

}  // namespace tinygpt
