// Grades exercises/13-training-loop/gradient_norm.cpp.
#include "tests/lessons/13-training-loop/norm_exam.h"

#include <algorithm>
#include <limits>

#include "solutions/13-training-loop/optimizer.h"

namespace tinygpt::lessons {
namespace {

Values scaled(const Values& values, double factor) {
  Values out = values;
  for (double& v : out) v *= factor;
  return out;
}

void examine_clip(Exam& exam, int n, float norm, float max_norm) {
  const Values grad = random_values(n, 3);
  const bool clips = std::isfinite(norm) && norm > max_norm;
  const Values expected = scaled(grad, clips ? double{max_norm} / norm : 1.0);
  const double own = exact_norm(grad);
  Values clamped = grad;
  for (double& v : clamped) v = std::clamp(v, -double{max_norm}, double{max_norm});
  Sandbox& s =
      exam.call(fmt::format("clip_gradients(n={}, norm={}, max_norm={})", n, norm, max_norm));
  float* out = s.accumulator(grad);
  ref::clip_gradients(out, s.input(Values{norm}), n, max_norm);
  std::vector<Mistake> mistakes;
  const auto add = [&](const Values& wrong, const char* nudge) {
    if (n > 0 && wrong != expected) mistakes.push_back(gives(wrong, nudge));
  };
  if (!std::isfinite(norm)) {
    mistakes.push_back(when([](const Answer&) { return true; },
                            "The norm is not a finite number, and no factor mends that: leave grad "
                            "as it is. (NaN > max_norm is false, but so is NaN <= max_norm.)"));
  } else if (!clips) {
    add(scaled(grad, double{max_norm} / norm),
        "This gradient is shorter than max_norm, and you made it longer. Clipping only shortens: "
        "look whether norm > max_norm first.");
  } else {
    if (max_norm > 0)
      add(grad, "Nothing was changed: norm > max_norm, so grad has to be shortened.");
    add(scaled(grad, max_norm), "Divide by the norm: the factor is max_norm / norm.");
    for (const double eps : {1e-6, 1e-8}) {
      add(scaled(grad, max_norm / (norm + eps)),
          "Something small is added to the norm. PyTorch does that; this contract does not: the "
          "norm is above max_norm here, so it is not 0.");
    }
    add(scaled(grad, 1 / double{norm}), "The factor is max_norm / norm; you scale to length 1.");
    add(scaled(grad, double{max_norm} / norm / norm), "Divided by the norm twice.");
    if (max_norm == 0) {
      add(grad,
          "A max_norm of 0 leaves nothing of grad. (That 0 means no clipping is for "
          "train_step to know, which does not call this function then.)");
    }
    add(scaled(grad, double{norm} / max_norm), "The factor is upside down: max_norm / norm.");
  }
  if (own > 0) {
    add(scaled(grad, own > max_norm ? max_norm / own : 1.0),
        "You took the norm of these values. The norm is given: it is that of all parameters "
        "together, of which grad may be one part. Tensors that are clipped each by its own norm "
        "change the direction of the step.");
  }
  add(clamped,
      "Each value was clipped by itself, which turns the step into another direction. One "
      "factor for all keeps it.");
  exam.expect("grad", out, expected, {{"i", n}}, {.factor = clips ? 2.0 : 0.0}, mistakes);
}

void examine_clips(Exam& exam) {
  for (const int n : {3, 1, 0, 257}) {
    examine_clip(exam, n, 4.0f, 0.5f);
    examine_clip(exam, n, 4.0f, 2.0f);
    examine_clip(exam, n, 1e4f, 0.5f);
    examine_clip(exam, n, 0.5f, 2.0f);
    examine_clip(exam, n, 2.0f, 2.0f);
    examine_clip(exam, n, 3e38f, 1.0f);
    examine_clip(exam, n, 1e-4f, 1e-5f);
    examine_clip(exam, n, 4.0f, 0.0f);
    examine_clip(exam, n, std::numeric_limits<float>::quiet_NaN(), 1.0f);
    examine_clip(exam, n, std::numeric_limits<float>::infinity(), 1.0f);
  }
}

}  // namespace

std::vector<Task> tasks() {
  return {{"13.gradient_norm",
           [](Exam& e) { examine_norm(e, ref::gradient_norm, [](std::int64_t) { return 0; }); }},
          {"13.clip_gradients", examine_clips}};
}

}  // namespace tinygpt::lessons
