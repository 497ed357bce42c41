#include "solutions/23-kv-cache/speculative.h"

#include <algorithm>
#include <cstddef>

namespace tinygpt::ref {

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
  const auto drawn = static_cast<std::size_t>(token);
  if (u * q[drawn] < p[drawn]) return token;
  double sum = 0;
  for (std::size_t w = 0; w < p.size(); ++w) sum += std::max(0.0, p[w] - q[w]);
  double before = 0;
  int last = token;
  for (std::size_t w = 0; w < p.size(); ++w) {
    const double missing = std::max(0.0, p[w] - q[w]);
    if (missing == 0) continue;
    before += missing;
    last = static_cast<int>(w);
    if (before > v * sum) break;
  }
  return last;
  // end of your code
}

}  // namespace tinygpt::ref
