#include "solutions/02-embedding/embedding.h"

#include <cstdint>

namespace tinygpt::ref {

// out[n, c] = weight[tokens[n], c]
void embedding_forward(float* out, const int* tokens, const float* weight, int N, int C,
                       int /*V*/) {
  for (int n = 0; n < N; ++n) {
    const float* weight_v = weight + std::int64_t{tokens[n]} * C;  // the row of this token
    float* out_n = out + std::int64_t{n} * C;
    for (int c = 0; c < C; ++c) out_n[c] = weight_v[c];
  }
}

// Differentiates out[n, c] = weight[tokens[n], c]: what flows into out[n] flows on into the row
// that it was copied from. A token that occurs twice was copied twice, so its row collects both.
void embedding_backward(float* dweight, const float* dout, const int* tokens, int N, int C,
                        int /*V*/) {
  for (int n = 0; n < N; ++n) {
    float* dweight_v = dweight + std::int64_t{tokens[n]} * C;
    const float* dout_n = dout + std::int64_t{n} * C;
    for (int c = 0; c < C; ++c) dweight_v[c] += dout_n[c];
  }
}

}  // namespace tinygpt::ref
