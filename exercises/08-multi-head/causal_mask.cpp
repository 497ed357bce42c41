#include <cmath>
#include <cstdint>

#include "exercises/08-multi-head/attention.h"
#include "tinygpt/core/error.h"  // NotImplemented

namespace tinygpt::mine {

// scores[n, t, u] = -infinity  where u > t: a key that comes after the query
//
// scores [N, T, T]: changed in place; what the query may see stays as it is.
void causal_mask(float* scores, int N, int T) {
  // your code: 08.causal_mask
  throw NotImplemented("08.causal_mask");
  // end of your code
}

}  // namespace tinygpt::mine
