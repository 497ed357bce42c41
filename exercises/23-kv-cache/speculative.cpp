#include "exercises/23-kv-cache/speculative.h"
#include "tinygpt/core/error.h"  // NotImplemented

#include <algorithm>
#include <cstddef>

namespace tinygpt::mine {

// Keeps `token`, which was drawn from q, where u * q[token] < p[token]. Else draws from
//
//   r[w] = max(0, p[w] - q[w]) / sum_x max(0, p[x] - q[x])
//
// the smallest w with r[0] + ... + r[w] > v. Returns the token that stands: it is distributed as p.
//
// Where rounding leaves nothing of r, or its sum short of v: the last w with r[w] > 0, or `token`
// if there is none.
//
// p, q [V]  probabilities of the large model and of the small one, at the token's place
// u, v      uniform in [0, 1)
int speculative_accept(std::span<const double> p, std::span<const double> q, int token, double u,
                       double v) {
  // your code: 23.speculative_accept
  throw NotImplemented("23.speculative_accept");
  // end of your code
}

}  // namespace tinygpt::mine
