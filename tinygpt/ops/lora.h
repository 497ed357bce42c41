// LoRA: a frozen linear layer learns by the product of two thin matrices beside its weight.
// Hu et al.: "LoRA: Low-Rank Adaptation of Large Language Models" (2021), section 4.1, equation 3.
//
//   ax[n, r]   = sum_c x[n, c] * a[r, c]                                   x A^T
//   out[n, o] += scale * sum_r ax[n, r] * b[o, r]                          scale (x A^T) B^T
//
// scale = alpha / rank. out holds the frozen layer's x W^T + bias before. Matrices lie as PEFT
// stores them: lora_A.weight [rank, C], lora_B.weight [OC, rank]. Where the layer drops values of
// the adapter's input (LoRA's dropout), the caller hands in that x (dropout.h).
//
// An adapter may be of some rows of the weight only, such as the queries' of a matrix that holds
// queries, keys and values. Then out and dout are wider than OC: `stride` is their width, and the
// pointers lead to the first column that the adapter adds to.
#pragma once

#include <cstdint>

namespace tinygpt {

// out [N, OC]    accumulates; row n begins at out + n * stride, stride >= OC
// ax  [N, rank]  written, saved for the backward pass (float whatever Real is)
// x   [N, C]
// a   [rank, C]
// b   [OC, rank]
// scratch        lora_scratch_size(N, C, OC, rank) floats
// No buffer may overlap another.
template <class Real>
using LoraForward = void(Real* out, float* ax, const Real* x, const Real* a, const Real* b,
                         float* scratch, int N, int C, int OC, int stride, int rank, float scale);

//   dax[n, r] = scale * sum_o dout[n, o] * b[o, r]
//   db[o, r] += scale * sum_n dout[n, o] * ax[n, r]
//   da[r, c] += sum_n dax[n, r] * x[n, c]
//   dx[n, c] += sum_r dax[n, r] * a[r, c]
//
// The frozen weight gets no gradient here or anywhere; what its product gives dx, linear_backward
// adds.
//
// dx   [N, C]      accumulates; nullptr where it is not needed
// da   [rank, C]   accumulates
// db   [OC, rank]  accumulates
// dout [N, OC]     row n begins at dout + n * stride
// ax   [N, rank]   of the forward pass
template <class Real>
using LoraBackward = void(Real* dx, float* da, float* db, const Real* dout, const float* ax,
                          const Real* x, const Real* a, const Real* b, float* scratch, int N, int C,
                          int OC, int stride, int rank, float scale);

// Floats of scratch that forward and backward may use; the backward pass keeps dax there.
using LoraScratchSize = std::int64_t(int N, int C, int OC, int rank);

// weight[o, c] += scale * sum_r b[o, r] * a[r, c]                          W += scale B A
//
// Afterwards the plain linear layer computes what layer and adapter did together, to rounding. With
// -scale the adapter is taken out again, to rounding, too.
//
// weight [OC, C]  accumulates
template <class Real>
using LoraMerge = void(Real* weight, const Real* a, const Real* b, int C, int OC, int rank,
                       float scale);

}  // namespace tinygpt
