// Lesson 11 on CUDA: what the machine needs beside the operators, and one pass that stays on the
// device.
#pragma once

#include <cstdint>

#include "exercises/11-gpt/tensors.h"

namespace tinygpt::mine_cuda {

// loss[0] = the mean of losses [N] over the targets [N] that are not kIgnoreTarget; 0 where there
// are none.
void mean_loss(float* loss, const float* losses, const int* targets, int N);

// x[i] = deviation * normal(i)  for 0 <= i < n, where normal(i) is number i of the host's sequence
// Random{seed, 0, stream} (tinygpt/core/random.h).
void fill_normal(float* x, std::int64_t n, float deviation, std::uint64_t seed,
                 std::uint64_t stream);

// A batch's place on the device.
struct DeviceBatch {
  int* tokens = nullptr;   // [B, T]
  int* targets = nullptr;  // [B, T]
  float* loss = nullptr;   // [1]
};

// Forward and backward for one batch, wholly on the device: returns the mean loss, which is the
// only number that comes back, and leaves the gradient in d.
//
// d                one buffer of n values (gpt_parameters); written: zeroed first, then added to
// a, room, params  the device's memory, as everything in m
// tokens, targets  [B, T], the host's memory
// count            targets that are not ignored, above 0
float gpt_step(float* d, std::int64_t n, const GptActivations& a, const DeviceBatch& room,
               const int* tokens, const int* targets, int count, const float* params, int B, int T,
               const GptShape& s, const Machine& m);

}  // namespace tinygpt::mine_cuda
