// Lesson 02: a token becomes a row of a table.
#pragma once

namespace tinygpt::ref {

// out[n, v] = 1 where v is tokens[n], 0 elsewhere
//
// out    [N, V]  written
// tokens [N]     0 <= tokens[n] < V
void one_hot(float* out, const int* tokens, int N, int V);

// Contracts: tinygpt/ops/embedding.h.
void embedding_forward(float* out, const int* tokens, const float* weight, int N, int C, int V);
void embedding_backward(float* dweight, const float* dout, const int* tokens, int N, int C, int V);

}  // namespace tinygpt::ref
