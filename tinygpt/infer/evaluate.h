// How well a model predicts a text.
#pragma once

#include <cstdint>
#include <functional>

#include "tinygpt/model/gpt.h"
#include "tinygpt/text/batches.h"
#include "tinygpt/text/token_file.h"

namespace tinygpt {

struct Evaluation {
  double loss = 0;          // mean, in nats per token
  std::int64_t tokens = 0;  // that were predicted and count
};

// Runs the model over the plan's windows, up to `most` of them, spread evenly over the file (text/
// batches.h). The model takes as many windows at once as it has room for. `progress` is called with
// the share that is done, and stops it by returning false. Throws Error where the file is shorter
// than a window.
Evaluation evaluate(Gpt<float>& model, const TokenFile& file, const ValidationPlan& plan,
                    std::int64_t most, const std::function<bool(double)>& progress = {});

}  // namespace tinygpt
