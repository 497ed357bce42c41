#include "solutions/02-embedding/embedding.h"

#include <algorithm>
#include <cstdint>

namespace tinygpt::ref {

// out[n, v] = 1 where v is tokens[n], 0 elsewhere
//
// out [N, V]: written. tokens [N]: 0 <= tokens[n] < V.
void one_hot(float* out, const int* tokens, int N, int V) {
  // your code: 02.one_hot
  std::fill_n(out, std::int64_t{N} * V, 0.0f);
  for (int n = 0; n < N; ++n) out[std::int64_t{n} * V + tokens[n]] = 1.0f;
  // end of your code
}

// out[n, c] = weight[tokens[n], c]
//
// out [N, C]: written. tokens [N]: 0 <= tokens[n] < V. weight [V, C].
void embedding_forward(float* out, const int* tokens, const float* weight, int N, int C,
                       int /*V*/) {
  // your code: 02.embedding_forward
  for (int n = 0; n < N; ++n) {
    const float* weight_v = weight + std::int64_t{tokens[n]} * C;  // the row of this token
    float* out_n = out + std::int64_t{n} * C;
    for (int c = 0; c < C; ++c) out_n[c] = weight_v[c];
  }
  // end of your code
}

// Differentiates out[n, c] = weight[tokens[n], c].
//
// dweight [V, C]: accumulates. dout [N, C]. tokens [N]: some may be equal.
void embedding_backward(float* dweight, const float* dout, const int* tokens, int N, int C,
                        int /*V*/) {
  // your code: 02.embedding_backward
  // What flows into out[n] flows on into the row that it was copied from. A token that occurs twice
  // was copied twice, so its row collects both.
  for (int n = 0; n < N; ++n) {
    float* dweight_v = dweight + std::int64_t{tokens[n]} * C;
    const float* dout_n = dout + std::int64_t{n} * C;
    for (int c = 0; c < C; ++c) dweight_v[c] += dout_n[c];
  }
  // end of your code
}

}  // namespace tinygpt::ref
