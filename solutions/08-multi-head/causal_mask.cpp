#include <cmath>
#include <cstdint>

#include "solutions/08-multi-head/attention.h"

namespace tinygpt::ref {

// scores[n, t, u] = -infinity  where u > t: a key that comes after the query
//
// scores [N, T, T]: changed in place; what the query may see stays as it is.
void causal_mask(float* scores, int N, int T) {
  // your code: 08.causal_mask
  for (int n = 0; n < N; ++n) {
    for (int t = 0; t < T; ++t) {
      float* row = scores + (std::int64_t{n} * T + t) * T;
      for (int u = t + 1; u < T; ++u) row[u] = -INFINITY;
    }
  }
  // end of your code
}

}  // namespace tinygpt::ref
