// The oracle's own test: its gradients against central differences, and its forward passes, where
// an identity pins them down without repeating the equation.
#include "tests/ops/equations.h"

#include <cmath>
#include <cstdint>

#include "tests/support/catch.h"
#include "tests/support/random_values.h"

using namespace tinygpt::test;

namespace {

// In double: 1e-6 of the terms' size, far from any float's tolerance and from any mistake's size.
void check_gradients(const std::string& name, const Equation& equation,
                     const std::vector<Values>& in) {
  const Exact out = equation.forward(in);
  const Values dout = random_values(static_cast<std::int64_t>(out.value.size()), 77);
  const std::vector<Exact> gradients = equation.backward(in, dout);
  const std::vector<Values> numeric = numeric_gradients(equation.formula(), in, dout);
  REQUIRE(gradients.size() == in.size());
  for (std::size_t k = 0; k < in.size(); ++k) {
    for (std::size_t i = 0; i < in[k].size(); ++i) {
      INFO(name << ", input " << k << ", value " << i << ", seed " << test_seed());
      const double magnitude = gradients[k].magnitude[i];
      REQUIRE(std::abs(gradients[k].value[i]) <= magnitude * (1 + 1e-12));
      REQUIRE(std::abs(gradients[k].value[i] - numeric[k][i]) <= 1e-6 * magnitude + 1e-8);
    }
  }
}

}  // namespace

TEST_CASE("the oracle's gradients of linear layers and norms are those of its equations",
          "[oracle][backward]") {
  for (const auto& [N, C, OC] : {std::array{1, 1, 1}, {3, 5, 4}, {4, 2, 7}}) {
    check_gradients("linear", linear_equation(N, C, OC),
                    {random_values(N * C, 1), random_values(OC * C, 2), random_values(OC, 3)});
  }
  for (const auto& [N, C, OC, rank] : {std::array{1, 1, 1, 1}, {3, 5, 4, 2}, {4, 2, 7, 3}}) {
    check_gradients(
        "lora", lora_equation(N, C, OC, rank, 1.5),
        {random_values(N * C, 1), random_values(rank * C, 2), random_values(OC * rank, 3)});
  }
  for (const auto& [N, C] : {std::array{1, 1}, {2, 2}, {3, 7}}) {
    const Values x = random_values(N * C, 1, 2.0, 0.5), w = random_values(C, 2);
    const Values b = random_values(C, 3);
    check_gradients("layernorm", layernorm_equation(N, C, 0.03), {x, w, b});
    check_gradients("rmsnorm", rmsnorm_equation(N, C, 0.03), {x, w});
  }
}

TEST_CASE("the oracle's gradients of activations and softmax are those of its equations",
          "[oracle][backward]") {
  check_gradients("gelu", gelu_equation(), {random_values(40, 1, 2.0)});
  check_gradients("swiglu", swiglu_equation(3, 5), {random_values(30, 1, 2.0)});
  check_gradients("softmax", softmax_equation(4, 6), {random_values(24, 1, 2.0)});
  check_gradients("cross_entropy", cross_entropy_equation(6, {3, 0, -1, 5}),
                  {random_values(24, 1, 2.0)});
}

TEST_CASE("the oracle's gradients of attention are those of its equation", "[oracle][backward]") {
  const std::vector<AttentionSize> sizes = {
      {1, 1, 1, 1, 1, true}, {2, 5, 2, 2, 3, true}, {1, 6, 4, 2, 2, false}, {1, 7, 3, 1, 4, true}};
  for (const AttentionSize& size : sizes) {
    check_gradients("attention", attention_equation(size), {random_values(size.qkv(), 1)});
  }
}

TEST_CASE("the oracle's attention is an average of the values it may see", "[oracle][forward]") {
  const AttentionSize size{1, 4, 1, 1, 2, true};
  Values qkv = random_values(size.qkv(), 1);
  for (std::size_t t = 0; t < 4; ++t) qkv[t * 6 + 2] = qkv[t * 6 + 3] = 0;  // all keys alike
  const Values out = attention_equation(size).forward({qkv}).value;
  double sum = 0;
  for (std::size_t t = 0; t < 4; ++t) {
    sum += qkv[t * 6 + 4];
    CHECK(out[t * 2] == Approx(sum / (t + 1.0)));
  }
}
