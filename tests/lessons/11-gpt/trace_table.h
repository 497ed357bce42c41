// A table of operators for grading what calls them: right, in double inside, and with a memory of
// who was called with what.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <numbers>
#include <string>
#include <vector>

#include "tinygpt/ops/ops.h"

namespace tinygpt::lessons {

// The table's functions are plain pointers, so what they note is global.
struct Trace {
  std::vector<std::string> calls;
  std::map<const void*, std::string> names;  // of the buffers that a call was given

  std::string name(const void* buffer) const {
    if (buffer == nullptr) return "nullptr";
    const auto found = names.find(buffer);
    return found == names.end() ? "another buffer" : found->second;
  }
};
inline Trace& trace() {
  static Trace t;
  return t;
}

template <class... Buffers>
std::string call_text(const std::string& op, const std::string& sizes, Buffers... buffers) {
  std::vector<std::string> words = {trace().name(buffers)...};
  if (!sizes.empty()) words.push_back(sizes);
  return fmt::format("{}({})", op, fmt::join(words, ", "));
}
template <class... Arguments>
void note(Arguments... arguments) {
  trace().calls.push_back(call_text(arguments...));
}

namespace traced {

inline void embedding_forward(float* out, const int* tokens, const float* weight, int N, int C,
                              int) {
  note("embedding_forward", fmt::format("N={}, C={}", N, C), out, tokens, weight);
  for (int i = 0; i < N * C; ++i) out[i] = weight[std::int64_t{tokens[i / C]} * C + i % C];
}
inline void embedding_backward(float* dweight, const float* dout, const int* tokens, int N, int C,
                               int) {
  note("embedding_backward", fmt::format("N={}, C={}", N, C), dweight, dout, tokens);
  for (int i = 0; i < N * C; ++i) dweight[std::int64_t{tokens[i / C]} * C + i % C] += dout[i];
}
inline void positions_forward(float* out, const float* x, const float* weight, int B, int T, int C,
                              int start) {
  note("learned_positions_forward", fmt::format("B={}, T={}, C={}, start={}", B, T, C, start), out,
       x, weight);
  for (int i = 0; i < B * T * C; ++i) out[i] = x[i] + weight[(start + i / C % T) * C + i % C];
}
inline void positions_backward(float* dweight, const float* dout, int B, int T, int C, int start) {
  note("learned_positions_backward", fmt::format("B={}, T={}, C={}, start={}", B, T, C, start),
       dweight, dout);
  for (int i = 0; i < B * T * C; ++i) dweight[(start + i / C % T) * C + i % C] += dout[i];
}

inline void linear_forward(float* out, const float* x, const float* w, const float* bias, float*,
                           int N, int C, int OC) {
  note("linear_forward", fmt::format("scratch, N={}, C={}, OC={}", N, C, OC), out, x, w, bias);
  for (int n = 0; n < N; ++n) {
    for (int o = 0; o < OC; ++o) {
      double sum = bias != nullptr ? bias[o] : 0.0;
      for (int c = 0; c < C; ++c) sum += double{x[n * C + c]} * w[o * C + c];
      out[n * OC + o] = static_cast<float>(sum);
    }
  }
}
inline void linear_backward(float* dx, float* dw, float* dbias, const float* dout, const float* x,
                            const float* w, float*, int N, int C, int OC) {
  note("linear_backward", fmt::format("scratch, N={}, C={}, OC={}", N, C, OC), dx, dw, dbias, dout,
       x, w);
  for (int n = 0; n < N && dx != nullptr; ++n) {
    for (int c = 0; c < C; ++c) {
      double sum = 0;
      for (int o = 0; o < OC; ++o) sum += double{dout[n * OC + o]} * w[o * C + c];
      dx[n * C + c] += static_cast<float>(sum);
    }
  }
  for (int o = 0; o < OC; ++o) {
    double bias = 0;
    for (int n = 0; n < N; ++n) bias += dout[n * OC + o];
    if (dbias != nullptr) dbias[o] += static_cast<float>(bias);
    for (int c = 0; c < C && dw != nullptr; ++c) {
      double sum = 0;
      for (int n = 0; n < N; ++n) sum += double{dout[n * OC + o]} * x[n * C + c];
      dw[o * C + c] += static_cast<float>(sum);
    }
  }
}

inline void layernorm_forward(float* out, float* mean, float* rstd, const float* x, const float* w,
                              const float* b, int N, int C, float eps) {
  note("layernorm_forward", fmt::format("N={}, C={}, eps={:g}", N, C, eps), out, mean, rstd, x, w,
       b);
  for (int n = 0; n < N; ++n) {
    double m = 0, v = 0;
    for (int c = 0; c < C; ++c) m += x[n * C + c];
    m /= C;
    for (int c = 0; c < C; ++c) v += (x[n * C + c] - m) * (x[n * C + c] - m);
    const double r = 1 / std::sqrt(v / C + eps);
    mean[n] = static_cast<float>(m), rstd[n] = static_cast<float>(r);
    for (int c = 0; c < C; ++c) {
      out[n * C + c] = static_cast<float>((x[n * C + c] - m) * r * w[c] + b[c]);
    }
  }
}
inline void layernorm_backward(float* dx, float* dw, float* db, const float* dout, const float* x,
                               const float* w, const float* mean, const float* rstd, float*, int N,
                               int C) {
  note("layernorm_backward", fmt::format("scratch, N={}, C={}", N, C), dx, dw, db, dout, x, w, mean,
       rstd);
  for (int n = 0; n < N; ++n) {
    double g_mean = 0, gx_mean = 0;
    const auto xhat = [&](int c) { return (double{x[n * C + c]} - mean[n]) * rstd[n]; };
    const auto g = [&](int c) { return double{dout[n * C + c]} * w[c]; };
    for (int c = 0; c < C; ++c) g_mean += g(c) / C, gx_mean += g(c) * xhat(c) / C;
    for (int c = 0; c < C; ++c) {
      dx[n * C + c] += static_cast<float>(rstd[n] * (g(c) - g_mean - xhat(c) * gx_mean));
      dw[c] += static_cast<float>(dout[n * C + c] * xhat(c));
      if (db != nullptr) db[c] += dout[n * C + c];
    }
  }
}

// A query and a key of its head, by their places (attention.h).
struct HeadPair {
  int stat;     // of the query, in lse
  int out;      // of the query's head, in out
  int q, k, v;  // in qkv
  double score;
};
// Calls use(pair) for every query head, and every key that its queries see.
template <class Use>
void for_pairs(const float* qkv, int B, int T, int NH, int NKV, int HS, bool causal, Use&& use) {
  const int width = (NH + 2 * NKV) * HS;
  for (int b = 0; b < B; ++b) {
    for (int h = 0; h < NH; ++h) {
      const int g = h / (NH / NKV);
      for (int t = 0; t < T; ++t) {
        const int row = b * T + t;
        for (int u = 0; u < (causal ? t + 1 : T); ++u) {
          const int other = (b * T + u) * width;
          HeadPair pair{(b * NH + h) * T + t,  (row * NH + h) * HS,         row * width + h * HS,
                        other + (NH + g) * HS, other + (NH + NKV + g) * HS, 0};
          for (int d = 0; d < HS; ++d) pair.score += double{qkv[pair.q + d]} * qkv[pair.k + d];
          pair.score /= std::sqrt(HS);
          use(pair);
        }
      }
    }
  }
}
inline void attention_forward(float* out, float* lse, const float* qkv, float*, int B, int T,
                              int NH, int NKV, int HS, bool causal) {
  note("attention_forward",
       fmt::format("scratch, B={}, T={}, NH={}, NKV={}, HS={}, causal={}", B, T, NH, NKV, HS,
                   causal),
       out, lse, qkv);
  std::vector<double> sums(static_cast<std::size_t>(B * T * NH));
  for_pairs(qkv, B, T, NH, NKV, HS, causal, [&](const HeadPair& pair) {
    sums[static_cast<std::size_t>(pair.stat)] += std::exp(pair.score);
  });
  for (std::size_t i = 0; i < sums.size(); ++i) lse[i] = static_cast<float>(std::log(sums[i]));
  std::vector<double> result(static_cast<std::size_t>(B * T * NH * HS));
  for_pairs(qkv, B, T, NH, NKV, HS, causal, [&](const HeadPair& pair) {
    const double p = std::exp(pair.score) / sums[static_cast<std::size_t>(pair.stat)];
    for (int d = 0; d < HS; ++d) {
      result[static_cast<std::size_t>(pair.out + d)] += p * qkv[pair.v + d];
    }
  });
  for (std::size_t i = 0; i < result.size(); ++i) out[i] = static_cast<float>(result[i]);
}
inline void attention_backward(float* dqkv, const float* dout, const float* out, const float* lse,
                               const float* qkv, float*, int B, int T, int NH, int NKV, int HS,
                               bool causal) {
  note("attention_backward",
       fmt::format("scratch, B={}, T={}, NH={}, NKV={}, HS={}, causal={}", B, T, NH, NKV, HS,
                   causal),
       dqkv, dout, out, lse, qkv);
  for_pairs(qkv, B, T, NH, NKV, HS, causal, [&](const HeadPair& pair) {
    const double p = std::exp(pair.score - lse[pair.stat]);
    double dp = 0, delta = 0;
    for (int d = 0; d < HS; ++d) {
      const int at = pair.out + d;
      dqkv[pair.v + d] += static_cast<float>(p * dout[at]);
      dp += double{dout[at]} * qkv[pair.v + d];
      delta += double{dout[at]} * out[at];
    }
    const double ds = p * (dp - delta) / std::sqrt(HS);
    for (int d = 0; d < HS; ++d) {
      dqkv[pair.q + d] += static_cast<float>(ds * qkv[pair.k + d]);
      dqkv[pair.k + d] += static_cast<float>(ds * qkv[pair.q + d]);
    }
  });
}

inline double bend(double x) {
  return std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x));
}
inline void gelu_forward(float* out, const float* x, std::int64_t n) {
  note("gelu_forward", fmt::format("n={}", n), out, x);
  for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(0.5 * x[i] * (1 + bend(x[i])));
}
inline void gelu_backward(float* dx, const float* dout, const float* x, std::int64_t n) {
  note("gelu_backward", fmt::format("n={}", n), dx, dout, x);
  for (std::int64_t i = 0; i < n; ++i) {
    const double v = x[i], t = bend(v);
    const double du = std::sqrt(2 / std::numbers::pi) * (1 + 3 * 0.044715 * v * v);
    dx[i] += static_cast<float>(dout[i] * (0.5 * (1 + t) + 0.5 * v * (1 - t * t) * du));
  }
}

inline void residual_forward(float* out, const float* a, const float* b, std::int64_t n) {
  note("residual_forward", fmt::format("n={}", n), out, a, b);
  for (std::int64_t i = 0; i < n; ++i) out[i] = a[i] + b[i];
}
inline void residual_backward(float* da, float* db, const float* dout, std::int64_t n) {
  note("residual_backward", fmt::format("n={}", n), da, db, dout);
  for (std::int64_t i = 0; i < n; ++i) {
    const float d = dout[i];
    if (da != dout) da[i] += d;
    db[i] += d;
  }
}

inline void softmax_forward(float* out, const float* x, int N, int V) {
  note("softmax_forward", fmt::format("N={}, V={}", N, V), out, x);
  for (int n = 0; n < N; ++n) {
    double most = x[n * V], sum = 0;
    for (int v = 0; v < V; ++v) most = std::max(most, double{x[n * V + v]});
    for (int v = 0; v < V; ++v) sum += std::exp(x[n * V + v] - most);
    for (int v = 0; v < V; ++v) {
      out[n * V + v] = static_cast<float>(std::exp(x[n * V + v] - most) / sum);
    }
  }
}
inline void cross_entropy_forward(float* losses, float* lse, const float* logits,
                                  const int* targets, int N, int V) {
  note("cross_entropy_forward", fmt::format("N={}, V={}", N, V), losses, lse, logits, targets);
  for (int n = 0; n < N; ++n) {
    double most = logits[n * V], sum = 0;
    for (int v = 0; v < V; ++v) most = std::max(most, double{logits[n * V + v]});
    for (int v = 0; v < V; ++v) sum += std::exp(logits[n * V + v] - most);
    const double l = most + std::log(sum);
    lse[n] = static_cast<float>(l);
    losses[n] = targets[n] < 0 ? 0.0f : static_cast<float>(l - logits[n * V + targets[n]]);
  }
}
inline void cross_entropy_backward(float* dlogits, const float* logits, const float* lse,
                                   const int* targets, int N, int V, float scale) {
  note("softmax_cross_entropy_backward", fmt::format("N={}, V={}, scale={:.6g}", N, V, scale),
       dlogits, logits, lse, targets);
  for (int i = 0; i < N * V; ++i) {
    const int target = targets[i / V];
    const double p = std::exp(double{logits[i]} - lse[i / V]);
    const double d = target < 0 ? 0.0 : scale * (p - (i % V == target));
    dlogits[i] = static_cast<float>(dlogits == logits ? d : dlogits[i] + d);
  }
}

inline void zero(void* data, std::size_t bytes) {
  note("zero", fmt::format("{} floats", bytes / sizeof(float)), static_cast<const void*>(data));
  host_memory().zero(data, bytes);
}

}  // namespace traced

// Entries that a GPT-2 does not need are empty, but for the softmax: people think that it needs
// one.
inline Ops<float> traced_ops() {
  Ops<float> ops;
  ops.embedding_forward = traced::embedding_forward;
  ops.embedding_backward = traced::embedding_backward;
  ops.learned_positions_forward = traced::positions_forward;
  ops.learned_positions_backward = traced::positions_backward;
  ops.linear_forward = traced::linear_forward;
  ops.linear_backward = traced::linear_backward;
  ops.layernorm_forward = traced::layernorm_forward;
  ops.layernorm_backward = traced::layernorm_backward;
  ops.attention_forward = traced::attention_forward;
  ops.attention_backward = traced::attention_backward;
  ops.gelu_forward = traced::gelu_forward;
  ops.gelu_backward = traced::gelu_backward;
  ops.residual_forward = traced::residual_forward;
  ops.residual_backward = traced::residual_backward;
  ops.softmax_forward = traced::softmax_forward;
  ops.cross_entropy_forward = traced::cross_entropy_forward;
  ops.softmax_cross_entropy_backward = traced::cross_entropy_backward;
  return ops;
}

inline Memory traced_memory() {
  Memory memory = host_memory();
  memory.zero = traced::zero;
  return memory;
}

}  // namespace tinygpt::lessons
