// Lesson 04: from scores to probabilities, and how wrong they are.
#pragma once

namespace tinygpt::mine {

// Contracts: tinygpt/ops/softmax.h and tinygpt/ops/cross_entropy.h.
void softmax_forward(float* out, const float* x, int N, int V);
void softmax_backward(float* dx, const float* dout, const float* out, int N, int V);
void cross_entropy_forward(float* losses, float* lse, const float* logits, const int* targets,
                           int N, int V);
void softmax_cross_entropy_backward(float* dlogits, const float* logits, const float* lse,
                                    const int* targets, int N, int V, float scale);

}  // namespace tinygpt::mine
