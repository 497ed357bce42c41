// Lesson 14 on CUDA: argmax and sampling on the device.
#pragma once

namespace tinygpt::mine_cuda {

// Contract: tinygpt/ops/sampling.h. By argmax at temperature 0, else by sample.
template <class Real>
void sample_token(int* token, const Real* logits, int V, float temperature, double u);

// token = the place of the largest logit; of equals, the first. The rest as in sample_token.
template <class Real>
void argmax(int* token, const Real* logits, int V);

// token = the smallest v with p[0] + ... + p[v] > u. The rest as in sample_token; temperature > 0.
template <class Real>
void sample(int* token, const Real* logits, int V, float temperature, double u);

// out[i] = in[0] + ... + in[i]. Both [n]; out must not be in.
void cumulative_sum(float* out, const float* in, int n);

}  // namespace tinygpt::mine_cuda
