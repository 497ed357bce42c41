// A whole GPT-2 in double precision, written after its equations, with the mistakes that people
// make. Its gradients are central differences: nothing here knows a backward pass.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include "tests/support/compare.h"
#include "tests/support/gradients.h"

namespace tinygpt::lessons {

using test::Values;

struct Sizes {
  int B, T, V, max_T, L, NH, C;
  int N() const { return B * T; }
};

// Parameters are a list of tensors: wte, wpe, twelve for each block, weight and bias of norm_f.
inline constexpr int kBlockTensors = 12;
inline std::size_t block_tensor(int l, int which) {
  return static_cast<std::size_t>(2 + kBlockTensors * l + which);
}

// What one block makes, in the order in which it makes it.
struct BlockRun {
  Values norm1, mean1, rstd1, qkv, lse, att, mid, norm2, mean2, rstd2, up, act, out;
};
struct GptRun {
  Values embedded;
  std::vector<BlockRun> blocks;
  Values norm_f, mean_f, rstd_f, logits, losses, lse;
};

// A mistake. With `held` a run before the change, parts that are held at it get no gradient.
struct Variant {
  bool acausal = false, norm2_reads_x = false, mlp_adds_x = false;
  bool no_final_norm = false, read_embeddings = false, first_weights = false;
  int positions = 1;  // how often they are added
  const GptRun* held = nullptr;
  bool hold_skip1 = false, hold_skip2 = false;     // the stream beside a branch
  bool hold_embedding = false, hold_head = false;  // one of the two uses of wte
};

inline std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

inline void linear(Values& out, const Values& x, const Values& w, const Values* bias, int N, int C,
                   int OC) {
  out.assign(at(std::int64_t{N} * OC), 0.0);
  for (int n = 0; n < N; ++n) {
    for (int o = 0; o < OC; ++o) {
      double sum = bias != nullptr ? (*bias)[at(o)] : 0.0;
      for (int c = 0; c < C; ++c) sum += x[at(n * C + c)] * w[at(o * C + c)];
      out[at(n * OC + o)] = sum;
    }
  }
}

inline void norm(Values& out, Values& mean, Values& rstd, const Values& x, const Values& w,
                 const Values& b, int N, int C) {
  out.assign(x.size(), 0.0), mean.assign(at(N), 0.0), rstd.assign(at(N), 0.0);
  for (int n = 0; n < N; ++n) {
    double m = 0, v = 0;
    for (int c = 0; c < C; ++c) m += x[at(n * C + c)] / C;
    for (int c = 0; c < C; ++c) v += (x[at(n * C + c)] - m) * (x[at(n * C + c)] - m) / C;
    mean[at(n)] = m, rstd[at(n)] = 1 / std::sqrt(v + 1e-5);
    for (int c = 0; c < C; ++c) {
      out[at(n * C + c)] = (x[at(n * C + c)] - m) * rstd[at(n)] * w[at(c)] + b[at(c)];
    }
  }
}

inline double log_sum_exp(const std::vector<double>& scores) {
  double most = scores[0], sum = 0;
  for (const double s : scores) most = std::max(most, s);
  for (const double s : scores) sum += std::exp(s - most);
  return most + std::log(sum);
}

inline void attend(BlockRun& r, const Sizes& z, bool acausal) {
  const int C = z.C, HS = C / z.NH;
  r.att.assign(at(z.N() * C), 0.0), r.lse.assign(at(z.N() * z.NH), 0.0);
  for (int b = 0; b < z.B; ++b) {
    for (int h = 0; h < z.NH; ++h) {
      for (int t = 0; t < z.T; ++t) {
        const auto value = [&](int u, int part, int d) {
          return r.qkv[at((b * z.T + u) * 3 * C + part * C + h * HS + d)];
        };
        std::vector<double> scores;
        for (int u = 0; u < (acausal ? z.T : t + 1); ++u) {
          double s = 0;
          for (int d = 0; d < HS; ++d) s += value(t, 0, d) * value(u, 1, d);
          scores.push_back(s / std::sqrt(HS));
        }
        const double lse = log_sum_exp(scores);
        r.lse[at((b * z.NH + h) * z.T + t)] = lse;
        for (int u = 0; u < static_cast<int>(scores.size()); ++u) {
          for (int d = 0; d < HS; ++d) {
            r.att[at((b * z.T + t) * C + h * HS + d)] +=
                std::exp(scores[at(u)] - lse) * value(u, 2, d);
          }
        }
      }
    }
  }
}

inline Values sum_of(const Values& a, const Values& b) {
  Values out(a);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] += b[i];
  return out;
}

// p[0 .. 11]: a block's tensors. held_x, held: the stream and the block of the run that is held.
inline BlockRun run_block(const Values& x, const Values* p, const Sizes& z, const Variant& wrong,
                          const Values* held_x = nullptr, const BlockRun* held = nullptr) {
  const int N = z.N(), C = z.C;
  BlockRun r;
  Values branch;
  norm(r.norm1, r.mean1, r.rstd1, x, p[0], p[1], N, C);
  linear(r.qkv, r.norm1, p[2], &p[3], N, C, 3 * C);
  attend(r, z, wrong.acausal);
  linear(branch, r.att, p[4], &p[5], N, C, C);
  r.mid = sum_of(wrong.hold_skip1 ? *held_x : x, branch);
  norm(r.norm2, r.mean2, r.rstd2, wrong.norm2_reads_x ? x : r.mid, p[6], p[7], N, C);
  linear(r.up, r.norm2, p[8], &p[9], N, C, 4 * C);
  for (const double u : r.up) {
    const double v = std::sqrt(2 / std::numbers::pi) * (u + 0.044715 * u * u * u);
    r.act.push_back(0.5 * u * (1 + std::tanh(v)));
  }
  linear(branch, r.act, p[10], &p[11], N, 4 * C, C);
  r.out = sum_of(wrong.mlp_adds_x ? x : wrong.hold_skip2 ? held->mid : r.mid, branch);
  return r;
}

inline GptRun run_gpt(const std::vector<Values>& p, const std::vector<int>& tokens,
                      const std::vector<int>& targets, const Sizes& z, const Variant& wrong = {},
                      const std::vector<Values>* held_p = nullptr) {
  const int N = z.N(), C = z.C;
  GptRun r;
  const Values& table = wrong.hold_embedding ? (*held_p)[0] : p[0];
  const Values& head = wrong.hold_head ? (*held_p)[0] : p[0];
  for (int n = 0; n < N; ++n) {
    for (int c = 0; c < C; ++c) {
      r.embedded.push_back(table[at(tokens[at(n)] * C + c)] +
                           wrong.positions * p[1][at(n % z.T * C + c)]);
    }
  }
  Values x = r.embedded;
  for (int l = 0; l < z.L; ++l) {
    const GptRun* held = wrong.held;
    const Values* held_x = held == nullptr ? nullptr
                           : l == 0        ? &held->embedded
                                           : &held->blocks[at(l - 1)].out;
    r.blocks.push_back(run_block(wrong.read_embeddings ? r.embedded : x,
                                 &p[block_tensor(wrong.first_weights ? 0 : l, 0)], z, wrong, held_x,
                                 held == nullptr ? nullptr : &held->blocks[at(l)]));
    x = r.blocks.back().out;
  }
  const std::size_t last = block_tensor(z.L, 0);
  norm(r.norm_f, r.mean_f, r.rstd_f, x, p[last], p[last + 1], N, C);
  if (wrong.no_final_norm) r.norm_f = x;
  linear(r.logits, r.norm_f, head, nullptr, N, C, z.V);
  for (int n = 0; n < N; ++n) {
    const auto row = r.logits.begin() + std::int64_t{n} * z.V;
    r.lse.push_back(log_sum_exp(Values(row, row + z.V)));
    const int target = targets[at(n)];
    r.losses.push_back(target < 0 ? 0.0 : r.lse.back() - row[target]);
  }
  return r;
}

// The gradient of the sum of the losses over `count`, for every parameter tensor.
inline std::vector<Values> gpt_gradients(const std::vector<Values>& p,
                                         const std::vector<int>& tokens,
                                         const std::vector<int>& targets, double count,
                                         const Sizes& z, Variant wrong = {}) {
  const GptRun base = run_gpt(p, tokens, targets, z);
  wrong.held = &base;
  return test::numeric_gradients(
      [&](const std::vector<Values>& moved) {
        return run_gpt(moved, tokens, targets, z, wrong, &p).losses;
      },
      p, Values(at(z.N()), 1.0 / count));
}

// The gradient of dout . out for a block: its twelve tensors, then its input x.
inline std::vector<Values> block_gradients(const std::vector<Values>& p_and_x, const Values& dout,
                                           const Sizes& z, const Variant& wrong = {}) {
  const Values& x = p_and_x.back();
  const BlockRun base = run_block(x, p_and_x.data(), z, {});
  return test::numeric_gradients(
      [&](const std::vector<Values>& moved) {
        return run_block(moved.back(), moved.data(), z, wrong, &x, &base).out;
      },
      p_and_x, dout);
}

}  // namespace tinygpt::lessons
