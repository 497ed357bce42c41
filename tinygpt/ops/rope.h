// Rotary position embedding: queries and keys are turned by an angle that grows with the position,
// so that their dot product depends on the distance alone.
// Su et al.: "RoFormer" (2021), equation 34, with base^(-2 i / HS) as the angle of pair i.
//
// Deviation from the paper: pair i is (x[i], x[i + HS/2]), not (x[2 i], x[2 i + 1]). This is how
// LLaMA's weights lie in Hugging Face folders; both are the same up to the order of columns.
#pragma once

namespace tinygpt {

// cosine[t, i] = cos(t * base^(-2 i / HS)),  sine[t, i] = sin(the same angle),  i < HS / 2
//
// cosine, sine [T, HS / 2]  written, float whatever the activations are; computed in double, since
//                           the rounding of a large angle would be the whole error
// HS is even.
using RopeTable = void(float* cosine, float* sine, int T, int HS, float base);

// For the first `heads` heads of every row of x, with p = start + t and h2 = HS / 2:
//   out[i]      = x[i] * cosine[p, i] - x[i + h2] * sine[p, i]
//   out[i + h2] = x[i] * sine[p, i]   + x[i + h2] * cosine[p, i]
//
// x        [B, T, stride]     turned in place; the row's remaining stride - heads * HS values stay.
//                             In a row of qkv (attention.h), heads = NH + NKV turns q and k, not v.
// cosine, sine [max_T, HS / 2]    start + T <= max_T
template <class Real>
using RopeForward = void(Real* x, const float* cosine, const float* sine, int B, int T, int heads,
                         int HS, int stride, int start);

// The gradient turns back: a rotation's inverse is its transpose.
//   dx[i]      =  d[i] * cosine[p, i] + d[i + h2] * sine[p, i]
//   dx[i + h2] = -d[i] * sine[p, i]   + d[i + h2] * cosine[p, i]
//
// dx [B, T, stride]  turned in place: it holds the gradient of the output before, of the input
//                    after. (An in-place operator has one gradient buffer, so nothing accumulates.)
template <class Real>
using RopeBackward = void(Real* dx, const float* cosine, const float* sine, int B, int T, int heads,
                          int HS, int stride, int start);

}  // namespace tinygpt
