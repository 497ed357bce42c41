#include "solutions/08-multi-head/attention.cuh"

#include <cstdint>

#include "solutions/kernel.cuh"
#include "tinygpt/ops/attention.h"

// One block for one head of one sequence and a tile of four positions, one warp for each of these.
// The lanes of a warp share the HS numbers of its query (or key): lane i has i, i + 32, ..., so
// that a warp reads 32 neighbours, and a dot product is one reduction over the warp. Warps do not
// speak with each other, so no barrier is needed; and each result has one warp that adds it up, in
// the order of the positions, so that no two runs differ.

namespace tinygpt::ref_cuda {

struct AttentionShape {
  int B, T, NH, NKV, HS;
  bool causal;
  std::int64_t stride;  // from one token's row of qkv to the next
  float scale;
};

namespace {

constexpr int kWarps = 4;  // of a block: positions of a tile

AttentionShape checked_shape(int B, int T, int NH, int NKV, int HS, bool causal) {
  check(NKV > 0 && NH % NKV == 0, "attention: NH must be a multiple of NKV");
  const std::int64_t stride = std::int64_t{NH + 2 * NKV} * HS;
  return {B, T, NH, NKV, HS, causal, stride, 1.0f / std::sqrt(static_cast<float>(HS))};
}

// A block for each head of each sequence, along x (a grid may be 2^31 blocks wide), and for each
// tile, along y.
dim3 tiles(int B, int heads, int T) {
  return dim3(static_cast<unsigned>(std::int64_t{B} * heads),
              static_cast<unsigned>(ceil_div(T, kWarps)));
}

// What this warp has: a position t of one head of one sequence. In the last tile t may be T or
// more, where there is nothing.
struct Place {
  __device__ explicit Place(int heads)
      : b(static_cast<int>(blockIdx.x) / heads),
        head(static_cast<int>(blockIdx.x) % heads),
        t(static_cast<int>(blockIdx.y) * kWarps + static_cast<int>(threadIdx.x) / kWarp) {}
  int b, head, t;
};

// a . b, to all lanes
template <class Real>
__device__ float warp_dot(const Real* a, const Real* b, int n, int lane) {
  float sum = 0.0f;
  for (int i = lane; i < n; i += kWarp) sum += to_float(a[i]) * to_float(b[i]);
  return warp_sum(sum);
}

// The rows of one sequence and the place of one query head in them: NH queries, then NKV keys, then
// NKV values; NH / NKV neighbouring query heads share a key and a value. Position t's query is at
// q + t * stride, its key at k + t * stride.
template <class Real>
struct Head {
  __device__ Head(Real* qkv, const AttentionShape& s, int b, int h) : stride(s.stride) {
    const int group = h / (s.NH / s.NKV);
    Real* rows = qkv + std::int64_t{b} * s.T * s.stride;
    q = rows + std::int64_t{h} * s.HS;
    k = rows + (std::int64_t{s.NH} + group) * s.HS;
    v = rows + (std::int64_t{s.NH} + s.NKV + group) * s.HS;
  }
  Real *q, *k, *v;  // of position 0
  std::int64_t stride;
};

// Where out[b, t, h] begins, and where lse[b, h, t] is.
__device__ std::int64_t out_row(const AttentionShape& s, int b, int h, int t) {
  return ((std::int64_t{b} * s.T + t) * s.NH + h) * s.HS;
}
__device__ std::int64_t query_index(const AttentionShape& s, int b, int h, int t) {
  return (std::int64_t{b} * s.NH + h) * s.T + t;
}

// Bytes of shared memory for `rows` rows of HS floats for each warp.
std::size_t shared_bytes(int rows, int HS) {
  return static_cast<std::size_t>(kWarps) * rows * HS * sizeof(float);
}

}  // namespace

// s[t, u] = (q[t] . k[u]) / sqrt(HS),  p = softmax over u of s,  out[t] = sum_u p[t, u] * v[u]
//
// One warp for each query, and one pass over its keys, by the online softmax of lesson 04: it takes
// the largest score so far. Whenever a larger one turns up, what was summed until then, in `sum`
// and in `acc`, shrinks by exp(old - new), as if the new one had been known from the start.
//
// out [B, T, NH * HS], lse [B, NH, T]: written.
template <class Real>
__global__ void attention_forward_kernel(Real* out, float* lse, const Real* qkv, AttentionShape s) {
  extern __shared__ float shared[];
  const int lane = threadIdx.x % kWarp;
  float* acc = shared + threadIdx.x / kWarp * s.HS;  // out[t], not yet divided by the sum
  const auto [b, h, t] = Place(s.NH);
  const Head<const Real> head(qkv, s, b, h);
  // your code on the device: 08.multihead_attention_forward_cuda
  if (t >= s.T) return;
  for (int d = lane; d < s.HS; d += kWarp) acc[d] = 0.0f;
  float largest = -INFINITY, sum = 0.0f;
  const int keys = s.causal ? t + 1 : s.T;
  for (int u = 0; u < keys; ++u) {
    const float score =
        s.scale * warp_dot(head.q + t * s.stride, head.k + u * s.stride, s.HS, lane);
    const float before = largest;
    largest = fmaxf(largest, score);
    const float shrink = expf(before - largest);  // 0 at the first key: exp(-infinity)
    const float p = expf(score - largest);
    sum = sum * shrink + p;
    const Real* v_u = head.v + u * s.stride;
    for (int d = lane; d < s.HS; d += kWarp) acc[d] = acc[d] * shrink + p * to_float(v_u[d]);
  }
  Real* out_t = out + out_row(s, b, h, t);
  for (int d = lane; d < s.HS; d += kWarp) store(out_t + d, acc[d] / sum);
  if (lane == 0) lse[query_index(s, b, h, t)] = largest + logf(sum);
  // end of your code
}

template <class Real>
void multihead_attention_forward(Real* out, float* lse, const Real* qkv, float* /*scratch*/, int B,
                                 int T, int NH, int NKV, int HS, bool causal) {
  const AttentionShape s = checked_shape(B, T, NH, NKV, HS, causal);
  if (attention_lse_size(B, T, NH) == 0) return;
  const std::size_t bytes = shared_bytes(1, HS);  // acc
  // your code: 08.multihead_attention_forward_cuda
  attention_forward_kernel<<<tiles(B, NH, T), kWarps * kWarp, bytes>>>(out, lse, qkv, s);
  // end of your code
  check_launch("attention_forward");
}

// The backward pass goes over all pairs of query and key twice: once with a warp for each query,
// which gathers dq and delta, and once with a warp for each key, which gathers dk and dv. One pass
// would be enough if warps could add into the same dk and dv at once; but then the order of the
// additions, and with it the rounding, would change from run to run.
//
//   p[t, u]  = exp(s[t, u] - lse[t])        made again from the saved lse
//   delta[t] = dout[t] . out[t]             which is sum_u p[t, u] * dp[t, u]
//   ds[t, u] = p[t, u] * (dout[t] . v[u] - delta[t])
//   dq[t]   += sum_u ds[t, u] * k[u] / sqrt(HS)
//
// dqkv: its queries' part accumulates, the rest stays. delta [B, NH, T]: written.
template <class Real>
__global__ void attention_backward_queries_kernel(Real* dqkv, float* delta, const Real* dout,
                                                  const Real* out, const float* lse,
                                                  const Real* qkv, AttentionShape s) {
  extern __shared__ float shared[];
  const int lane = threadIdx.x % kWarp;
  float* dq = shared + threadIdx.x / kWarp * s.HS;
  const auto [b, h, t] = Place(s.NH);
  const Head<const Real> head(qkv, s, b, h);
  const Head<Real> gradient(dqkv, s, b, h);
  // your code on the device: 08.attention_backward_queries_cuda
  if (t >= s.T) return;
  const std::int64_t query = query_index(s, b, h, t), row = out_row(s, b, h, t);
  const float delta_t = warp_dot(dout + row, out + row, s.HS, lane);
  if (lane == 0) delta[query] = delta_t;
  for (int d = lane; d < s.HS; d += kWarp) dq[d] = 0.0f;
  const int keys = s.causal ? t + 1 : s.T;
  for (int u = 0; u < keys; ++u) {
    const Real* k_u = head.k + u * s.stride;
    const float score = s.scale * warp_dot(head.q + t * s.stride, k_u, s.HS, lane);
    const float p = expf(score - lse[query]);
    const float dp = warp_dot(dout + row, head.v + u * s.stride, s.HS, lane);
    const float ds = p * (dp - delta_t);
    for (int d = lane; d < s.HS; d += kWarp) dq[d] += ds * s.scale * to_float(k_u[d]);
  }
  for (int d = lane; d < s.HS; d += kWarp) add(gradient.q + t * s.stride + d, dq[d]);
  // end of your code
}

template <class Real>
void attention_backward_queries(Real* dqkv, float* delta, const Real* dout, const Real* out,
                                const float* lse, const Real* qkv, int B, int T, int NH, int NKV,
                                int HS, bool causal) {
  const AttentionShape s = checked_shape(B, T, NH, NKV, HS, causal);
  if (attention_lse_size(B, T, NH) == 0) return;
  const std::size_t bytes = shared_bytes(1, HS);  // dq
  // your code: 08.attention_backward_queries_cuda
  attention_backward_queries_kernel<<<tiles(B, NH, T), kWarps * kWarp, bytes>>>(dqkv, delta, dout,
                                                                                out, lse, qkv, s);
  // end of your code
  check_launch("attention_backward, dq");
}

//   dv[u] += sum_t p[t, u] * dout[t]
//   dk[u] += sum_t ds[t, u] * q[t] / sqrt(HS)
//
// The sums run over all queries that see key u, of all NH / NKV heads that share it.
//
// dqkv: its keys' and values' part accumulates, the rest stays. delta [B, NH, T]: from the kernel
// above.
template <class Real>
__global__ void attention_backward_keys_kernel(Real* dqkv, const float* delta, const Real* dout,
                                               const float* lse, const Real* qkv,
                                               AttentionShape s) {
  extern __shared__ float shared[];
  const int lane = threadIdx.x % kWarp;
  float* dk = shared + threadIdx.x / kWarp * 2 * s.HS;
  float* dv = dk + s.HS;
  const auto [b, group, u] = Place(s.NKV);  // u: a key's position
  const int heads = s.NH / s.NKV;           // of the group: group * heads and those behind it
  const Head<Real> gradient(dqkv, s, b, group * heads);
  // your code on the device: 08.attention_backward_keys_cuda
  if (u >= s.T) return;
  for (int d = lane; d < s.HS; d += kWarp) dk[d] = dv[d] = 0.0f;
  for (int h = group * heads; h < (group + 1) * heads; ++h) {
    const Head<const Real> head(qkv, s, b, h);
    const Real* k_u = head.k + u * s.stride;
    const Real* v_u = head.v + u * s.stride;
    for (int t = s.causal ? u : 0; t < s.T; ++t) {
      const std::int64_t query = query_index(s, b, h, t);
      const Real* dout_t = dout + out_row(s, b, h, t);
      const Real* q_t = head.q + t * s.stride;
      const float p = expf(s.scale * warp_dot(q_t, k_u, s.HS, lane) - lse[query]);
      const float ds = p * (warp_dot(dout_t, v_u, s.HS, lane) - delta[query]);
      for (int d = lane; d < s.HS; d += kWarp) {
        dv[d] += p * to_float(dout_t[d]);
        dk[d] += ds * s.scale * to_float(q_t[d]);
      }
    }
  }
  for (int d = lane; d < s.HS; d += kWarp) {
    add(gradient.k + u * s.stride + d, dk[d]);
    add(gradient.v + u * s.stride + d, dv[d]);
  }
  // end of your code
}

template <class Real>
void attention_backward_keys(Real* dqkv, const float* delta, const Real* dout, const float* lse,
                             const Real* qkv, int B, int T, int NH, int NKV, int HS, bool causal) {
  const AttentionShape s = checked_shape(B, T, NH, NKV, HS, causal);
  if (attention_lse_size(B, T, NKV) == 0) return;
  const std::size_t bytes = shared_bytes(2, HS);  // dk and dv
  // your code: 08.attention_backward_keys_cuda
  attention_backward_keys_kernel<<<tiles(B, NKV, T), kWarps * kWarp, bytes>>>(dqkv, delta, dout,
                                                                              lse, qkv, s);
  // end of your code
  check_launch("attention_backward, dk and dv");
}

template <class Real>
void multihead_attention_backward(Real* dqkv, const Real* dout, const Real* out, const float* lse,
                                  const Real* qkv, float* scratch, int B, int T, int NH, int NKV,
                                  int HS, bool causal) {
  float* delta = scratch;  // [B, NH, T], as lse
  attention_backward_queries(dqkv, delta, dout, out, lse, qkv, B, T, NH, NKV, HS, causal);
  attention_backward_keys(dqkv, delta, dout, lse, qkv, B, T, NH, NKV, HS, causal);
}

std::int64_t attention_scratch_size(int B, int T, int NH, int /*NKV*/, int /*HS*/) {
  return attention_lse_size(B, T, NH);
}

template AttentionForward<float> multihead_attention_forward<float>;
template AttentionForward<Bfloat16> multihead_attention_forward<Bfloat16>;
template AttentionBackward<float> multihead_attention_backward<float>;
template AttentionBackward<Bfloat16> multihead_attention_backward<Bfloat16>;
template AttentionBackwardQueries<float> attention_backward_queries<float>;
template AttentionBackwardKeys<float> attention_backward_keys<float>;

}  // namespace tinygpt::ref_cuda
