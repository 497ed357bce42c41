// Every operator on shapes that are large enough to be shared out: the same bits from run to run
// and for any number of threads. Resuming a training run exactly, on another machine too, rests on
// this.
#include <omp.h>

#include <cstdint>
#include <functional>

#include "solutions/21-quantization/quantize.h"
#include "tests/ops/equations.h"
#include "tests/support/catch.h"
#include "tests/support/random_values.h"
#include "tests/support/sandbox.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

constexpr int N = 301, C = 193, OC = 385, V = 97;
constexpr std::int64_t kCount = std::int64_t{N} * C;
constexpr float kEps = 1e-5f;

Values joined(const Sandbox& s, std::initializer_list<const float*> buffers) {
  Values all;
  for (const float* buffer : buffers) {
    const Values values = s.values(buffer);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

Values linear_of_width(const Ops<float>& ops, Sandbox& s, int width) {
  const auto size = std::int64_t{N} * width;
  const float *x = s.input(random_values(size, 1)), *w = s.input(random_values(OC * width, 2));
  const float *b = s.input(random_values(OC, 3)), *d = s.input(random_values(N * OC, 4));
  float *out = s.output(N * OC), *dx = s.accumulator(size), *dw = s.accumulator(OC * width);
  float *db = s.accumulator(OC), *scratch = s.scratch(ops.linear_scratch_size(N, width, OC));
  ops.linear_forward(out, x, w, b, scratch, N, width, OC);
  ops.linear_backward(dx, dw, db, d, x, w, scratch, N, width, OC);
  return joined(s, {out, dx, dw, db});
}

// Ragged panels, whole ones and whole ones of far rows: fast products pack each in another way.
Values linear(const Ops<float>& ops, Sandbox& s) {
  Values all = linear_of_width(ops, s, C);
  for (const int width : {192, 1056}) {
    const Values more = linear_of_width(ops, s, width);
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

Values lora(const Ops<float>& ops, Sandbox& s) {
  constexpr int kRank = 5;
  const float *x = s.input(random_values(kCount, 1)), *a = s.input(random_values(kRank * C, 2));
  const float *b = s.input(random_values(OC * kRank, 3)), *d = s.input(random_values(N * OC, 4));
  float *out = s.accumulator(N * OC), *ax = s.output(N * kRank), *dx = s.accumulator(kCount);
  float *da = s.accumulator(kRank * C), *db = s.accumulator(OC * kRank);
  float *w = s.accumulator(OC * C), *scratch = s.scratch(ops.lora_scratch_size(N, C, OC, kRank));
  ops.lora_forward(out, ax, x, a, b, scratch, N, C, OC, OC, kRank, 2.0f);
  ops.lora_backward(dx, da, db, d, ax, x, a, b, scratch, N, C, OC, OC, kRank, 2.0f);
  ops.lora_merge(w, a, b, C, OC, kRank, 2.0f);
  return joined(s, {out, ax, dx, da, db, w});
}

Values norms(const Ops<float>& ops, Sandbox& s) {
  const float *x = s.input(random_values(kCount, 1)), *w = s.input(random_values(C, 2));
  const float *b = s.input(random_values(C, 3)), *d = s.input(random_values(kCount, 4));
  float *out = s.output(kCount), *mean = s.output(N), *rstd = s.output(N), *rms = s.output(N);
  float *dx = s.accumulator(kCount), *dw = s.accumulator(C), *db = s.accumulator(C);
  float* scratch = s.scratch(ops.layernorm_scratch_size(N, C) + ops.rmsnorm_scratch_size(N, C));
  ops.layernorm_forward(out, mean, rstd, x, w, b, N, C, kEps);
  ops.layernorm_backward(dx, dw, db, d, x, w, mean, rstd, scratch, N, C);
  ops.rmsnorm_forward(out, rms, out, w, N, C, kEps);
  ops.rmsnorm_backward(dx, dw, d, x, w, rms, scratch, N, C);
  return joined(s, {out, mean, rstd, rms, dx, dw, db});
}

Values attention(const Ops<float>& ops, Sandbox& s) {
  const AttentionSize size{2, 150, 6, 3, 32, true};
  const auto& [B, T, NH, NKV, HS, causal] = size;
  const float *qkv = s.input(random_values(size.qkv(), 1)),
              *d = s.input(random_values(size.out(), 2));
  float *out = s.output(size.out()), *lse = s.output(size.lse()), *dqkv = s.accumulator(size.qkv());
  float* scratch = s.scratch(ops.attention_scratch_size(B, T, NH, NKV, HS));
  ops.attention_forward(out, lse, qkv, scratch, B, T, NH, NKV, HS, causal);
  ops.attention_backward(dqkv, d, out, lse, qkv, scratch, B, T, NH, NKV, HS, causal);
  return joined(s, {out, lse, dqkv});
}

Values classifier(const Ops<float>& ops, Sandbox& s) {
  const float *x = s.input(random_values(kCount, 1)), *d = s.input(random_values(kCount, 2));
  const int* targets = s.input(random_tokens(N, C, 3));
  float *out = s.output(kCount), *losses = s.output(N), *lse = s.output(N);
  float *dx = s.accumulator(kCount), *dlogits = s.accumulator(kCount);
  ops.softmax_forward(out, x, N, C);
  ops.softmax_backward(dx, d, out, N, C);
  ops.cross_entropy_forward(losses, lse, x, targets, N, C);
  ops.softmax_cross_entropy_backward(dlogits, x, lse, targets, N, C, 0.01f);
  return joined(s, {out, losses, lse, dx, dlogits});
}

Values embeddings(const Ops<float>& ops, Sandbox& s) {
  constexpr int B = 7, T = N / B;
  const float *weight = s.input(random_values(V * C, 1)), *d = s.input(random_values(kCount, 2));
  const int* tokens = s.input(random_tokens(N, V, 3));
  float *out = s.output(kCount), *dweight = s.accumulator(V * C), *places = s.accumulator(T * C);
  ops.embedding_forward(out, tokens, weight, N, C, V);
  ops.embedding_backward(dweight, d, tokens, N, C, V);
  ops.learned_positions_forward(out, out, places, B, T, C, 0);
  ops.learned_positions_backward(places, d, B, T, C, 0);
  return joined(s, {out, dweight, places});
}

Values elementwise(const Ops<float>& ops, Sandbox& s) {
  const float *x = s.input(random_values(2 * kCount, 1)), *d = s.input(random_values(kCount, 2));
  float *gelu = s.output(kCount), *swiglu = s.output(kCount), *drop = s.output(kCount);
  float *dx = s.accumulator(2 * kCount), *da = s.accumulator(kCount);
  ops.gelu_forward(gelu, x, kCount);
  ops.gelu_backward(da, d, x, kCount);
  ops.swiglu_forward(swiglu, x, N, C);
  ops.swiglu_backward(dx, d, x, N, C);
  ops.dropout_forward(drop, x, kCount, 0.2f, 5, 6);
  ops.dropout_backward(da, d, kCount, 0.2f, 5, 6);
  ops.residual_forward(drop, drop, x, kCount);
  ops.residual_backward(da, gelu, d, kCount);
  return joined(s, {gelu, swiglu, drop, dx, da});
}

Values optimizer(const Ops<float>& ops, Sandbox& s) {
  constexpr std::int64_t kMany = 200'003;
  float *param = s.accumulator(kMany, 1), *grad = s.accumulator(kMany, 2), *norm = s.output(1);
  const Values zeros(kMany, 0.0);
  float *m = s.accumulator(zeros), *v = s.accumulator(zeros);
  float* scratch = s.scratch(ops.gradient_norm_scratch_size(kMany));
  ops.gradient_norm(norm, grad, scratch, kMany);
  ops.clip_gradients(grad, norm, kMany, 1.0f);
  ops.adamw_step(param, nullptr, m, v, grad, kMany, {});
  return joined(s, {norm, grad, param, m, v});
}

Values fused(const Ops<float>& ops, Sandbox& s) {
  if (ops.linear_gelu_forward == nullptr || ops.residual_layernorm_forward == nullptr) return {};
  const float *x = s.input(random_values(kCount, 1)), *w = s.input(random_values(OC * C, 2));
  const float *b = s.input(random_values(OC, 3)), *y = s.input(random_values(kCount, 4));
  float *out = s.output(N * OC), *pre = s.output(N * OC), *norm = s.output(kCount);
  float *sum = s.output(kCount), *mean = s.output(N), *rstd = s.output(N);
  float* scratch = s.scratch(ops.linear_scratch_size(N, C, OC));
  ops.linear_gelu_forward(out, pre, x, w, b, scratch, N, C, OC);
  ops.residual_layernorm_forward(norm, sum, mean, rstd, x, y, w, b, N, C, kEps);
  if (ops.linear_backward_write == nullptr) return joined(s, {out, pre, norm, sum, mean, rstd});
  float *dx = s.output(kCount), *dw = s.output(OC * C), *db = s.output(OC);
  ops.linear_backward_write(dx, dw, db, out, x, y, w, scratch, N, C, OC, false);
  return joined(s, {out, pre, norm, sum, mean, rstd, dx, dw, db});
}

// A tile and a few rows more for each thread; x of one row, and of more than are worked on
// together.
Values quantized(const Ops<float>& ops, Sandbox& s) {
  constexpr int kCols = 96, kRows = 1100;
  const Values weights = random_values(kRows * kCols, 1);
  const std::vector<float> w(weights.begin(), weights.end());
  std::vector<BlockQ8_0> blocks(w.size() / kQuantBlock);
  ref::quantize_q8_0(blocks.data(), w.data(), kRows * kCols);
  const std::int64_t bytes = ops.quantized_packed_size(QuantType::q8_0, kRows, kCols);
  float* packed = s.scratch(bytes / 4 + 17);
  ops.quantized_pack(packed, blocks.data(), QuantType::q8_0, kRows, kCols);
  const QuantizedMatrix weight{QuantType::q8_0, kRows, kCols, packed};
  const float *x = s.input(random_values(N * kCols, 2)), *b = s.input(random_values(kRows, 3));
  float *one = s.output(kRows), *all = s.output(N * kRows);
  float* scratch = s.scratch(ops.quantized_scratch_size(N, kRows, kCols));
  ops.quantized_linear_forward(one, x, weight, b, scratch, 1);
  ops.quantized_linear_forward(all, x, weight, b, scratch, N);
  return joined(s, {one, all});
}

using Work = Values (*)(const Ops<float>& ops, Sandbox& s);

// The scratch is asked for under the same number of threads as the work is done with.
Values run(const Implementation& i, const std::string& name, Work work, int threads) {
  omp_set_num_threads(threads);
  Sandbox s(i, name);
  return work(i.ops, s);
}

}  // namespace

TEST_CASE("every operator gives the same bits in every run and for any number of threads",
          "[threads]") {
  const int usual = omp_get_max_threads();
  for (const Implementation& i : implementations()) {
    for (const auto& [name, work] : std::initializer_list<std::pair<const char*, Work>>{
             {"linear", linear},
             {"lora", lora},
             {"norms", norms},
             {"attention", attention},
             {"softmax and cross-entropy", classifier},
             {"embeddings", embeddings},
             {"elementwise operators", elementwise},
             {"optimizer", optimizer},
             {"fused operators", fused},
             {"quantized linear layer", quantized}}) {
      const Values first = run(i, name, work, 2);
      // Blocks of an emulated GPU run on several threads, too, but slowly: one other number is
      // enough.
      const bool slow = i.device == Device::emulated;
      for (const int threads : slow ? std::vector{3} : std::vector{2, 1, 3, 5}) {
        INFO(name << " of " << i.name << " on " << threads << " threads, seed " << test_seed());
        CHECK(run(i, name, work, threads) == first);
      }
    }
  }
  for (const Implementation& i : bf16_product_implementations()) {
    for (const auto& [name, work] : std::initializer_list<std::pair<const char*, Work>>{
             {"linear", linear}, {"fused operators", fused}}) {
      const Values first = run(i, name, work, 2);
      for (const int threads : {2, 1, 3, 5}) {
        INFO(name << " of " << i.name << " on " << threads << " threads, seed " << test_seed());
        CHECK(run(i, name, work, threads) == first);
      }
    }
  }
  omp_set_num_threads(usual);
}
