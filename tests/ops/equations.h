// The operators' equations in double precision: what every implementation is compared with.
//
// Written for the eye, with Eigen, after the papers and not after the kernels. Gradients are
// written out, too, since large shapes cannot wait for central differences; a test of their own
// compares them with central differences on small ones.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "tests/support/compare.h"
#include "tests/support/gradients.h"

namespace tinygpt::test {

// Values, and for each of them the sum of the magnitudes of the terms that made it (compare.h).
struct Exact {
  Values value, magnitude;
};

struct Equation {
  std::function<Exact(const std::vector<Values>& in)> forward;
  // The gradient of sum_i dout[i] * forward(in)[i] for each input.
  std::function<std::vector<Exact>(const std::vector<Values>& in, const Values& dout)> backward;

  Formula formula() const {
    return [*this](const std::vector<Values>& in) { return forward(in).value; };
  }
};

Equation linear_equation(int N, int C, int OC);                        // x, weight, bias
Equation lora_equation(int N, int C, int OC, int rank, double scale);  // x, a, b
Equation layernorm_equation(int N, int C, double eps);                 // x, weight, bias
Equation rmsnorm_equation(int N, int C, double eps);                   // x, weight
Equation gelu_equation();                                              // x
Equation swiglu_equation(int N, int H);                                // x
Equation softmax_equation(int N, int V);                               // x
Equation cross_entropy_equation(int V, std::vector<int> targets);      // logits; below 0: ignored

// What layernorm (or, without a mean, rmsnorm) saves: the mean and 1 / deviation of each row.
struct Statistics {
  Values mean, rstd;
};
Statistics row_statistics(const Values& x, int N, int C, double eps, bool with_mean);

// log sum_v exp(x[n, v]) for each row.
Exact log_sum_exp(const Values& x, int N, int V);

struct AttentionSize {
  int B, T, NH, NKV, HS;
  bool causal;

  std::int64_t qkv() const { return std::int64_t{B} * T * (NH + 2 * NKV) * HS; }
  std::int64_t out() const { return std::int64_t{B} * T * NH * HS; }
  std::int64_t lse() const { return std::int64_t{B} * NH * T; }
  Shape qkv_shape() const {
    return {{"b", B}, {"t", T}, {"q, k or v head", NH + 2 * NKV}, {"d", HS}};
  }
  Shape out_shape() const { return {{"b", B}, {"t", T}, {"h", NH}, {"d", HS}}; }
  Shape lse_shape() const { return {{"b", B}, {"h", NH}, {"t", T}}; }
};
Equation attention_equation(const AttentionSize& size);  // qkv
Exact attention_lse(const AttentionSize& size, const Values& qkv);

}  // namespace tinygpt::test
