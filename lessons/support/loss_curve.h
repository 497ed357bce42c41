// The loss curve of a training, read from the log that `tinygpt train` writes.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace tinygpt::lessons {

struct LossCurve {
  std::vector<std::pair<double, double>> train, validation;  // (step, nats per token)
  // The loss of the best possible model on the validation text, in nats per token; 0: not known.
  double floor = 0;
};

// From a model's folder/log.jsonl. A training that was interrupted and went on has taken some steps
// twice: the later lines count. A last line that was cut off does not. Throws Error, saying what to
// do, where there is no log, or no loss in it.
LossCurve read_loss_curve(const std::string& log);

// Both losses, and the floor as a dashed line. A training's loss is that of one batch, and jumps:
// it is drawn as means of at most `points` stretches.
void write_loss_curve(const std::string& path, const std::string& title, const LossCurve& curve,
                      int points = 100);

}  // namespace tinygpt::lessons
