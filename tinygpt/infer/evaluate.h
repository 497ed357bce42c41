// How well a model predicts a text.
#pragma once

#include <cstdint>
#include <functional>

#include "tinygpt/infer/engine.h"
#include "tinygpt/model/gpt.h"
#include "tinygpt/text/batches.h"
#include "tinygpt/text/token_file.h"

namespace tinygpt {

struct Evaluation {
  double loss = 0;          // mean, in nats per token
  std::int64_t tokens = 0;  // that were predicted and count
  // Mean over these of sum_v p[v] log(p[v] / q[v]), p the reference's probabilities of the next
  // token and q the model's, in nats: Kullback and Leibler's divergence. A loss may fall or rise by
  // luck where predictions change; this is 0 only where they have not.
  double divergence = 0;
};

// Who predicts, one of both: a model, which multiplies floats, as many windows at once as it has
// room for; or an engine with a free sequence of a window's length, which takes one window after
// another. Quantized weights stay integers in an engine, and activations are rounded to eight bits
// to meet them: that is how a text is written, and what it costs is in its predictions.
struct Predictor {
  Gpt<float>* model = nullptr;
  Engine<float>* engine = nullptr;
};

// Runs it over the plan's windows (text/batches.h), up to `most` of them, spread evenly over the
// file. `progress` is called with the share that is done, and stops it by returning false. A
// reference has the same vocabulary; one of nothing: there is none. Throws Error where the file is
// shorter than a window.
Evaluation evaluate(const Predictor& predictor, const TokenFile& file, const ValidationPlan& plan,
                    std::int64_t most, const std::function<bool(double)>& progress = {},
                    const Predictor& reference = {});

}  // namespace tinygpt
