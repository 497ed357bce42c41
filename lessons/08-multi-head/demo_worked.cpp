// The worked example: four tokens, two heads that share a key and a value.
#include <fmt/format.h>

#include <cmath>
#include <cstdint>

#include "lessons/08-multi-head/experiments.h"
#include "solutions/04-bigram/softmax.h"
#include "solutions/08-multi-head/attention.h"

namespace tinygpt::lessons {
namespace {

constexpr int kT = 4, kHeads = 2, kKeys = 1, kSize = 2;
constexpr int kRow = (kHeads + 2 * kKeys) * kSize;
const char* const kTokens[kT] = {"a", "cat", "sat", "."};
// Query of head 0, query of head 1, key, value. A key's first number says noun, its second verb:
// head 0 asks for nouns, head 1 for verbs.
const std::vector<float> kQkv = {1, 0, 0, 1, 0, 0, 2, 0,  //
                                 2, 0, 0, 1, 2, 0, 1, 0,  //
                                 2, 0, 0, 2, 0, 2, 0, 1,  //
                                 2, 1, 0, 2, 1, 1, 1, 1};

void print_square(const std::string& title, const float* values, const char* form) {
  fmt::print("{}\n{:>8}", title, "");
  for (const char* token : kTokens) fmt::print("{:>8}", token);
  fmt::print("\n");
  for (int t = 0; t < kT; ++t) {
    fmt::print("{:>8}", kTokens[t]);
    for (int u = 0; u < kT; ++u) fmt::print(fmt::runtime(form), values[t * kT + u]);
    fmt::print("\n");
  }
}

std::vector<float> scores_of(int h) {
  const ref::HeadOffsets at = ref::head_offsets(h, kHeads, kKeys, kSize);
  std::vector<float> scores(kT * kT);
  for (int t = 0; t < kT; ++t) {
    for (int u = 0; u < kT; ++u) {
      float dot = 0;
      for (int d = 0; d < kSize; ++d) {
        dot += kQkv[std::size_t(t * kRow + at.q + d)] * kQkv[std::size_t(u * kRow + at.k + d)];
      }
      scores[std::size_t(t * kT + u)] = dot / std::sqrt(float(kSize));
    }
  }
  return scores;
}

// The full stop's query of head 0, as a reader redoes it.
void print_last_row() {
  const std::vector<float> scores = scores_of(0);
  float sum = 0;
  for (int u = 0; u < kT; ++u) sum += std::exp(scores[std::size_t(3 * kT + u)]);
  fmt::print("\nthe last row of head 0\n{:>8}{:>8}{:>10}{:>8}{:>14}\n", "key", "q . k", "/ 1.414",
             "exp", "probability");
  for (int u = 0; u < kT; ++u) {
    const float s = scores[std::size_t(3 * kT + u)];
    fmt::print("{:>8}{:>8.0f}{:>10.2f}{:>8.2f}{:>14.3f}\n", kTokens[u], s * std::sqrt(2.0f), s,
               std::exp(s), std::exp(s) / sum);
  }
  fmt::print("{:>8}{:>26.2f}\n", "sum", sum);
}

struct Attended {
  std::vector<float> out = std::vector<float>(kT * kHeads * kSize);
  std::vector<float> lse = std::vector<float>(kHeads * kT);
};

Attended attend() {
  Attended a;
  std::vector<float> scratch(kT);
  ref::multihead_attention_forward(a.out.data(), a.lse.data(), kQkv.data(), scratch.data(), 1, kT,
                                   kHeads, kKeys, kSize, true);
  return a;
}

}  // namespace

// snippet: naive
void naive_heads(std::vector<float>& out, std::vector<float>& p, const std::vector<float>& qkv,
                 int T, int NH, int NKV, int HS) {
  const int row = (NH + 2 * NKV) * HS;
  const float scale = 1.0f / std::sqrt(static_cast<float>(HS));
  for (int h = 0; h < NH; ++h) {
    const ref::HeadOffsets at = ref::head_offsets(h, NH, NKV, HS);
    float* p_h = p.data() + h * T * T;
    for (int t = 0; t < T; ++t) {
      for (int u = 0; u < T; ++u) {
        p_h[t * T + u] = 0.0f;
        for (int d = 0; d < HS; ++d) {
          p_h[t * T + u] += scale * qkv[t * row + at.q + d] * qkv[u * row + at.k + d];
        }
      }
    }
    ref::causal_mask(p_h, 1, T);
    ref::softmax_forward(p_h, p_h, T, T);
    for (int t = 0; t < T; ++t) {
      for (int d = 0; d < HS; ++d) {
        float sum = 0.0f;
        for (int u = 0; u < T; ++u) sum += p_h[t * T + u] * qkv[u * row + at.v + d];
        out[t * NH * HS + h * HS + d] = sum;
      }
    }
  }
}
// end of snippet

void worked(const std::vector<Option>&) {
  fmt::print("{:>8}{:>10}{:>10}{:>10}{:>10}\n", "token", "query 0", "query 1", "key", "value");
  for (int t = 0; t < kT; ++t) {
    fmt::print("{:>8}", kTokens[t]);
    for (int piece = 0; piece < 4; ++piece) {
      const float* pair = kQkv.data() + t * kRow + piece * kSize;
      fmt::print("{:>10}", fmt::format("{:g}, {:g}", pair[0], pair[1]));
    }
    fmt::print("\n");
  }
  std::vector<float> out(kT * kHeads * kSize), p(kHeads * kT * kT);
  naive_heads(out, p, kQkv, kT, kHeads, kKeys, kSize);
  for (int h = 0; h < kHeads; ++h) {
    std::vector<float> scores = scores_of(h);
    ref::causal_mask(scores.data(), 1, kT);
    print_square(fmt::format("\nhead {}: scores, the future hidden", h), scores.data(), "{:>8.2f}");
    print_square("probabilities", p.data() + h * kT * kT, "{:>8.3f}");
  }
  print_last_row();
  const Attended a = attend();
  float furthest = 0;
  fmt::print("\n{:>8}{:>20}{:>20}\n", "out", "head 0", "head 1");
  for (int t = 0; t < kT; ++t) {
    fmt::print("{:>8}", kTokens[t]);
    for (int h = 0; h < kHeads; ++h) {
      const float* pair = a.out.data() + t * kHeads * kSize + h * kSize;
      fmt::print("{:>20}", fmt::format("{:.3f}, {:.3f}", pair[0], pair[1]));
    }
    fmt::print("\n");
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    furthest = std::max(furthest, std::abs(out[i] - a.out[i]));
  }
  fmt::print("the naive code and multihead_attention_forward agree: {}\n",
             furthest < 1e-6f ? "yes" : "no");
}

// One query of the worked example: the full stop's, of head 0.
void worked_backward(const std::vector<Option>&) {
  constexpr int t = 3, h = 0;
  const float dout[kSize] = {1.0f, -0.5f};
  const ref::HeadOffsets at = ref::head_offsets(h, kHeads, kKeys, kSize);
  const Attended a = attend();
  const float* out = a.out.data() + t * kHeads * kSize + h * kSize;
  const float delta = dout[0] * out[0] + dout[1] * out[1];
  fmt::print("query '{}' of head {}: lse {:.3f}, out {:.3f}, {:.3f}, dout {:g}, {:g}\n\n",
             kTokens[t], h, a.lse[h * kT + t], out[0], out[1], dout[0], dout[1]);
  fmt::print("{:>8}{:>10}{:>10}{:>10}{:>10}{:>10}\n", "key", "score", "p", "dp", "p dp", "ds");
  const std::vector<float> scores = scores_of(h);
  float sum_p = 0, sum_dp = 0, sum_ds = 0;
  for (int u = 0; u <= t; ++u) {
    const float* v = kQkv.data() + u * kRow + at.v;
    const float p = std::exp(scores[std::size_t(t * kT + u)] - a.lse[h * kT + t]);
    const float dp = dout[0] * v[0] + dout[1] * v[1], ds = p * (dp - delta);
    fmt::print("{:>8}{:>10.3f}{:>10.3f}{:>10.3f}{:>10.3f}{:>10.3f}\n", kTokens[u],
               scores[std::size_t(t * kT + u)], p, dp, p * dp, ds);
    sum_p += p, sum_dp += p * dp, sum_ds += ds;
  }
  fmt::print("{:>8}{:>10}{:>10.3f}{:>10}{:>10.3f}{:>10.3f}\n", "sum", "", sum_p, "", sum_dp,
             std::abs(sum_ds) < 1e-6f ? 0.0f : sum_ds);
  fmt::print("\ndelta = dout . out = {:.3f}\n", delta);
}

}  // namespace tinygpt::lessons
