// How AdamW is examined, on the CPU or as a kernel.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "tests/lessons/grading/exam.h"
#include "tinygpt/ops/adamw.h"

namespace tinygpt::lessons {

// The ways to be wrong, one at a time.
struct AdamwRule {
  bool no_correction = false, no_m_correction = false, no_v_correction = false;
  bool from_zero = false;   // the exponents count from 0
  bool one_step = false;    // ... or never grow
  bool eps_inside = false;  // sqrt(vhat + eps)
  bool eps_uncorrected = false;
  bool no_root = false;          // mhat / (vhat + eps)
  bool swapped = false;          // beta1 for v, beta2 for m
  bool weights_swapped = false;  // (1 - beta) m + beta grad
  bool no_share = false;         // m = beta1 m + grad
  bool not_squared = false;      // v takes grad
  bool old_moments = false;      // the update uses m and v from before
  bool decay_in_gradient = false;
  bool decay_without_rate = false;
  bool decay_after = false;
  bool no_decay = false;
  bool grows = false;  // the decay is added
  bool uphill = false;
  bool gradient_itself = false;  // grad in the place of mhat
  bool from_two = false;         // the exponents are one too large
  bool corrections_swapped = false;
  bool nesterov = false;     // mhat is moved on by today's gradient once more
  bool square_of_m = false;  // v takes m^2
  bool centred = false;      // ... or (grad - m)^2
  bool largest = false;      // v never falls
  bool first_block = false;  // the first 256 values alone
  bool skips_zero = false;   // nothing is done where the gradient is 0
};

struct AdamwState {
  Values param, m, v;
};

// Algorithm 2 of Loshchilov and Hutter, in double.
inline AdamwState adamw_exact(AdamwState state, const Values& grads, const AdamwSettings& s,
                              const AdamwRule& rule = {}) {
  const double b1 = rule.swapped ? s.beta2 : s.beta1, b2 = rule.swapped ? s.beta1 : s.beta2;
  const int power = rule.one_step ? 1 : s.step - (rule.from_zero ? 1 : 0) + (rule.from_two ? 1 : 0);
  const bool m_plain = rule.no_correction || rule.no_m_correction;
  const bool v_plain = rule.no_correction || rule.no_v_correction;
  double correction1 = m_plain ? 1 : 1 - std::pow(b1, power);
  double correction2 = v_plain ? 1 : 1 - std::pow(b2, power);
  if (rule.corrections_swapped) std::swap(correction1, correction2);
  for (std::size_t i = 0; i < grads.size(); ++i) {
    double &param = state.param[i], &m = state.m[i], &v = state.v[i];
    if (rule.skips_zero && grads[i] == 0) continue;
    if (rule.first_block && i >= 256) break;
    const double old_m = m, old_v = v;
    const double g = grads[i] + (rule.decay_in_gradient ? s.weight_decay * param : 0.0);
    const double new_m = b1 * m + (1 - b1) * g;
    const double square = rule.not_squared   ? g
                          : rule.square_of_m ? new_m * new_m
                          : rule.centred     ? (g - new_m) * (g - new_m)
                                             : g * g;
    if (rule.weights_swapped) {
      m = (1 - b1) * m + b1 * g;
      v = (1 - b2) * v + b2 * square;
    } else {
      m = b1 * m + (rule.no_share ? 1 : 1 - b1) * g;
      v = b2 * v + (rule.no_share ? 1 : 1 - b2) * square;
    }
    if (rule.largest) v = std::max(v, old_v);
    const double ahead = rule.nesterov ? b1 * m + (1 - b1) * g : m;
    const double mhat = (rule.old_moments ? old_m : ahead) / correction1;
    const double vhat = (rule.old_moments ? old_v : v) / correction2;
    const double root = rule.no_root           ? vhat + s.eps
                        : rule.eps_inside      ? std::sqrt(vhat + s.eps)
                        : rule.eps_uncorrected ? (std::sqrt(v) + s.eps) / std::sqrt(correction2)
                                               : std::sqrt(vhat) + s.eps;
    const double update = (rule.gradient_itself ? g : mhat) / root * (rule.uphill ? -1 : 1);
    double decay = (rule.decay_without_rate ? 1 : double{s.lr}) * s.weight_decay;
    if (rule.no_decay || rule.decay_in_gradient) decay = 0;
    if (rule.grows) decay = -decay;
    if (rule.decay_after) {
      param = (param - s.lr * update) * (1 - decay);
    } else {
      param = param - decay * param - s.lr * update;
    }
  }
  return state;
}

struct AdamwSlip {
  AdamwRule rule;
  const char* nudge;
};

inline const std::vector<AdamwSlip>& adamw_slips() {
  static const std::vector<AdamwSlip> slips = {
      {{.skips_zero = true},
       "Where the gradient is 0 nothing was done. A gradient of 0 is one like any other: the means "
       "go on, the weight moves on by m, and it decays."},
      {{.first_block = true},
       "Only the first 256 parameters were updated: as many as one block has threads. Launch "
       "blocks_for(n) blocks, and let threads come round: i += index_stride()."},
      {{.no_decay = true}, "The decay is missing: lr * weight_decay * param is taken off, too."},
      {{.decay_in_gradient = true},
       "The decay is in the gradient: that is Adam with L2, not AdamW. It goes through m and v "
       "here and is divided by sqrt(v), so weights with large gradients hardly decay. Take it off "
       "the parameter itself: lr * weight_decay * param."},
      {{.swapped = true}, "beta1 and beta2 have changed places: beta1 belongs to m, beta2 to v."},
      {{.weights_swapped = true},
       "The weights have changed places: beta of the old value, 1 - beta of the new."},
      {{.no_share = true},
       "The new value's weight is missing: 1 - beta. Or was mhat stored in m, corrected, so that "
       "the next step would correct it once more?"},
      {{.square_of_m = true}, "v takes the square of m. It is the mean of the gradient's square."},
      {{.centred = true},
       "v takes the square of grad - m, as a variance does (AdaBelief). AdamW's v is the mean of "
       "the gradient's own square."},
      {{.largest = true},
       "v never falls (AMSGrad). In AdamW it is a running mean, which goes down as well as up."},
      {{.not_squared = true}, "v is the mean of the *squared* gradient."},
      {{.no_correction = true},
       "The bias correction is missing. m and v start at zero and are too small at first: divide "
       "m by 1 - beta1^step and v by 1 - beta2^step."},
      {{.no_m_correction = true}, "m is not corrected: divide by 1 - beta1^step."},
      {{.no_v_correction = true}, "v is not corrected: divide by 1 - beta2^step."},
      {{.from_zero = true}, "The exponent is step, which counts from 1; you take step - 1."},
      {{.from_two = true}, "The exponent is step, which counts from 1 already; you take step + 1."},
      {{.corrections_swapped = true},
       "The two corrections have changed places: m is divided by 1 - beta1^step, v by 1 - "
       "beta2^step."},
      {{.nesterov = true},
       "Today's gradient is added to m twice (Nesterov's way, NAdam). AdamW takes mhat as it is."},
      {{.one_step = true},
       "The corrections are those of the first step: 1 - beta^step, a power, not 1 - beta."},
      {{.eps_inside = true}, "eps is inside the root: sqrt(vhat) + eps."},
      {{.eps_uncorrected = true},
       "eps is added before v is corrected: it belongs to the root of vhat."},
      {{.no_root = true}, "The root of vhat is missing: mhat / (sqrt(vhat) + eps)."},
      {{.old_moments = true},
       "The update uses m and v as they were before the call. Today's gradient comes first."},
      {{.decay_without_rate = true},
       "The decay is not multiplied by the learning rate: lr * weight_decay * param. With a decay "
       "of 0.1, each step would take a tenth of every weight."},
      {{.decay_after = true},
       "The decay is taken off the updated parameter. The contract takes it off the old one: both "
       "parts are computed from the parameter as it was."},
      {{.grows = true}, "The decay has the wrong sign: the weights grow."},
      {{.uphill = true}, "Uphill: the update is subtracted."},
      {{.gradient_itself = true},
       "The gradient itself is divided by the root; it is mhat, the gradients' running mean."}};
  return slips;
}

inline std::vector<Mistake> adamw_mistakes(const AdamwState& start, const Values& grad,
                                           const AdamwSettings& s, Values AdamwState::*which) {
  std::vector<Mistake> mistakes;
  const Values right = adamw_exact(start, grad, s).*which;
  for (const AdamwSlip& slip : adamw_slips()) {
    const Values wrong = adamw_exact(start, grad, s, slip.rule).*which;
    double most = 0, size = 0;  // only what can be told from the right answer
    for (std::size_t i = 0; i < wrong.size(); ++i) {
      most = std::max(most, std::abs(wrong[i] - right[i]));
      size = std::max(size, std::abs(right[i]));
    }
    if (!(most <= 1e-4 * size)) mistakes.push_back(gives(wrong, slip.nudge));
  }
  mistakes.push_back(when(
      [](const Answer& a) {
        for (std::size_t i = 0; i < a.actual.size(); ++i) {
          if (!std::isfinite(a.actual[i]) && std::isfinite(a.expected[i])) return true;
        }
        return false;
      },
      "A division by zero, or 0 / 0: 1 - beta^0 is 0, so the exponent counts from 1; and where a "
      "gradient has always been 0, eps is all that is below the line."));
  return mistakes;
}

struct AdamwCase {
  int n;
  int step;
  float eps, decay;
  double scale;       // of the gradients
  bool gaps = false;  // every second gradient is 0
};

inline std::vector<AdamwCase> adamw_cases() {
  return {{3, 1, 1e-8f, 0.1f, 1},    {6, 4, 1e-8f, 0.5f, 1, true}, {1, 3, 1e-8f, 0.5f, 1},
          {7, 3, 0.25f, 0.1f, 1},    {5, 1, 0.25f, 0.0f, 1},       {33, 10, 1e-8f, 0.5f, 0.5},
          {4, 1, 1e-8f, 0.0f, 1e-6}, {257, 2, 1e-8f, 0.1f, 1},     {6, 1000, 0.01f, 0.5f, 4},
          {0, 1, 1e-8f, 0.1f, 1},    {2049, 5, 1e-8f, 0.1f, 2},    {4, 1, 1e-8f, 0.1f, 0}};
}

using AdamwFunction = void(float*, float*, float*, float*, const float*, std::int64_t,
                           const AdamwSettings&);

inline AdamwState adamw_start(const AdamwCase& c) {
  AdamwState start{random_values(c.n, 1), Values(static_cast<std::size_t>(c.n), 0.0), {}};
  start.v = start.m;
  if (c.step > 1) {
    start.m = random_values(c.n, 2, 0.5);
    for (double& v : start.v = random_values(c.n, 3)) v = static_cast<float>(v * v + 0.125);
  }
  return start;
}

inline void examine_adamw(Exam& exam, AdamwFunction* adamw) {
  for (const AdamwCase& c : adamw_cases()) {
    const AdamwSettings s{.lr = 0.125f,
                          .beta1 = 0.875f,
                          .beta2 = 0.75f,
                          .eps = c.eps,
                          .weight_decay = c.decay,
                          .step = c.step};
    const AdamwState start = adamw_start(c);
    Values grad = random_values(c.n, 4, c.scale);
    for (std::size_t i = 1; c.gaps && i < grad.size(); i += 2) grad[i] = 0;
    const AdamwState expected = adamw_exact(start, grad, s);
    Sandbox& box = exam.call(fmt::format(
        "adamw_step(n={}, lr={}, beta1={}, beta2={}, eps={}, weight_decay={}, step={}){}{}", c.n,
        s.lr, s.beta1, s.beta2, s.eps, s.weight_decay, s.step, c.step == 1 ? ", m and v zero" : "",
        c.gaps ? ", every second gradient 0" : ""));
    float *param = box.accumulator(start.param), *m = box.accumulator(start.m);
    float *v = box.accumulator(start.v), *end = nullptr;
    const float* g = box.input(grad);
    adamw(param, end, m, v, g, c.n, s);
    const Shape shape = {{"i", c.n}};
    const auto look = [&](const char* name, const float* buffer, Values AdamwState::*which) {
      double size = 0;
      for (const double value : expected.*which) size = std::max(size, std::abs(value));
      exam.expect(name, buffer, expected.*which, shape, {.terms = 4, .scale = size + 1e-30},
                  adamw_mistakes(start, grad, s, which));
    };
    look("m", m, &AdamwState::m);
    look("v", v, &AdamwState::v);
    look("param", param, &AdamwState::param);
  }
}

}  // namespace tinygpt::lessons
