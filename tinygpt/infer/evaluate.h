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
  // Mean over these of sum_v p[v] log(p[v] / q[v]), p the reference's probabilities of the next
  // token and q the model's, in nats: Kullback and Leibler's divergence. A loss may fall or rise by
  // luck where predictions change; this is 0 only where they have not.
  double divergence = 0;
};

// Runs the model over the plan's windows (text/batches.h), up to `most` of them, spread evenly over
// the file. The model takes as many at once as it has room for. `progress` is called with the share
// that is done, and stops it by returning false. A reference is a model of the same vocabulary with
// the same room; nullptr: none. Throws Error where the file is shorter than a window.
Evaluation evaluate(Gpt<float>& model, const TokenFile& file, const ValidationPlan& plan,
                    std::int64_t most, const std::function<bool(double)>& progress = {},
                    Gpt<float>* reference = nullptr);

}  // namespace tinygpt
