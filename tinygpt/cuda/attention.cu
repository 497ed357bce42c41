#include "tinygpt/cuda/attention.cuh"

#include <algorithm>
#include <cstdint>

#include "solutions/08-multi-head/attention.cuh"
#include "solutions/kernel.cuh"
#include "tinygpt/cuda/attention_tiles.cuh"
#include "tinygpt/cuda/tensor_tiles.cuh"
#include "tinygpt/ops/attention.h"

// Dao: "FlashAttention-2" (2023). A block keeps some rows of the result in registers and passes
// over the other positions tile by tile: scores, softmax and weighted sum of a tile follow each
// other without a detour through memory, which sees each input once for every 32 or 64 rows and
// never a T x T matrix. Tiles that lie wholly above the diagonal are not visited.

namespace tinygpt::cuda {

struct AttentionShape {
  int B, T, NH, NKV, HS;
  bool causal;
  float scale;
};

namespace {

using ref_cuda::add;
using ref_cuda::ceil_div;
using ref_cuda::check_launch;
using ref_cuda::store;

constexpr float kLog2E = 1.44269504f;
constexpr int kLargestHead = 128;

// Whether a kernel on these cores can be compiled for the architecture at hand.
template <class Cores>
__device__ constexpr bool runs_here() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
  return !Cores::kTensor;
#else
  return true;
#endif
}

template <class Cores>
constexpr int kBlockThreads = Cores::kRows / kStripRows* kWarp;

// Blocks that a multiprocessor shall have room for: one will do. Left to itself, ptxas spills some
// registers of a kernel to make room for a third or fourth.
constexpr int kAnyBlocks = 1;

// Which head of which sequence a block has, and which of its tiles. All heads' first tiles come
// first; a causal kernel takes the tiles with most to do first, so that none is left alone at the
// end with a long one.
struct Work {
  __device__ Work(const AttentionShape& s, int heads, int rows, bool last_first) {
    const int tiles = static_cast<int>(ceil_div(s.T, rows));
    const int round = blockIdx.x / (heads * s.B);
    tile = last_first ? tiles - 1 - round : round;
    head = blockIdx.x % heads;
    b = blockIdx.x / heads % s.B;
  }
  int tile, head, b;
};

// Rows of one head in qkv (which: queries, keys or values), or in out.
enum class Part { q, k, v };
template <class Real>
__device__ Rows<Real> rows_of(Real* qkv, const AttentionShape& s, Part part, int b, int h) {
  const int group = h / (s.NH / s.NKV);
  const int head = part == Part::q ? h : part == Part::k ? s.NH + group : s.NH + s.NKV + group;
  const std::int64_t stride = std::int64_t{s.NH + 2 * s.NKV} * s.HS;
  return {qkv + b * s.T * stride + std::int64_t{head} * s.HS, stride, s.T, s.HS};
}
template <class Real>
__device__ Rows<Real> out_rows(Real* out, const AttentionShape& s, int b, int h) {
  const std::int64_t stride = std::int64_t{s.NH} * s.HS;
  return {out + b * s.T * stride + std::int64_t{h} * s.HS, stride, s.T, s.HS};
}
// Where lse and delta of position 0 are.
__device__ std::int64_t first_of(const AttentionShape& s, int b, int h) {
  return (std::int64_t{b} * s.NH + h) * s.T;
}
__device__ bool hidden(const AttentionShape& s, int t, int u) {
  return u >= s.T || (s.causal && u > t);
}

// put(address, value) for the strip's values, whose first row is t.
template <int kHS, class Real, class Put>
__device__ void write_strip(Strip<kHS>& strip, const Rows<Real>& rows, int t, Put&& put) {
  each(strip, [&](int half, int d, float& value) {
    const int row = t + 8 * half;
    if (row < rows.count && d < rows.HS) put(rows.first + row * rows.stride + d, half, value);
  });
}

// The scores of a tile are known only tile by tile, so the largest so far stands in for the largest
// of the row, and what was summed shrinks whenever it grows, as in the reference. exp2 with log2(e)
// in the factor makes of subtraction, scale and exponential one multiply-add and one instruction.
template <class Cores, int kHS, bool kAligned, class Real>
__global__ void __launch_bounds__(kBlockThreads<Cores>, kAnyBlocks)
    attention_forward_kernel(Real* out, float* lse, const Real* qkv, AttentionShape s) {
  if constexpr (runs_here<Cores>()) {
    using Chunk = typename Cores::Chunk;
    constexpr int kRows = Cores::kRows, kColumns = Cores::kColumns;
    constexpr int kStages = Cores::kForwardStages, kTile = kColumns * Cores::kChunks;
    __shared__ Chunk tile_q[kRows * Cores::kChunks];
    __shared__ Chunk tile_k[kStages][kTile], tile_v[kStages][kTile];
    const Work work(s, s.NH, kRows, s.causal);
    const int row = threadIdx.x / kWarp * kStripRows, first = work.tile * kRows;
    const int t = first + row + threadIdx.x % kWarp / 4;  // and t + 8
    const Rows<const Real> k = rows_of(qkv, s, Part::k, work.b, work.head);
    const Rows<const Real> v = rows_of(qkv, s, Part::v, work.b, work.head);
    const int tiles = ceil_div(s.causal ? min(s.T, first + kRows) : s.T, kColumns);
    const auto start = [&](int i) {
      if (i < tiles) {
        Cores::template start<kColumns, kAligned>(tile_k[i % kStages], k, i * kColumns);
        Cores::template start<kColumns, kAligned>(tile_v[i % kStages], v, i * kColumns);
      }
      Cores::commit();
    };
    const float factor = s.scale * kLog2E;
    Strip<kHS> sums = {};
    float largest[2] = {-INFINITY, -INFINITY}, total[2] = {};
    Cores::template start<kRows, kAligned>(tile_q, rows_of(qkv, s, Part::q, work.b, work.head),
                                           first);
    for (int i = 0; i < kStages - 1; ++i) start(i);
    for (int i = 0; i < tiles; ++i) {
      start(i + kStages - 1);
      Cores::template wait<kStages - 1>();
      __syncthreads();  // this tile is complete
      Strip<kColumns> p = {};
      Cores::multiply_lines(p, tile_q, row, tile_k[i % kStages]);
      float now[2] = {largest[0], largest[1]};
      each(p, [&](int half, int column, float& score) {
        if (hidden(s, t + 8 * half, i * kColumns + column)) score = -INFINITY;
        now[half] = fmaxf(now[half], score);
      });
      float shrink[2];
      for (int half = 0; half < 2; ++half) {
        now[half] = row_max(now[half]);  // never -infinity: all rows see the first key
        shrink[half] = exp2f((largest[half] - now[half]) * factor);
        largest[half] = now[half];
        total[half] *= shrink[half];
      }
      each(p, [&](int half, int /*column*/, float& score) {
        score = exp2f(score * factor - largest[half] * factor);
        total[half] += score;
      });
      each(sums, [&](int half, int /*column*/, float& sum) { sum *= shrink[half]; });
      Cores::multiply_strip(sums, p, tile_v[i % kStages]);
      __syncthreads();  // this tile is read to the end
    }
    total[0] = row_sum(total[0]), total[1] = row_sum(total[1]);
    write_strip(sums, out_rows(out, s, work.b, work.head), t,
                [&](Real* to, int half, float sum) { store(to, sum / total[half]); });
    for (int half = 0; half < 2; ++half) {
      if (threadIdx.x % 4 == 0 && t + 8 * half < s.T) {
        lse[first_of(s, work.b, work.head) + t + 8 * half] =
            (largest[half] * factor + log2f(total[half])) / kLog2E;
      }
    }
  }
}

// The backward pass goes over all pairs of tiles twice, as the reference does: a block gathers dq
// of its queries, then another dk and dv of its keys. One pass would spare two of seven products,
// but its blocks would have to add to the same dq, in another order every time.

// delta[t] = dout[t] . out[t], a warp for each
template <class Real>
__global__ void attention_delta_kernel(float* delta, const Real* dout, const Real* out,
                                       AttentionShape s) {
  const int lane = threadIdx.x % kWarp;
  const std::int64_t count = std::int64_t{s.B} * s.T * s.NH;
  const std::int64_t step = ref_cuda::index_stride() / kWarp;
  for (std::int64_t i = ref_cuda::first_index() / kWarp; i < count; i += step) {
    const std::int64_t token = i / s.NH, h = i % s.NH;
    float sum = 0.0f;
    for (int d = lane; d < s.HS; d += kWarp) {
      sum += to_float(dout[i * s.HS + d]) * to_float(out[i * s.HS + d]);
    }
    sum = ref_cuda::warp_sum(sum);
    if (lane == 0) delta[(token / s.T * s.NH + h) * s.T + token % s.T] = sum;
  }
}

template <class Cores, int kHS, bool kAligned, class Real>
__global__ void __launch_bounds__(kBlockThreads<Cores>, kAnyBlocks)
    attention_backward_queries_kernel(Real* dqkv, const float* delta, const Real* dout,
                                      const float* lse, const Real* qkv, AttentionShape s) {
  if constexpr (runs_here<Cores>()) {
    using Chunk = typename Cores::Chunk;
    constexpr int kRows = Cores::kRows, kColumns = Cores::kColumns;
    constexpr int kStages = Cores::kBackwardStages, kTile = kColumns * Cores::kChunks;
    __shared__ Chunk tile_q[kRows * Cores::kChunks], tile_dout[kRows * Cores::kChunks];
    __shared__ Chunk tile_k[kStages][kTile], tile_v[kStages][kTile];
    const Work work(s, s.NH, kRows, s.causal);
    const int row = threadIdx.x / kWarp * kStripRows, first = work.tile * kRows;
    const int t = first + row + threadIdx.x % kWarp / 4;
    const Rows<const Real> k = rows_of(qkv, s, Part::k, work.b, work.head);
    const Rows<const Real> v = rows_of(qkv, s, Part::v, work.b, work.head);
    const int tiles = ceil_div(s.causal ? min(s.T, first + kRows) : s.T, kColumns);
    const auto start = [&](int i) {
      if (i < tiles) {
        Cores::template start<kColumns, kAligned>(tile_k[i % kStages], k, i * kColumns);
        Cores::template start<kColumns, kAligned>(tile_v[i % kStages], v, i * kColumns);
      }
      Cores::commit();
    };
    float of_lse[2] = {}, of_delta[2] = {};
    for (int half = 0; half < 2; ++half) {
      if (t + 8 * half >= s.T) continue;
      of_lse[half] = lse[first_of(s, work.b, work.head) + t + 8 * half] * kLog2E;
      of_delta[half] = delta[first_of(s, work.b, work.head) + t + 8 * half];
    }
    Strip<kHS> dq = {};
    Cores::template start<kRows, kAligned>(tile_q, rows_of(qkv, s, Part::q, work.b, work.head),
                                           first);
    Cores::template start<kRows, kAligned>(tile_dout, out_rows(dout, s, work.b, work.head), first);
    for (int i = 0; i < kStages - 1; ++i) start(i);
    for (int i = 0; i < tiles; ++i) {
      start(i + kStages - 1);
      Cores::template wait<kStages - 1>();
      __syncthreads();
      Strip<kColumns> ds = {}, dp = {};
      Cores::multiply_lines(ds, tile_q, row, tile_k[i % kStages]);
      Cores::multiply_lines(dp, tile_dout, row, tile_v[i % kStages]);
      each(dp, [&](int half, int /*column*/, float& value) { value -= of_delta[half]; });
      each(ds, [&](int half, int column, float& score) {
        const bool none = hidden(s, t + 8 * half, i * kColumns + column);
        score = none ? 0.0f : exp2f(score * s.scale * kLog2E - of_lse[half]);
      });
      multiply_each(ds, dp);
      Cores::multiply_strip(dq, ds, tile_k[i % kStages]);
      __syncthreads();
    }
    write_strip(dq, rows_of(dqkv, s, Part::q, work.b, work.head), t,
                [&](Real* to, int /*half*/, float sum) { add(to, sum * s.scale); });
  }
}

// Rows are keys here and columns queries, so that p and ds come transposed, as dv and dk want them.
template <class Cores, int kHS, bool kAligned, class Real>
__global__ void __launch_bounds__(kBlockThreads<Cores>, kAnyBlocks)
    attention_backward_keys_kernel(Real* dqkv, const float* delta, const Real* dout,
                                   const float* lse, const Real* qkv, AttentionShape s) {
  if constexpr (runs_here<Cores>()) {
    using Chunk = typename Cores::Chunk;
    constexpr int kRows = Cores::kRows, kColumns = Cores::kColumns;
    constexpr int kStages = Cores::kBackwardStages, kTile = kColumns * Cores::kChunks;
    __shared__ Chunk tile_k[kRows * Cores::kChunks], tile_v[kRows * Cores::kChunks];
    __shared__ Chunk tile_q[kStages][kTile], tile_dout[kStages][kTile];
    const Work work(s, s.NKV, kRows, false);
    const int row = threadIdx.x / kWarp * kStripRows, first = work.tile * kRows;
    const int u = first + row + threadIdx.x % kWarp / 4;
    const int heads = s.NH / s.NKV, head0 = work.head * heads;  // the query heads that share keys
    const int tile0 = s.causal ? first / kColumns : 0;
    const int tiles = static_cast<int>(ceil_div(s.T, kColumns)) - tile0;
    const auto start = [&](int i) {
      if (i < tiles * heads) {
        const int h = head0 + i / tiles, position = (tile0 + i % tiles) * kColumns;
        Cores::template start<kColumns, kAligned>(tile_q[i % kStages],
                                                  rows_of(qkv, s, Part::q, work.b, h), position);
        Cores::template start<kColumns, kAligned>(tile_dout[i % kStages],
                                                  out_rows(dout, s, work.b, h), position);
      }
      Cores::commit();
    };
    Strip<kHS> dk = {}, dv = {};
    Cores::template start<kRows, kAligned>(tile_k, rows_of(qkv, s, Part::k, work.b, head0), first);
    Cores::template start<kRows, kAligned>(tile_v, rows_of(qkv, s, Part::v, work.b, head0), first);
    for (int i = 0; i < kStages - 1; ++i) start(i);
    for (int i = 0; i < tiles * heads; ++i) {
      start(i + kStages - 1);
      Cores::template wait<kStages - 1>();
      __syncthreads();
      const int t0 = (tile0 + i % tiles) * kColumns;
      const std::int64_t query0 = first_of(s, work.b, head0 + i / tiles);
      Strip<kColumns> p = {}, dp = {};
      Cores::multiply_lines(p, tile_k, row, tile_q[i % kStages]);
      Cores::multiply_lines(dp, tile_v, row, tile_dout[i % kStages]);
      each(p, [&](int half, int column, float& score) {
        const int t = t0 + column;
        const bool none = t >= s.T || hidden(s, t, u + 8 * half);
        score = none ? 0.0f : exp2f(score * s.scale * kLog2E - lse[query0 + t] * kLog2E);
      });
      Cores::multiply_strip(dv, p, tile_dout[i % kStages]);
      each(dp, [&](int /*half*/, int column, float& value) {
        value -= t0 + column < s.T ? delta[query0 + t0 + column] : 0.0f;
      });
      multiply_each(p, dp);
      Cores::multiply_strip(dk, p, tile_q[i % kStages]);
      __syncthreads();
    }
    write_strip(dk, rows_of(dqkv, s, Part::k, work.b, head0), u,
                [&](Real* to, int /*half*/, float sum) { add(to, sum * s.scale); });
    write_strip(dv, rows_of(dqkv, s, Part::v, work.b, head0), u,
                [&](Real* to, int /*half*/, float sum) { add(to, sum); });
  }
}

template <class Cores>
unsigned blocks_of(const AttentionShape& s, int heads) {
  return static_cast<unsigned>(ceil_div(s.T, Cores::kRows) * s.B * heads);
}

// launch.template operator()<Cores, kHS, kAligned>() for these heads.
template <template <int> class Cores, int kHS = 16, class Launch>
void choose(int HS, bool aligned, const Launch& launch) {
  if (HS <= kHS) {
    aligned ? launch.template operator()<Cores<kHS>, kHS, true>()
            : launch.template operator()<Cores<kHS>, kHS, false>();
  } else if constexpr (kHS < kLargestHead) {
    choose<Cores, 2 * kHS>(HS, aligned, launch);
  }
}

// Heads may be read 16 bytes at a time where their rows begin and end on such a border.
template <class Real, class Launch>
void choose(int HS, std::initializer_list<const Real*> inputs, const Launch& launch) {
  constexpr int kValues = 16 / sizeof(Real);
  bool aligned = HS % kValues == 0;
  for (const Real* x : inputs) aligned = aligned && reinterpret_cast<std::uintptr_t>(x) % 16 == 0;
  if constexpr (sizeof(Real) == 2) {
    if (has_tensor_code(attention_forward_kernel<TensorCores<64>, 64, true, Real>)) {
      choose<TensorCores>(HS, aligned, launch);
      return;
    }
  }
  choose<PlainCores>(HS, aligned, launch);
}

}  // namespace

template <class Real>
void attention_forward(Real* out, float* lse, const Real* qkv, float* scratch, int B, int T, int NH,
                       int NKV, int HS, bool causal) {
  if (HS > kLargestHead || NKV <= 0 || NH % NKV != 0) {
    ref_cuda::multihead_attention_forward(out, lse, qkv, scratch, B, T, NH, NKV, HS, causal);
    return;
  }
  const AttentionShape s{B, T, NH, NKV, HS, causal, 1.0f / std::sqrt(static_cast<float>(HS))};
  if (attention_lse_size(B, T, NH) == 0) return;
  choose<Real>(HS, {qkv}, [&]<class Cores, int kHS, bool kAligned>() {
    constexpr auto kKernel = attention_forward_kernel<Cores, kHS, kAligned, Real>;
    const dim3 blocks(blocks_of<Cores>(s, NH)), threads(kBlockThreads<Cores>);
    kKernel<<<blocks, threads>>>(out, lse, qkv, s);
  });
  check_launch("attention_forward");
}

template <class Real>
void attention_backward(Real* dqkv, const Real* dout, const Real* out, const float* lse,
                        const Real* qkv, float* scratch, int B, int T, int NH, int NKV, int HS,
                        bool causal) {
  if (HS > kLargestHead || NKV <= 0 || NH % NKV != 0) {
    ref_cuda::multihead_attention_backward(dqkv, dout, out, lse, qkv, scratch, B, T, NH, NKV, HS,
                                           causal);
    return;
  }
  const AttentionShape s{B, T, NH, NKV, HS, causal, 1.0f / std::sqrt(static_cast<float>(HS))};
  const std::int64_t queries = attention_lse_size(B, T, NH);
  if (queries == 0) return;
  float* delta = scratch;
  attention_delta_kernel<<<ref_cuda::blocks_for(queries * kWarp), ref_cuda::kThreads>>>(delta, dout,
                                                                                        out, s);
  check_launch("attention_backward, delta");
  choose<Real>(HS, {qkv, dout}, [&]<class Cores, int kHS, bool kAligned>() {
    constexpr auto kQueries = attention_backward_queries_kernel<Cores, kHS, kAligned, Real>;
    constexpr auto kKeys = attention_backward_keys_kernel<Cores, kHS, kAligned, Real>;
    const dim3 threads(kBlockThreads<Cores>);
    const dim3 query_blocks(blocks_of<Cores>(s, NH)), key_blocks(blocks_of<Cores>(s, NKV));
    kQueries<<<query_blocks, threads>>>(dqkv, delta, dout, lse, qkv, s);
    check_launch("attention_backward, dq");
    kKeys<<<key_blocks, threads>>>(dqkv, delta, dout, lse, qkv, s);
  });
  check_launch("attention_backward, dk and dv");
}

template AttentionForward<float> attention_forward<float>;
template AttentionForward<Bfloat16> attention_forward<Bfloat16>;
template AttentionBackward<float> attention_backward<float>;
template AttentionBackward<Bfloat16> attention_backward<Bfloat16>;

}  // namespace tinygpt::cuda
