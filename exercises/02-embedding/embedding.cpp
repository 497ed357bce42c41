#include "exercises/02-embedding/embedding.h"
#include "tinygpt/core/error.h"  // NotImplemented

#include <algorithm>
#include <cstdint>

namespace tinygpt::mine {

// out[n, v] = 1 where v is tokens[n], 0 elsewhere
//
// out [N, V]: written. tokens [N]: 0 <= tokens[n] < V.
void one_hot(float* out, const int* tokens, int N, int V) {
  // your code: 02.one_hot
  throw NotImplemented("02.one_hot");
  // end of your code
}

// out[n, c] = weight[tokens[n], c]
//
// out [N, C]: written. tokens [N]: 0 <= tokens[n] < V. weight [V, C].
void embedding_forward(float* out, const int* tokens, const float* weight, int N, int C,
                       int /*V*/) {
  // your code: 02.embedding_forward
  throw NotImplemented("02.embedding_forward");
  // end of your code
}

// Differentiates out[n, c] = weight[tokens[n], c].
//
// dweight [V, C]: accumulates. dout [N, C]. tokens [N]: some may be equal.
void embedding_backward(float* dweight, const float* dout, const int* tokens, int N, int C,
                        int /*V*/) {
  // your code: 02.embedding_backward
  throw NotImplemented("02.embedding_backward");
  // end of your code
}

}  // namespace tinygpt::mine
