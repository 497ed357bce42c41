// A whole model in fewer bits: one block after another, each rounded by what it sees of a
// calibration text once the blocks before it have been rounded.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tinygpt/model/gguf_model.h"
#include "tinygpt/model/gpt.h"
#include "tinygpt/quant/gptq.h"
#include "tinygpt/quant/groups.h"
#include "tinygpt/quant/quantizers.h"

namespace tinygpt {

enum class QuantizeMethod {
  q8_0,     // round to nearest in ggml's blocks of 8 bits
  nearest,  // round to nearest in `format`: with absmax and the default format, ggml's Q4_0
  gptq,
  awq,
};

// What suits a method: absmax for round to nearest, as in ggml's files; the least error of the
// weights for GPTQ, whose columns make up for the rest; for AWQ the least error of the outputs, the
// clipping that goes with its scales.
ScaleRule usual_rule(QuantizeMethod method);

struct QuantizeSettings {
  QuantizeMethod method = QuantizeMethod::nearest;
  GroupFormat format;                    // of the blocks' linear layers
  ScaleRule rule = ScaleRule::searched;  // q8_0 is always absmax
  double damping = 0.01;                 // gptq
  int column_block = 128;                // gptq
  bool activation_order = true;          // gptq
  GgufType table = GgufType::q8_0;       // of the token embedding and the head: f16, q8_0, q4_0
  Quantizers quantizers = standard_quantizers();
};

// What became of one matrix.
struct MatrixReport {
  std::string name;  // the parameter's
  std::int64_t values = 0;
  std::int64_t bytes = 0;
  double weight_error = 0;  // sum (w' - w)^2 / sum w^2
  double output_error =
      -1;             // sum |x (w' - w)^T|^2 / sum |x w^T|^2 over the calibration text, or -1
  double alpha = -1;  // awq: the power that was chosen, or -1
};

struct QuantizedModel {
  EncodedMatrices encoded;  // for save_gguf; only of formats that GGUF has
  std::vector<MatrixReport> matrices;
  std::int64_t bytes = 0;  // of all parameters, vectors and positions as floats
};

// Whether the method needs a calibration text.
bool needs_calibration(const QuantizeSettings& settings);

// Quantizes every matrix of the model but learned positions, in place: its weights become what the
// bits stand for, so that the model computes what a quantized one would (with float activations).
// AWQ moves scales into norms and earlier layers, too, which by itself changes no output: norms in
// front of qkv and up, the v rows in front of proj (where every head has its own), and the gated
// half of LLaMA's up in front of down. GPT-2's GELU lets no scale pass: its down is only rounded.
//
// calibration [sequences, time] are tokens, and may be empty where needs_calibration says no. The
// model is made for inference, on host memory. `progress` is called before each matrix with a share
// of the work that is done. Throws Error, naming the matrix, and then the model is half done.
QuantizedModel quantize_model(Gpt<float>& model, const std::vector<int>& calibration, int time,
                              const QuantizeSettings& settings,
                              const std::function<void(double, const std::string&)>& progress = {});

}  // namespace tinygpt
