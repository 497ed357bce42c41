// AdamW: Adam with decoupled weight decay.
// Loshchilov, Hutter: "Decoupled Weight Decay Regularization" (2017), algorithm 2.
// Kingma, Ba: "Adam" (2014), algorithm 1.
//
//   param = param - lr * weight_decay * param
//   m     = beta1 * m + (1 - beta1) * grad
//   v     = beta2 * v + (1 - beta2) * grad^2
//   mhat  = m / (1 - beta1^step),  vhat = v / (1 - beta2^step)
//   param = param - lr * mhat / (sqrt(vhat) + eps)
#pragma once

#include <cstdint>

namespace tinygpt {

struct AdamwSettings {
  float lr = 1e-3f;
  float beta1 = 0.9f;
  float beta2 = 0.95f;
  float eps = 1e-8f;
  float weight_decay = 0.1f;
  int step = 1;  // counts from 1: the bias correction divides by 1 - beta^step
};

// param  [n]  in and out
// master [n]  in and out: the float copy that is updated where Real is narrower, and then rounded
//             to param; nullptr where Real is float
// m, v   [n]  in and out, zero before the first step
// grad   [n]
template <class Real>
using AdamwStep = void(Real* param, float* master, float* m, float* v, const float* grad,
                       std::int64_t n, const AdamwSettings& settings);

}  // namespace tinygpt
