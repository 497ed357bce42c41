// Attention's forward pass: for every block of queries and of keys S^T = K Q^T, a softmax down the
// columns, O += P V. The softmax is online: when a later block of keys has a larger score, sums and
// O are scaled down to the new maximum (Milakov and Gimelshein 2018; Dao et al. 2022). Only the
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
  float* p;                // [kKeys, kQueries]: S^T, then P^T before it is divided by its sum
  float* out;              // [kQueries, padded]
  float* q_panels;         // Q^T of a block, the B operand of S^T
  float *k_rows, *v_rows;  // [T, padded]
};

std::int64_t forward_size(int T, int HS) {
  const std::int64_t padded = round_up(HS, kTileColumns);
  return kQueries * (kKeys + padded + HS) + 2 * T * padded;
}

ForwardScratch split(float* scratch, int T, int HS) {
  const std::int64_t padded = round_up(HS, kTileColumns);
  ForwardScratch s;
  s.p = scratch;
  s.out = s.p + kKeys * kQueries;
  s.q_panels = s.out + kQueries * padded;
  s.k_rows = s.q_panels + kQueries * HS;
  s.v_rows = s.k_rows + T * padded;
  return s;
}

// Of every query of a block: the largest score so far, the sum of e^(scale (s - largest)), and the
// factor to which the last block of keys shrinks what was summed before.
struct Running {
  alignas(64) float largest[kQueries];
  alignas(64) float sum[kQueries];
  alignas(64) float shrink[kQueries];
};

// The largest of each column's scores and of `largest`; those that a query must not see become
// -inf.
void find_largest(float* largest, float* scores, const Head& head, const Block& block) {
  const Vec hidden = broadcast(-std::numeric_limits<float>::infinity());
  for (int i = 0; i < block.queries; i += kLanes) {
    const int some_see = keys_of_vector(head, block, i), t = block.t + i - block.u;
    for (int u = head.causal ? std::max(t + 1, 0) : some_see; u < some_see; ++u) {
      float* at = scores + std::int64_t{u} * kQueries + i;
      store(at, query_numbers(t) < u ? hidden : load(at));
    }
  }
  each_rectangle(head, block, [=](auto count, int column, int begin, int end) {
    Vec most[count];
    for (int i = 0; i < count; ++i) most[i] = load(largest + column + i * kLanes);
    for (int u = begin; u < end; ++u) {
      const float* at = scores + std::int64_t{u} * kQueries + column;
      for (int i = 0; i < count; ++i) most[i] = max(load(at + i * kLanes), most[i]);
    }
    for (int i = 0; i < count; ++i) store(largest + column + i * kLanes, most[i]);
  });
}

// Turns a block's scores into e^(scale (s - largest)) and brings `running` up to date.
void online_softmax(float* p, Running& running, const Head& head, const Block& block) {
  const float scale = head.scale * kLog2E;
  alignas(64) float offset[kQueries];
  for (int i = 0; i < block.queries; i += kLanes) {
    store(running.shrink + i, load(running.largest + i));
  }
  find_largest(running.largest, p, head, block);
  for (int i = 0; i < block.queries; i += kLanes) {
    const Vec from = load(running.largest + i) * scale;
    const Vec shrink = exp2(load(running.shrink + i) * scale - from);
    store(offset + i, from);
    store(running.shrink + i, shrink);
    store(running.sum + i, load(running.sum + i) * shrink);
  }
  float* const sums = running.sum;
  each_rectangle(head, block, [=, &offset](auto count, int column, int begin, int end) {
    Vec sum[count], from[count];
    for (int i = 0; i < count; ++i) {
      sum[i] = load(sums + column + i * kLanes);
      from[i] = load(offset + column + i * kLanes);
    }
    for (int u = begin; u < end; ++u) {
      float* at = p + std::int64_t{u} * kQueries + column;
      for (int i = 0; i < count; ++i) {
        const Vec e = exp2(load(at + i * kLanes) * scale - from[i]);
        store(at + i * kLanes, e);
        sum[i] += e;
      }
    }
    for (int i = 0; i < count; ++i) store(sums + column + i * kLanes, sum[i]);
  });
  for (int i = 0; i < block.queries; i += kLanes) clear_unseen(p, head, block, i);
}

void shrink_rows(float* rows, const float* shrink, const Head& head, int count) {
  for (int i = 0; i < count; ++i) {
    float* const row = rows + i * head.padded;
    for (std::int64_t d = 0; d < head.padded; d += kLanes) {
      store(row + d, load(row + d) * shrink[i]);
    }
  }
}

void attend(float* out, float* lse, const Head& head, int t, const ForwardScratch& s,
            std::int64_t out_row, FetchAhead& ahead) {
  const int queries = queries_from(t, head.T);
  pack<kTileColumns>(s.q_panels, {head.q + t * head.row, head.row, 1}, queries, head.HS);
  Running running;
  std::fill_n(running.largest, kQueries, -std::numeric_limits<float>::infinity());
  std::fill_n(running.sum, kQueries, 0.0f);
  for (int u = 0; u < keys_of_queries(head, t); u += kKeys) {
    const Block block = make_block(head, t, u);
    block_products(s.p, s.k_rows + u * head.padded, s.q_panels, head, block, ahead);
    online_softmax(s.p, running, head, block);
    if (u > 0) shrink_rows(s.out, running.shrink, head, queries);
    rows_from_columns(s.out, s.p, s.v_rows + u * head.padded, head, block, u == 0, ahead);
  }
  for (int i = 0; i < queries; ++i) {
    lse[t + i] = running.largest[i] * head.scale + std::log(running.sum[i]);
    const float scale = 1.0f / running.sum[i];
    float* to = out + (t + i) * out_row;
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
    float* const out_bh = out + b * T * out_row + std::int64_t{h} * HS;
    copy_rows(s.k_rows, head.padded, head.k, head.row, T, HS);
    copy_rows(s.v_rows, head.padded, head.v, head.row, T, HS);
    // Most likely this thread's next one.
    const std::int64_t next = std::min(task / parts + ceil_div(threads, parts), heads - 1);
    const Head after = make_head(qkv, static_cast<int>(next / NH), static_cast<int>(next % NH), T,
                                 NH, NKV, HS, causal);
    FetchAhead ahead = fetch_rows_of(HS);
    for (std::int64_t block = task % parts; block < blocks; block += parts) {
      const int t = static_cast<int>(block) * kQueries;
      const std::int64_t following = t + parts * kQueries;
      ahead.soon.add(out_bh + t * out_row, out_row, queries_from(t, T));
      ahead.soon.add(head.q + following * head.row, head.row, queries_from(following, T));
      ahead.later.add(after.k + t * head.row, head.row, queries_from(t, T));
      ahead.later.add(after.v + t * head.row, head.row, queries_from(t, T));
      if (following >= T) ahead.later.add(after.q, head.row, queries_from(0, T));
      attend(out_bh, lse + (std::int64_t{b} * NH + h) * T, head, t, s, out_row, ahead);
    }
  }
}

}  // namespace tinygpt::cpu
