// The loss curve of a training as a picture.
#pragma once

#include <string>

#include "tinygpt/train/loss_curve.h"

namespace tinygpt::lessons {

using tinygpt::LossCurve;
using tinygpt::read_loss_curve;

// Both losses, and the floor as a dashed line. A training's loss is drawn as means of at most
// `points` stretches.
void write_loss_curve(const std::string& path, const std::string& title, const LossCurve& curve,
                      int points = 100);

}  // namespace tinygpt::lessons
