#include <cmath>
#include <cstdint>

#include "solutions/13-training-loop/optimizer.cuh"
#include "solutions/kernel.cuh"

namespace tinygpt::ref_cuda {

// m = beta1 * m + (1 - beta1) * grad,    mhat = m / (1 - beta1^step)
// v = beta2 * v + (1 - beta2) * grad^2,  vhat = v / (1 - beta2^step)
// param -= lr * weight_decay * param + lr * mhat / (sqrt(vhat) + eps)
//
// Fused: each buffer is read once and written once, and what lies between stays in registers. (The
// compiler cannot see to that: for all it knows, v and m overlap.) Where there is a master, it
// holds the parameter as a float: master is updated, and param gets its nearest Real.
//
// A grid-stride loop, one thread for each parameter: first_index() and index_stride(). to_float
// reads any Real as float, store(to, value) writes it. correction1 is 1 - beta1^step.
template <class Real>
__global__ void adamw_kernel(Real* param, float* master, float* m, float* v, const float* grad,
                             std::int64_t n, AdamwSettings s, float correction1,
                             float correction2) {
  // your code on the device: 13.adamw_step_cuda
  for (std::int64_t i = first_index(); i < n; i += index_stride()) {
    const float g = grad[i];
    const float m_i = s.beta1 * m[i] + (1.0f - s.beta1) * g;
    const float v_i = s.beta2 * v[i] + (1.0f - s.beta2) * g * g;
    const float mhat = m_i / correction1;
    const float vhat = v_i / correction2;
    // A step is often smaller than bf16 can add to a parameter: the sum is kept in float.
    const float before = master != nullptr ? master[i] : to_float(param[i]);
    // Decoupled: the decay acts on the parameter itself. Added to grad instead, it would be divided
    // by sqrt(v) and decay seldom-used weights more than others.
    const float decayed = before - s.lr * s.weight_decay * before;
    const float after = decayed - s.lr * mhat / (sqrtf(vhat) + s.eps);
    m[i] = m_i;
    v[i] = v_i;
    if (master != nullptr) master[i] = after;
    store(param + i, after);
  }
  // end of your code
}

template <class Real>
void adamw_step(Real* param, float* master, float* m, float* v, const float* grad, std::int64_t n,
                const AdamwSettings& s) {
  check(s.step >= 1, "adamw: steps count from 1, since step 0 has nothing to correct by");
  if (n == 0) return;
  // m and v start at zero and are too small at first, by exactly these factors.
  const auto correction1 = static_cast<float>(1.0 - std::pow(double{s.beta1}, s.step));
  const auto correction2 = static_cast<float>(1.0 - std::pow(double{s.beta2}, s.step));
  // your code: 13.adamw_step_cuda
  adamw_kernel<<<blocks_for(n), kThreads>>>(param, master, m, v, grad, n, s, correction1,
                                            correction2);
  // end of your code
  check_launch("adamw_step");
}

template AdamwStep<float> adamw_step<float>;
template AdamwStep<Bfloat16> adamw_step<Bfloat16>;

}  // namespace tinygpt::ref_cuda
