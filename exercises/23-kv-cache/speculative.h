// Lesson 23: a small model drafts, the large one decides.
#pragma once

#include <span>

namespace tinygpt::mine {

// What becomes of one drafted token.
//
// A draft model has drawn `token` from its distribution q. The target model's distribution at the
// same place is p. The token stands with probability min(1, p[token] / q[token]):
//
//   u * q[token] < p[token]
//
// Otherwise another one is drawn from what q gives too little to:
//
//   r[w] = max(0, p[w] - q[w]) / sum_x max(0, p[x] - q[x])
//   the smallest w with r[0] + ... + r[w] > v
//
// Either way the token that is returned is distributed as p: w comes out with probability
// min(p[w], q[w]) by the first line, and with max(0, p[w] - q[w]) by the second.
// Leviathan, Kalman, Matias: "Fast Inference from Transformers via Speculative Decoding" (2023),
// section 2.3 and appendix A.1. Chen et al.: "Accelerating Large Language Model Decoding with
// Speculative Sampling" (2023), theorem 1.
//
// p, q   [V]  each sums to 1
// token       q[token] > 0
// u, v        independent of each other and of the draw, uniform in [0, 1)
//
// Returns `token` where it stands, else another one: r[token] is 0. Where rounding leaves nothing
// of r, or its sum short of v, the last token with a share, or `token` if there is none.
using SpeculativeAccept = int(std::span<const double> p, std::span<const double> q, int token,
                              double u, double v);
SpeculativeAccept speculative_accept;

}  // namespace tinygpt::mine
