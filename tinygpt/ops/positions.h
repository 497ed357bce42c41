// Positions that are added to the token embeddings: learned or sinusoidal. (Rotary: rope.h.)
#pragma once

namespace tinygpt {

// Learned positions, as in GPT-2: one vector for each place.
//
//   out[b, t, c] = x[b, t, c] + weight[start + t, c]
//
// out    [B, T, C]     written; may be x itself
// x      [B, T, C]
// weight [max_T, C]    start + T <= max_T
// start                the place of t = 0; not zero when a text is continued from a cache
template <class Real>
using LearnedPositionsForward = void(Real* out, const Real* x, const Real* weight, int B, int T,
                                     int C, int start);

// dweight[start + t, c] += sum_b dout[b, t, c]        (dx is dout: the sum passes it through)
//
// dweight [max_T, C]  accumulates
template <class Real>
using LearnedPositionsBackward = void(float* dweight, const Real* dout, int B, int T, int C,
                                      int start);

// Sinusoidal positions: a fixed table to be added like the learned one.
// Vaswani et al.: "Attention Is All You Need" (2017), section 3.5.
//
//   table[t, 2 i]     = sin(t / base^(2 i / C))
//   table[t, 2 i + 1] = cos(t / base^(2 i / C))
//
// table [T, C]  written; an odd C ends with a sine
template <class Real>
using SinusoidalPositions = void(Real* table, int T, int C, float base);

}  // namespace tinygpt
