// The curves of a training, read from the log that `tinygpt train` writes.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace tinygpt {

using CurvePoints = std::vector<std::pair<double, double>>;

struct LossCurve {
  CurvePoints train, validation;  // (step, nats per token)
  CurvePoints lr, grad_norm;      // (step, ...)
  CurvePoints seconds;            // (step, seconds of training until then)
  // The loss of the best possible model on the validation text, in nats per token; 0: not known.
  double floor = 0;
  double bytes_per_token = 0;  // of the validation text; 0: not known
};

// From a model's folder/log.jsonl. A training that was interrupted and went on has taken some steps
// twice: the later lines count. A last line that was cut off does not. Throws Error, saying what to
// do, where there is no log, or no loss in it.
LossCurve read_loss_curve(const std::string& log);

// Means of neighbours, so that no more than `most` points are left: a training's loss is that of
// one batch, and jumps.
CurvePoints thinned(const CurvePoints& points, int most);

}  // namespace tinygpt
