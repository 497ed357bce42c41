// Attention's backward pass. The probabilities are made anew from the saved lse, a block of
// queries at a time; five products per block go through the microkernel.
#include "tinygpt/core/error.h"

#include <cstdint>

#include "tinygpt/cpu/attention.h"
#include "tinygpt/cpu/kernels.h"

namespace tinygpt::cpu {

std::int64_t attention_forward_scratch_size(int T, int HS);  // attention.cpp

namespace {

// A thread's working memory. dk and dv gather over all queries of the heads that share the keys.
struct BackwardScratch {
  float *p, *ds;              // [T, kQueries]: P^T; dP^T, then dS^T
  float* k_rows;              // [T, padded]
  float *dk, *dv;             // [T, padded]
  float *q_rows, *dout_rows;  // [kQueries, padded]
  float* dq;                  // [kQueries, padded]
  float *q_panels, *dout_panels;
  float *k_panels, *v_panels;
};

std::int64_t backward_size(int T, int HS) {
  const std::int64_t padded = round_up(HS, kTileColumns);
  return round_up(2 * T * std::int64_t{kQueries} + 3 * T * padded + 3 * kQueries * padded +
                      2 * column_panels_size(HS) + 2 * row_panels_size(T, HS),
                  16);
}

BackwardScratch split(float* scratch, int T, int HS) {
  const std::int64_t padded = round_up(HS, kTileColumns);
  const auto take = [&](std::int64_t floats) {
    float* const taken = scratch;
    scratch += floats;
    return taken;
  };
  BackwardScratch s;
  for (float** block : {&s.p, &s.ds}) *block = take(std::int64_t{T} * kQueries);
  for (float** rows : {&s.k_rows, &s.dk, &s.dv}) *rows = take(T * padded);
  for (float** rows : {&s.q_rows, &s.dout_rows, &s.dq}) *rows = take(kQueries * padded);
  for (float** panels : {&s.q_panels, &s.dout_panels}) *panels = take(column_panels_size(HS));
  for (float** panels : {&s.k_panels, &s.v_panels}) *panels = take(row_panels_size(T, HS));
  return s;
}

// What belongs to one query head: rows of dout and out are out_row apart, of dqkv head.row.
struct HeadGradient {
  float* dq;
  const float* dout;
  const float* out;
  const float* lse;
  std::int64_t out_row;
  bool add;  // to dq, or write it
};

// From scores and dP^T: p = exp(scale s - lse), ds = p (dp - delta) scale.
void probabilities_and_gradient(const BackwardScratch& s, const float* lse, const float* delta,
                                const Head& head, const QueryBlock& block, int column) {
  const int keys = keys_of_columns(head, block, column);
  for (int v = column; v < column + kTileColumns; v += kLanes) {
    const Vec lse_v = load(lse + v), delta_v = load(delta + v);
    const IntVec t = query_numbers(block.t + v);
    const int all_see = head.causal ? std::min(block.t + v + 1, keys) : keys;
    for (int u = 0; u < keys; ++u) {
      float* p = s.p + std::int64_t{u} * kQueries + v;
      float* ds = s.ds + std::int64_t{u} * kQueries + v;
      Vec p_u = exp(load(p) * head.scale - lse_v);
      if (u >= all_see) p_u = t < u ? Vec{} : p_u;
      store(p, p_u);
      store(ds, p_u * (load(ds) - delta_v) * head.scale);
    }
  }
  clear_unseen(s.p, head, block, column);
  clear_unseen(s.ds, head, block, column);
}

// rows[u, :] += sum_i block[u][i] * others[i, :] over the queries that see u: dV += P^T dO and
// dK += dS^T Q.
void add_rows_over_queries(float* rows, const float* products, const float* others,
                           const Head& head, const QueryBlock& block) {
  for (int u = 0; u < block.keys; u += kTileRows) {
    const int height = std::min(kTileRows, block.keys - u);
    // Queries before u see none of these keys.
    const int skipped = head.causal ? std::max(u - block.t, 0) : 0;
    const float* const a = products + std::int64_t{u} * kQueries + skipped;
    for (std::int64_t d = 0; d < head.padded; d += kTileColumns) {
      float* const c = rows + u * head.padded + d;
      run_tile<kQueries>(height, {.depth = block.count - skipped,
                                  .a = a,
                                  .a_step = 1,
                                  .a_row = kQueries,
                                  .b = others + skipped * head.padded + d,
                                  .b_step = head.padded,
                                  .start = c,
                                  .start_step = head.padded,
                                  .c = c,
                                  .c_step = head.padded});
    }
  }
}

void give_rows(float* to, std::int64_t step, const float* from, std::int64_t padded,
               std::int64_t rows, int HS, bool add) {
  for (std::int64_t i = 0; i < rows; ++i) {
    each_vector(0, HS, [=](auto io, std::int64_t d) {
      const Vec value = io.load(from + i * padded + d);
      io.store(to + i * step + d, add ? io.load(to + i * step + d) + value : value);
    });
  }
}

// delta[t] = dout[t] . out[t]; lanes past the last query get zeros.
void load_statistics(float* lse, float* delta, const HeadGradient& g, const Head& head,
                     const QueryBlock& block) {
  for (int i = 0; i < kQueries; ++i) {
    lse[i] = delta[i] = 0.0f;
    if (i >= block.count) continue;
    const std::int64_t at = (block.t + i) * g.out_row;
    Vec sum{};
    each_vector(0, head.HS, [&](auto io, std::int64_t d) {
      sum += io.load(g.dout + at + d) * io.load(g.out + at + d);
    });
    lse[i] = g.lse[block.t + i];
    delta[i] = sum_lanes(sum);
  }
}

void backward_block(const HeadGradient& g, const Head& head, const QueryBlock& block,
                    const BackwardScratch& s) {
  const float* q = head.q + block.t * head.row;
  const float* dout = g.dout + block.t * g.out_row;
  pack<kTileColumns>(s.q_panels, {q, head.row, 1}, block.count, head.HS);
  pack<kTileColumns>(s.dout_panels, {dout, g.out_row, 1}, block.count, head.HS);
  copy_rows(s.q_rows, head.padded, q, head.row, block.count, head.HS);
  copy_rows(s.dout_rows, head.padded, dout, g.out_row, block.count, head.HS);
  alignas(64) float lse[kQueries], delta[kQueries];
  load_statistics(lse, delta, g, head, block);

  block_products(s.p, s.k_panels, s.q_panels, head, block);
  block_products(s.ds, s.v_panels, s.dout_panels, head, block);
  for (int i = 0; i < block.count; i += kTileColumns) {
    probabilities_and_gradient(s, lse, delta, head, block, i);
  }
  add_rows_over_queries(s.dv, s.p, s.dout_rows, head, block);
  add_rows_over_queries(s.dk, s.ds, s.q_rows, head, block);
  rows_from_columns(s.dq, s.ds, s.k_rows, head, block);
  give_rows(g.dq + block.t * head.row, head.row, s.dq, head.padded, block.count, head.HS, g.add);
}

// A task is one key-value head of one sequence with all its query heads, in their order: only one
// thread adds to any dk and dv, so the result is the same for any number of threads.
void attention_gradients(float* dqkv, const float* dout, const float* out, const float* lse,
                         const float* qkv, float* scratch, int B, int T, int NH, int NKV, int HS,
                         bool causal, bool add) {
  check(NKV > 0 && NH % NKV == 0, "attention: NH must be a multiple of NKV");
  if (B <= 0 || T <= 0 || NH <= 0) return;
  const std::int64_t tasks = std::int64_t{B} * NKV, blocks = ceil_div(T, kQueries);
  const int group = NH / NKV;
  const int threads = threads_for(std::int64_t{B} * NH * T * T / 4 * HS / 8);
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
  for (std::int64_t task = 0; task < tasks; ++task) {
    const int b = static_cast<int>(task / NKV), first = static_cast<int>(task % NKV) * group;
    const BackwardScratch s = split(scratch + omp_get_thread_num() * backward_size(T, HS), T, HS);
    const Head shared = make_head(qkv, b, first, T, NH, NKV, HS, causal);
    pack<kTileRows>(s.k_panels, {shared.k, shared.row, 1}, T, HS);
    pack<kTileRows>(s.v_panels, {shared.v, shared.row, 1}, T, HS);
    copy_rows(s.k_rows, shared.padded, shared.k, shared.row, T, HS);
    std::fill_n(s.dk, T * shared.padded, 0.0f);
    std::fill_n(s.dv, T * shared.padded, 0.0f);
    for (int h = first; h < first + group; ++h) {
      const Head head = make_head(qkv, b, h, T, NH, NKV, HS, causal);
      const std::int64_t out_row = std::int64_t{NH} * HS;
      const std::int64_t at = b * T * out_row + std::int64_t{h} * HS;
      const HeadGradient gradient{dqkv + (head.q - qkv),
                                  dout + at,
                                  out + at,
                                  lse + (std::int64_t{b} * NH + h) * T,
                                  out_row,
                                  add};
      for (std::int64_t i = 0; i < blocks; ++i) {
        backward_block(gradient, head, query_block(head, i), s);
      }
    }
    give_rows(dqkv + (shared.k - qkv), shared.row, s.dk, shared.padded, T, HS, add);
    give_rows(dqkv + (shared.v - qkv), shared.row, s.dv, shared.padded, T, HS, add);
  }
}

}  // namespace

std::int64_t attention_scratch_size(int /*B*/, int T, int /*NH*/, int /*NKV*/, int HS) {
  return std::max(attention_forward_scratch_size(T, HS),
                  omp_get_max_threads() * backward_size(T, HS));
}

void attention_backward(float* dqkv, const float* dout, const float* out, const float* lse,
                        const float* qkv, float* scratch, int B, int T, int NH, int NKV, int HS,
                        bool causal) {
  attention_gradients(dqkv, dout, out, lse, qkv, scratch, B, T, NH, NKV, HS, causal, true);
}

void attention_backward_write(float* dqkv, const float* dout, const float* out, const float* lse,
                              const float* qkv, float* scratch, int B, int T, int NH, int NKV,
                              int HS, bool causal) {
  attention_gradients(dqkv, dout, out, lse, qkv, scratch, B, T, NH, NKV, HS, causal, false);
}

}  // namespace tinygpt::cpu
