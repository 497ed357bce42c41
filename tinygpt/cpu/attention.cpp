// Attention's forward pass: for every block of queries S^T = K Q^T, a softmax down the columns,
// O = P V. Of the T x T scores only one block of kQueries columns exists at a time, and only its
// causal part is computed.
#include "tinygpt/cpu/attention.h"
#include "tinygpt/core/error.h"

#include <cmath>
#include <cstdint>
#include <limits>

#include "tinygpt/cpu/kernels.h"

namespace tinygpt::cpu {
namespace {

// A thread's working memory.
struct ForwardScratch {
  float* k_panels;  // K, the A operand of S^T
  float* v_rows;    // [T, padded]
  float* q_panels;  // Q^T of a block, the B operand of S^T
  float* p;         // [T, kQueries]: S^T, then P^T before it is divided by its sum
  float* out;       // [kQueries, padded]
};

std::int64_t forward_size(int T, int HS) {
  const std::int64_t padded = round_up(HS, kTileColumns);
  return round_up(row_panels_size(T, HS) + T * padded + column_panels_size(HS) +
                      std::int64_t{T} * kQueries + kQueries * padded,
                  16);
}

ForwardScratch split(float* scratch, int T, int HS) {
  const std::int64_t padded = round_up(HS, kTileColumns);
  ForwardScratch s;
  s.p = scratch;
  s.v_rows = s.p + std::int64_t{T} * kQueries;
  s.q_panels = s.v_rows + T * padded;
  s.out = s.q_panels + column_panels_size(HS);
  s.k_panels = s.out + kQueries * padded;
  return s;
}

// Turns kTileColumns columns of scores into e^(scale (s - max)); leaves their sums and lse.
void softmax_columns(float* p, float* sum, float* lse, const Head& head, const QueryBlock& block,
                     int column) {
  const int keys = keys_of_columns(head, block, column);
  float* const first = p + column;
  const int t = block.t + column;
  const float hidden = -std::numeric_limits<float>::infinity();
  for (int u = head.causal ? t + 1 : keys; u < keys; ++u) {  // keys that only some of them see
    for (int v = 0; v < kTileColumns; v += kLanes) {
      float* at = first + std::int64_t{u} * kQueries + v;
      store(at, query_numbers(t + v) < u ? broadcast(hidden) : load(at));
    }
  }
  Vec max0 = load(first), max1 = load(first + kLanes);
  for (int u = 1; u < keys; ++u) {
    const float* at = first + std::int64_t{u} * kQueries;
    max0 = max(load(at), max0);
    max1 = max(load(at + kLanes), max1);
  }
  max0 *= head.scale;
  max1 *= head.scale;
  Vec sum0{}, sum1{};
  for (int u = 0; u < keys; ++u) {
    float* at = first + std::int64_t{u} * kQueries;
    const Vec e0 = exp(load(at) * head.scale - max0);
    const Vec e1 = exp(load(at + kLanes) * head.scale - max1);
    store(at, e0);
    store(at + kLanes, e1);
    sum0 += e0;
    sum1 += e1;
  }
  store(sum + column, sum0);
  store(sum + column + kLanes, sum1);
  for (int i = 0; i < kTileColumns && column + i < block.count; ++i) {
    const float largest = i < kLanes ? max0[i] : max1[i - kLanes];
    lse[t + i] = largest + std::log(sum[column + i]);
  }
  clear_unseen(p, head, block, column);
}

void attend_block(float* out, float* lse, const Head& head, const QueryBlock& block,
                  const ForwardScratch& s, std::int64_t out_row) {
  pack<kTileColumns>(s.q_panels, {head.q + block.t * head.row, head.row, 1}, block.count, head.HS);
  block_products(s.p, s.k_panels, s.q_panels, head, block);
  alignas(64) float sum[kQueries];
  for (int i = 0; i < block.count; i += kTileColumns) {
    softmax_columns(s.p, sum, lse, head, block, i);
  }
  rows_from_columns(s.out, s.p, s.v_rows, head, block);
  for (int i = 0; i < block.count; ++i) {
    const float scale = 1.0f / sum[i];
    float* to = out + (block.t + i) * out_row;
    const float* from = s.out + i * head.padded;
    each_vector(0, head.HS,
                [=](auto io, std::int64_t d) { io.store(to + d, io.load(from + d) * scale); });
  }
}

}  // namespace

std::int64_t attention_forward_scratch_size(int T, int HS) {
  return omp_get_max_threads() * forward_size(T, HS);
}

void attention_forward(float* out, float* lse, const float* qkv, float* scratch, int B, int T,
                       int NH, int NKV, int HS, bool causal) {
  check(NKV > 0 && NH % NKV == 0, "attention: NH must be a multiple of NKV");
  if (B <= 0 || T <= 0 || NH <= 0) return;
  const std::int64_t heads = std::int64_t{B} * NH, blocks = ceil_div(T, kQueries);
  const int threads = threads_for(heads * T * T / 8 * HS / 8);
  // Heads are shared out whole, since each packs its keys and values; where there are fewer of
  // them than threads could use, several threads take every parts-th block of the same head.
  const std::int64_t parts =
      threads == 1 ? 1 : std::clamp<std::int64_t>(4 * threads / heads, 1, blocks);
  const std::int64_t out_row = std::int64_t{NH} * HS;
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
  for (std::int64_t task = 0; task < heads * parts; ++task) {
    const int b = static_cast<int>(task / parts / NH), h = static_cast<int>(task / parts % NH);
    const Head head = make_head(qkv, b, h, T, NH, NKV, HS, causal);
    const ForwardScratch s = split(scratch + omp_get_thread_num() * forward_size(T, HS), T, HS);
    pack<kTileRows>(s.k_panels, {head.k, head.row, 1}, T, HS);
    copy_rows(s.v_rows, head.padded, head.v, head.row, T, HS);
    for (std::int64_t block = task % parts; block < blocks; block += parts) {
      attend_block(out + b * T * out_row + std::int64_t{h} * HS,
                   lse + (b * NH + h) * std::int64_t{T}, head, query_block(head, block), s,
                   out_row);
    }
  }
}

}  // namespace tinygpt::cpu
