// Attention's backward pass. The probabilities are made anew from the saved lse, for a block of
// queries and keys at a time; five products per block go through the microkernel. The keys' blocks
// are the outer loop, so that dK and dV of one stay in the cache while all queries add to them.
#include "tinygpt/core/error.h"

#include <cstdint>

#include "tinygpt/cpu/attention.h"
#include "tinygpt/cpu/kernels.h"

namespace tinygpt::cpu {

std::int64_t attention_forward_scratch_size(int T, int HS);  // attention.cpp

namespace {

// A thread's working memory. dk and dv gather over all queries of the heads that share the keys.
struct BackwardScratch {
  float *p, *ds;                  // [kKeys, kQueries]: P^T; dP^T, then dS^T
  float *k_rows, *v_rows;         // [kKeys, padded]
  float *dk, *dv;                 // [kKeys, padded]
  float *q_rows, *dout_rows;      // [kQueries, padded]
  float* dq;                      // [kQueries, padded]
  float *q_panels, *dout_panels;  // Q^T and dO^T of a block of queries, B operands
};

std::int64_t backward_size(int HS) {
  const std::int64_t padded = round_up(HS, kTileColumns);
  return 2 * kKeys * (kQueries + 2 * padded) + kQueries * (3 * padded + 2 * HS);
}

BackwardScratch split(float* scratch, int HS) {
  const std::int64_t padded = round_up(HS, kTileColumns);
  const auto take = [&](std::int64_t floats) {
    float* const taken = scratch;
    scratch += floats;
    return taken;
  };
  BackwardScratch s;
  for (float** block : {&s.p, &s.ds}) *block = take(kKeys * kQueries);
  for (float** rows : {&s.k_rows, &s.v_rows, &s.dk, &s.dv}) *rows = take(kKeys * padded);
  for (float** rows : {&s.q_rows, &s.dout_rows, &s.dq}) *rows = take(kQueries * padded);
  for (float** panels : {&s.q_panels, &s.dout_panels}) *panels = take(kQueries * HS);
  return s;
}

// What an operator's call is about.
struct Pass {
  float* dqkv;
  const float *dout, *out, *lse, *qkv;
  int T, NH, NKV, HS;
  bool causal, add;  // to dqkv, or write it
};

// A query head: what is read of it and where its gradient goes. Rows of dout and out are out_row
// apart, those of dq head.row.
struct QueryHead {
  Head head;
  float* dq;
  const float *dout, *out, *lse;
  std::int64_t out_row;
};

// Head number i of those that share a key-value head of one sequence, which are a task.
QueryHead query_head(const Pass& p, std::int64_t task, int i) {
  const int b = static_cast<int>(task / p.NKV);
  const int h = static_cast<int>(task % p.NKV) * (p.NH / p.NKV) + i;
  const Head head = make_head(p.qkv, b, h, p.T, p.NH, p.NKV, p.HS, p.causal);
  const std::int64_t out_row = std::int64_t{p.NH} * p.HS;
  const std::int64_t at = b * p.T * out_row + std::int64_t{h} * p.HS;
  return {.head = head,
          .dq = p.dqkv + (head.q - p.qkv),
          .dout = p.dout + at,
          .out = p.out + at,
          .lse = p.lse + (std::int64_t{b} * p.NH + h) * p.T,
          .out_row = out_row};
}

// From scores and dP^T: p = e^(scale s - lse), ds = p (dp - delta). The factor scale is left to dQ
// and dK.
void probabilities_and_gradient(const BackwardScratch& s, const float* lse, const float* delta,
                                const Head& head, const Block& block) {
  const float scale = head.scale * kLog2E;
  each_rectangle(head, block, [=, &s](auto count, int column, int begin, int end) {
    Vec offset[count], delta_v[count];
    for (int i = 0; i < count; ++i) {
      offset[i] = load(lse + column + i * kLanes) * kLog2E;
      delta_v[i] = load(delta + column + i * kLanes);
    }
    for (int u = begin; u < end; ++u) {
      float* const p = s.p + std::int64_t{u} * kQueries + column;
      float* const ds = s.ds + std::int64_t{u} * kQueries + column;
      for (int i = 0; i < count; ++i) {
        const Vec p_u = exp2(load(p + i * kLanes) * scale - offset[i]);
        store(p + i * kLanes, p_u);
        store(ds + i * kLanes, p_u * (load(ds + i * kLanes) - delta_v[i]));
      }
    }
  });
  for (int i = 0; i < block.queries; i += kLanes) {
    const int some_see = keys_of_vector(head, block, i), t = block.t + i - block.u;
    for (int u = head.causal ? std::max(t + 1, 0) : some_see; u < some_see; ++u) {
      for (float* block_of : {s.p, s.ds}) {
        float* at = block_of + std::int64_t{u} * kQueries + i;
        store(at, query_numbers(t) < u ? Vec{} : load(at));
      }
    }
    clear_unseen(s.p, head, block, i);
    clear_unseen(s.ds, head, block, i);
  }
}

// rows[u, :] += sum_i block[u][i] * others[i, :] over the queries that see u: dV += P^T dO and
// dK += dS^T Q.
void add_rows_over_queries(float* rows, const float* products, const float* others,
                           const Head& head, const Block& block, FetchAhead& ahead) {
  each_tile(0, block.keys, [&](int u, int height) {
    // Queries before u see none of these keys.
    const int skipped = head.causal ? std::max(block.u + u - block.t, 0) : 0;
    const float* const a = products + std::int64_t{u} * kQueries + skipped;
    for (std::int64_t d = 0; d < head.padded; d += kTileColumns) {
      float* const c = rows + u * head.padded + d;
      run_fetching_tile<kQueries>(height,
                                  {.depth = block.queries - skipped,
                                   .a = a,
                                   .a_step = 1,
                                   .a_row = kQueries,
                                   .b = others + skipped * head.padded + d,
                                   .b_step = head.padded,
                                   .start = c,
                                   .start_step = head.padded,
                                   .c = c,
                                   .c_step = head.padded},
                                  ahead);
    }
  });
}

// to = factor * from, or to += it: `to` has rows of HS, `step` apart.
void give_rows(float* to, std::int64_t step, const float* from, const Head& head, float factor,
               std::int64_t rows, bool add) {
  for (std::int64_t i = 0; i < rows; ++i) {
    each_vector(0, head.HS, [=, &head](auto io, std::int64_t d) {
      const Vec value = io.load(from + i * head.padded + d) * factor;
      io.store(to + i * step + d, add ? io.load(to + i * step + d) + value : value);
    });
  }
}

// delta[t] = dout[t] . out[t]; lanes past the last query get zeros.
void load_statistics(float* lse, float* delta, const QueryHead& h, const Block& block) {
  for (int i = 0; i < kQueries; ++i) {
    lse[i] = delta[i] = 0.0f;
    if (i >= block.queries) continue;
    const std::int64_t at = (block.t + i) * h.out_row;
    Vec sum{};
    each_vector(0, h.head.HS, [&](auto io, std::int64_t d) {
      sum += io.load(h.dout + at + d) * io.load(h.out + at + d);
    });
    lse[i] = h.lse[block.t + i];
    delta[i] = sum_lanes(sum);
  }
}

void backward_block(const QueryHead& h, const Block& block, const BackwardScratch& s, bool add,
                    FetchAhead& ahead) {
  const Head& head = h.head;
  const float* q = head.q + block.t * head.row;
  const float* dout = h.dout + block.t * h.out_row;
  pack<kTileColumns>(s.q_panels, {q, head.row, 1}, block.queries, head.HS);
  pack<kTileColumns>(s.dout_panels, {dout, h.out_row, 1}, block.queries, head.HS);
  copy_rows(s.q_rows, head.padded, q, head.row, block.queries, head.HS);
  copy_rows(s.dout_rows, head.padded, dout, h.out_row, block.queries, head.HS);
  alignas(64) float lse[kQueries], delta[kQueries];
  load_statistics(lse, delta, h, block);

  block_products(s.p, s.k_rows, s.q_panels, head, block, ahead);
  block_products(s.ds, s.v_rows, s.dout_panels, head, block, ahead);
  probabilities_and_gradient(s, lse, delta, head, block);
  add_rows_over_queries(s.dv, s.p, s.dout_rows, head, block, ahead);
  add_rows_over_queries(s.dk, s.ds, s.q_rows, head, block, ahead);
  rows_from_columns(s.dq, s.ds, s.k_rows, head, block, true, ahead);
  give_rows(h.dq + block.t * head.row, head.row, s.dq, head, head.scale, block.queries,
            add || block.u > 0);
}

void fetch_queries(FetchAhead::Queue& queue, const QueryHead& h, int t) {
  const int queries = queries_from(t, h.head.T);
  queue.add(h.head.q + t * h.head.row, h.head.row, queries);
  queue.add(h.dout + t * h.out_row, h.out_row, queries);
  queue.add(h.out + t * h.out_row, h.out_row, queries);
}

// The gradients with respect to the keys [u, u + keys) and their values, and their part of dq. The
// thread goes on with task `next`.
void backward_keys(const Pass& p, std::int64_t task, std::int64_t next, int u,
                   const BackwardScratch& s, FetchAhead& ahead) {
  const int keys = std::min(kKeys, p.T - u), group = p.NH / p.NKV;
  const Head shared = query_head(p, task, 0).head;
  float* const dk = p.dqkv + (shared.k - p.qkv) + u * shared.row;
  float* const dv = p.dqkv + (shared.v - p.qkv) + u * shared.row;
  copy_rows(s.k_rows, shared.padded, shared.k + u * shared.row, shared.row, keys, p.HS);
  copy_rows(s.v_rows, shared.padded, shared.v + u * shared.row, shared.row, keys, p.HS);
  std::fill_n(s.dk, keys * shared.padded, 0.0f);
  std::fill_n(s.dv, keys * shared.padded, 0.0f);

  const bool last_keys = u + kKeys >= p.T;
  const Head after = last_keys ? query_head(p, next, 0).head : shared;
  const int first = p.causal ? u : 0, first_after = last_keys ? 0 : u + kKeys;
  for (int i = 0; i < group; ++i) {
    const QueryHead h = query_head(p, task, i);
    for (int t = first; t < p.T; t += kQueries) {
      ahead.soon.add(h.dq + t * h.head.row, h.head.row, queries_from(t, p.T));
      if (t + kQueries < p.T) {
        fetch_queries(ahead.soon, h, t + kQueries);
      } else if (i + 1 < group) {
        fetch_queries(ahead.soon, query_head(p, task, i + 1), first);
      } else {
        fetch_queries(ahead.later, query_head(p, last_keys ? next : task, 0),
                      p.causal ? first_after : 0);
      }
      if (i + 1 == group && t - first < keys) {
        const std::int64_t row = (t - first) * shared.row;
        ahead.later.add(dk + row, shared.row, queries_from(t - first, keys));
        ahead.later.add(dv + row, shared.row, queries_from(t - first, keys));
        const int u_after = first_after + t - first;
        ahead.later.add(after.k + u_after * after.row, after.row, queries_from(u_after, p.T));
        ahead.later.add(after.v + u_after * after.row, after.row, queries_from(u_after, p.T));
      }
      backward_block(h, make_block(h.head, t, u), s, p.add, ahead);
    }
  }
  give_rows(dk, shared.row, s.dk, shared, shared.scale, keys, p.add);
  give_rows(dv, shared.row, s.dv, shared, 1.0f, keys, p.add);
}

// Only one thread adds to any dk and dv, and the heads of a task follow in their order: the result
// is the same for any number of threads.
void attention_gradients(const Pass& p, float* scratch, int B) {
  check(p.NKV > 0 && p.NH % p.NKV == 0, "attention: NH must be a multiple of NKV");
  if (B <= 0 || p.T <= 0 || p.NH <= 0) return;
  const std::int64_t tasks = std::int64_t{B} * p.NKV;
  const int threads = threads_for(std::int64_t{B} * p.NH * p.T * p.T / 4 * p.HS / 8);
#pragma omp parallel for schedule(dynamic) num_threads(threads) if (threads > 1)
  for (std::int64_t task = 0; task < tasks; ++task) {
    const BackwardScratch s = split(scratch + omp_get_thread_num() * backward_size(p.HS), p.HS);
    const std::int64_t next = std::min<std::int64_t>(task + threads, tasks - 1);  // most likely
    FetchAhead ahead = fetch_rows_of(p.HS);
    for (int u = 0; u < p.T; u += kKeys) backward_keys(p, task, next, u, s, ahead);
  }
}

}  // namespace

std::int64_t attention_scratch_size(int /*B*/, int T, int /*NH*/, int /*NKV*/, int HS) {
  return std::max(attention_forward_scratch_size(T, HS), omp_get_max_threads() * backward_size(HS));
}

void attention_backward(float* dqkv, const float* dout, const float* out, const float* lse,
                        const float* qkv, float* scratch, int B, int T, int NH, int NKV, int HS,
                        bool causal) {
  attention_gradients({dqkv, dout, out, lse, qkv, T, NH, NKV, HS, causal, true}, scratch, B);
}

void attention_backward_write(float* dqkv, const float* dout, const float* out, const float* lse,
                              const float* qkv, float* scratch, int B, int T, int NH, int NKV,
                              int HS, bool causal) {
  attention_gradients({dqkv, dout, out, lse, qkv, T, NH, NKV, HS, causal, false}, scratch, B);
}

}  // namespace tinygpt::cpu
