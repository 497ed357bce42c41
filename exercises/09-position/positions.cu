#include "exercises/09-position/position.cuh"

#include <cstdint>

#include "exercises/kernel.cuh"
#include "tinygpt/ops/positions.h"

namespace tinygpt::mine_cuda {

// out[b, t, c] = x[b, t, c] + weight[start + t, c]
//
// One thread for each value, in a grid-stride loop. A sequence is T rows of C values and so is its
// part of the table: value i of all sequences together meets value i % (T C) of that part.
template <class Real>
__global__ void learned_positions_forward_kernel(Real* out, const Real* x, const Real* places,
                                                 std::int64_t n, std::int64_t sequence) {
  for (std::int64_t i = first_index(); i < n; i += index_stride()) {
    store(out + i, to_float(x[i]) + to_float(places[i % sequence]));
  }
}

template <class Real>
void learned_positions_forward(Real* out, const Real* x, const Real* weight, int B, int T, int C,
                               int start) {
  const std::int64_t sequence = std::int64_t{T} * C, n = B * sequence;
  if (n == 0) return;
  learned_positions_forward_kernel<<<blocks_for(n), kThreads>>>(
      out, x, weight + std::int64_t{start} * C, n, sequence);
  check_launch("learned_positions_forward");
}

// Differentiates out[b, t, c] = x[b, t, c] + weight[start + t, c]: place t serves every sequence of
// the batch, so its gradient is the sum over b.
//
// One thread for each value of the table, which it alone writes. At every b, a warp reads 32
// neighbours.
template <class Real>
__global__ void learned_positions_backward_kernel(float* dplaces, const Real* dout, int B,
                                                  std::int64_t sequence) {
  for (std::int64_t i = first_index(); i < sequence; i += index_stride()) {
    float sum = 0.0f;
    for (int b = 0; b < B; ++b) sum += to_float(dout[b * sequence + i]);
    dplaces[i] += sum;
  }
}

template <class Real>
void learned_positions_backward(float* dweight, const Real* dout, int B, int T, int C, int start) {
  const std::int64_t sequence = std::int64_t{T} * C;
  if (B == 0 || sequence == 0) return;
  learned_positions_backward_kernel<<<blocks_for(sequence), kThreads>>>(
      dweight + std::int64_t{start} * C, dout, B, sequence);
  check_launch("learned_positions_backward");
}

// table[t, 2 i] = sin(t / base^(2 i / C)),  table[t, 2 i + 1] = cos(the same angle)
//
// One thread for each value. In double: the rounding of a large angle would be the whole error.
template <class Real>
__global__ void sinusoidal_positions_kernel(Real* table, int T, int C, double base) {
  for (std::int64_t i = first_index(); i < std::int64_t{T} * C; i += index_stride()) {
    const int t = static_cast<int>(i / C), c = static_cast<int>(i % C);
    const int pair = c / 2;
    const double angle = t * pow(base, -2.0 * pair / C);
    store(table + i, static_cast<float>(c % 2 == 0 ? sin(angle) : cos(angle)));
  }
}

template <class Real>
void sinusoidal_positions(Real* table, int T, int C, float base) {
  if (T == 0 || C == 0) return;
  const unsigned blocks = blocks_for(std::int64_t{T} * C);
  sinusoidal_positions_kernel<<<blocks, kThreads>>>(table, T, C, double{base});
  check_launch("sinusoidal_positions");
}

template LearnedPositionsForward<float> learned_positions_forward<float>;
template LearnedPositionsForward<Bfloat16> learned_positions_forward<Bfloat16>;
template LearnedPositionsBackward<float> learned_positions_backward<float>;
template LearnedPositionsBackward<Bfloat16> learned_positions_backward<Bfloat16>;
template SinusoidalPositions<float> sinusoidal_positions<float>;
template SinusoidalPositions<Bfloat16> sinusoidal_positions<Bfloat16>;

}  // namespace tinygpt::mine_cuda
