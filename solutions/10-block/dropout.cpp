#include "solutions/10-block/block.h"

#include <cstdint>

#include "tinygpt/core/error.h"
#include "tinygpt/core/random.h"

namespace tinygpt::ref {
namespace {

// Whether value i is kept. It depends on nothing but (seed, stream, i), so the backward pass asks
// again and gets the same answer.
bool is_kept(std::int64_t i, float p, std::uint64_t seed, std::uint64_t stream) {
  const auto index = static_cast<std::uint64_t>(i);
  const Philox4 bits = philox4x32(seed, index / 4, stream);  // four numbers from each counter
  return uniform_from_bits(bits[index % 4]) >= p;
}

}  // namespace

// out[i] = 0 where value i is dropped, x[i] / (1 - p) where it is kept
//
// out [n] is written, and may be x itself. x [n]. is_kept, above, says which values stay.
void dropout_forward(float* out, const float* x, std::int64_t n, float p, std::uint64_t seed,
                     std::uint64_t stream) {
  check(p >= 0.0f && p < 1.0f, "dropout: p must be at least 0 and less than 1");
  // your code: 10.dropout_forward
  const float scale = 1.0f / (1.0f - p);
  for (std::int64_t i = 0; i < n; ++i) out[i] = is_kept(i, p, seed, stream) ? x[i] * scale : 0.0f;
  // end of your code
}

// Differentiates out[i] = kept ? x[i] / (1 - p) : 0, with the mask of the forward pass:
//   dx[i] += kept ? dout[i] / (1 - p) : 0
//
// dx [n] accumulates. If it is dout itself, the value is replaced instead: nothing is added.
void dropout_backward(float* dx, const float* dout, std::int64_t n, float p, std::uint64_t seed,
                      std::uint64_t stream) {
  check(p >= 0.0f && p < 1.0f, "dropout: p must be at least 0 and less than 1");
  // your code: 10.dropout_backward
  const bool in_place = dx == dout;
  const float scale = 1.0f / (1.0f - p);
  for (std::int64_t i = 0; i < n; ++i) {
    const float d = is_kept(i, p, seed, stream) ? dout[i] * scale : 0.0f;
    dx[i] = in_place ? d : dx[i] + d;
  }
  // end of your code
}

}  // namespace tinygpt::ref
