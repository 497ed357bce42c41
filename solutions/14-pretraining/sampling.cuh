// Lesson 14 on CUDA: argmax and sampling on the device.
#pragma once

namespace tinygpt::ref_cuda {

// Contract: tinygpt/ops/sampling.h.
template <class Real>
void sample_token(int* token, const Real* logits, int V, float temperature, double u);

}  // namespace tinygpt::ref_cuda
