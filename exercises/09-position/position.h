// Lesson 09: how the model knows the order.
#pragma once

namespace tinygpt::mine {

// Contracts: tinygpt/ops/positions.h and tinygpt/ops/rope.h.
void learned_positions_forward(float* out, const float* x, const float* weight, int B, int T, int C,
                               int start);
void learned_positions_backward(float* dweight, const float* dout, int B, int T, int C, int start);
void sinusoidal_positions(float* table, int T, int C, float base);
void rope_table(float* cosine, float* sine, int T, int HS, float base);
void rope_forward(float* x, const float* cosine, const float* sine, int B, int T, int heads, int HS,
                  int stride, int start);
void rope_backward(float* dx, const float* cosine, const float* sine, int B, int T, int heads,
                   int HS, int stride, int start);

}  // namespace tinygpt::mine
