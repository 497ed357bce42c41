#include "tests/ops/bfloat16.h"

#include <cstdint>

#include "solutions/table.cuh"
#include "tinygpt/core/bfloat16.h"
#include "tinygpt/core/random.h"
#include "tinygpt/cuda/table.cuh"
#include "tinygpt/simt/cuda.h"

namespace tinygpt::test_cuda {
namespace {

using Floats = std::vector<float>;

float from_host(float x) { return x; }
float from_host(Bfloat16 x) { return x; }
void to_host(float& to, float x) { to = x; }
void to_host(Bfloat16& to, float x) { to = Bfloat16(x); }

// Values that bf16 holds exactly.
Floats random_floats(std::int64_t n, std::uint64_t seed, float scale = 1.0f) {
  Random random{seed};
  Floats values(static_cast<std::size_t>(n));
  for (float& value : values) {
    value = Bfloat16(scale * static_cast<float>(random.normal()));
  }
  return values;
}

// Buffers of the device, as long as one operator needs them.
class Buffers {
 public:
  explicit Buffers(const Memory& memory) : memory_(memory) {}
  ~Buffers() {
    for (void* data : all_) memory_.release(data);
  }

  template <class T>
  T* put(const Floats& values) {
    std::vector<T> converted(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) to_host(converted[i], values[i]);
    return static_cast<T*>(copy(converted.data(), converted.size() * sizeof(T)));
  }
  const int* tokens(const std::vector<int>& values) {
    return static_cast<const int*>(copy(values.data(), values.size() * sizeof(int)));
  }
  template <class T>
  Floats get(const T* data, std::int64_t n) const {
    std::vector<T> values(static_cast<std::size_t>(n));
    memory_.copy_out(values.data(), data, values.size() * sizeof(T));
    Floats floats;
    for (const T& value : values) floats.push_back(from_host(value));
    return floats;
  }

 private:
  void* copy(const void* data, std::size_t bytes) {
    all_.push_back(memory_.allocate(bytes));
    memory_.copy_in(all_.back(), data, bytes);
    return all_.back();
  }
  Memory memory_;
  std::vector<void*> all_;
};

struct Result {
  std::string what;
  Floats values;
};
using Results = std::vector<Result>;

constexpr int N = 13, C = 37, OC = 41, V = 67;
constexpr std::int64_t kCount = std::int64_t{N} * C;

template <class Real>
void linear(Results& r, const Ops<Real>& ops, const Memory& memory, int rows, int inputs,
            int outputs) {
  Buffers b(memory);
  const std::int64_t in = std::int64_t{rows} * inputs, out_size = std::int64_t{rows} * outputs;
  const std::int64_t weights = std::int64_t{outputs} * inputs;
  const Real *x = b.put<Real>(random_floats(in, 1)), *w = b.put<Real>(random_floats(weights, 2));
  const Real *bias = b.put<Real>(random_floats(outputs, 3)),
             *d = b.put<Real>(random_floats(out_size, 4));
  Real *out = b.put<Real>(random_floats(out_size, 8)), *dx = b.put<Real>(random_floats(in, 5));
  float *dw = b.put<float>(random_floats(weights, 6)),
        *db = b.put<float>(random_floats(outputs, 7));
  const auto scratch_size =
      static_cast<std::size_t>(ops.linear_scratch_size(rows, inputs, outputs));
  float* scratch = b.put<float>(Floats(scratch_size + 1));
  ops.linear_forward(out, x, w, bias, scratch, rows, inputs, outputs);
  ops.linear_backward(dx, dw, db, d, x, w, scratch, rows, inputs, outputs);
  const auto name = [&](std::string what) {  // appended to: GCC 12 warns of text + std::string
    for (const int size : {rows, inputs, outputs}) what.append(" ").append(std::to_string(size));
    return what;
  };
  r.push_back({name("linear_forward"), b.get(out, out_size)});
  r.push_back({name("linear_backward, dx"), b.get(dx, in)});
  r.push_back({name("linear_backward, dweight"), b.get(dw, weights)});
  r.push_back({name("linear_backward, dbias"), b.get(db, outputs)});
}

template <class Real>
void lora(Results& r, const Ops<Real>& ops, const Memory& memory) {
  constexpr int kRank = 6;
  Buffers buffers(memory);
  const auto real = [&](std::int64_t n, std::uint64_t seed) {
    return buffers.put<Real>(random_floats(n, seed));
  };
  const auto floats = [&](std::int64_t n) { return buffers.put<float>(random_floats(n, 9)); };
  const Real *x = real(kCount, 1), *a = real(kRank * C, 2), *b = real(OC * kRank, 3);
  const Real *d = real(N * OC, 4), *w = real(OC * C, 5), *bias = real(OC, 6);
  Real *out = real(N * OC, 7), *dx = real(kCount, 8), *merged = real(OC * C, 5);
  float *ax = floats(N * kRank), *da = floats(kRank * C), *db = floats(OC * kRank);
  float* scratch = floats(ops.lora_scratch_size(N, C, OC, kRank));
  ops.lora_forward(out, ax, x, a, b, scratch, N, C, OC, OC, kRank, 0.5f);
  ops.lora_backward(dx, da, db, d, ax, x, a, b, scratch, N, C, OC, OC, kRank, 0.5f);
  ops.lora_merge(merged, a, b, C, OC, kRank, 0.5f);
  r.push_back({"lora_forward", buffers.get(out, N * OC)});
  r.push_back({"lora_backward, dx", buffers.get(dx, kCount)});
  r.push_back({"lora_backward, da", buffers.get(da, kRank * C)});
  r.push_back({"lora_backward, db", buffers.get(db, OC * kRank)});
  r.push_back({"lora_merge", buffers.get(merged, OC * C)});
  if (ops.linear_lora_forward == nullptr) return;
  Real* fused = buffers.template put<Real>(Floats(N * OC));
  ops.linear_lora_forward(fused, ax, x, w, bias, a, b, scratch, N, C, OC, kRank, 0.5f);
  r.push_back({"linear_lora_forward", buffers.get(fused, N * OC)});
}

template <class Real>
void norms(Results& r, const Ops<Real>& ops, const Memory& memory, int width) {
  const std::int64_t count = std::int64_t{N} * width;
  Buffers b(memory);
  const Real *x = b.put<Real>(random_floats(count, 1)), *w = b.put<Real>(random_floats(width, 2));
  const Real *bias = b.put<Real>(random_floats(width, 3)),
             *d = b.put<Real>(random_floats(count, 4));
  Real *out = b.put<Real>(Floats(count)), *dx = b.put<Real>(random_floats(count, 5));
  float *mean = b.put<float>(Floats(N)), *rstd = b.put<float>(Floats(N));
  float *dw = b.put<float>(Floats(width)), *db = b.put<float>(Floats(width));
  float* scratch = b.put<float>(
      Floats(ops.layernorm_scratch_size(N, width) + ops.rmsnorm_scratch_size(N, width)));
  ops.layernorm_forward(out, mean, rstd, x, w, bias, N, width, 1e-5f);
  r.push_back({"layernorm_forward", b.get(out, count)});
  r.push_back({"layernorm_forward, rstd", b.get(rstd, N)});
  ops.layernorm_backward(dx, dw, db, d, x, w, mean, rstd, scratch, N, width);
  r.push_back({"layernorm_backward, dx", b.get(dx, count)});
  r.push_back({"layernorm_backward, dweight", b.get(dw, width)});
  Real* dx_rms = b.put<Real>(random_floats(count, 6));
  ops.rmsnorm_forward(out, rstd, x, w, N, width, 1e-5f);
  ops.rmsnorm_backward(dx_rms, dw, d, x, w, rstd, scratch, N, width);
  r.push_back({"rmsnorm_forward", b.get(out, count)});
  r.push_back({"rmsnorm_backward, dx", b.get(dx_rms, count)});
  if (ops.residual_layernorm_forward == nullptr) return;
  Real* sum = b.put<Real>(Floats(count));  // of x and x: bf16 holds it exactly
  ops.residual_layernorm_forward(out, sum, mean, rstd, x, x, w, bias, N, width, 1e-5f);
  r.push_back({"residual_layernorm_forward", b.get(out, count)});
  ops.residual_rmsnorm_forward(out, sum, rstd, x, x, w, N, width, 1e-5f);
  r.push_back({"residual_rmsnorm_forward", b.get(out, count)});
  r.push_back({"residual_rmsnorm_forward, sum", b.get(sum, count)});
}

template <class Real>
void attention(Results& r, const Ops<Real>& ops, const Memory& memory, int T, int HS, bool causal) {
  constexpr int B = 2, NH = 4, NKV = 2;
  const std::int64_t qkv_size = B * T * (NH + 2 * NKV) * HS, out_size = B * T * NH * HS;
  Buffers b(memory);
  const Real *qkv = b.put<Real>(random_floats(qkv_size, 1)),
             *d = b.put<Real>(random_floats(out_size, 2));
  Real *out = b.put<Real>(Floats(out_size)), *dqkv = b.put<Real>(random_floats(qkv_size, 3));
  float *lse = b.put<float>(Floats(B * NH * T)), *scratch = b.put<float>(Floats(B * NH * T));
  ops.attention_forward(out, lse, qkv, scratch, B, T, NH, NKV, HS, causal);
  r.push_back({"attention_forward", b.get(out, out_size)});
  r.push_back({"attention_forward, lse", b.get(lse, B * NH * T)});
  // The same output for both types, or the comparison would be of that.
  const Real* same = b.put<Real>(random_floats(out_size, 4));
  ops.attention_backward(dqkv, d, same, lse, qkv, scratch, B, T, NH, NKV, HS, causal);
  r.push_back({"attention_backward", b.get(dqkv, qkv_size)});
}

template <class Real>
void rope(Results& r, const Ops<Real>& ops, const Memory& memory) {
  constexpr int B = 2, T = 11;
  Buffers b(memory);
  float *cosine = b.put<float>(Floats(T * 4)), *sine = b.put<float>(Floats(T * 4));
  Real* turned = b.put<Real>(random_floats(B * T * 24, 5));
  ops.rope_table(cosine, sine, T, 8, 10000.0f);
  ops.rope_forward(turned, cosine, sine, B, T, 2, 8, 24, 0);
  r.push_back({"rope_forward", b.get(turned, B * T * 24)});
}

template <class Real>
void elementwise(Results& r, const Ops<Real>& ops, const Memory& memory) {
  Buffers b(memory);
  const Real *x = b.put<Real>(random_floats(2 * kCount, 1)),
             *d = b.put<Real>(random_floats(kCount, 2));
  const auto out = [&](const char* what, auto&& work) {
    Real* data = b.put<Real>(random_floats(2 * kCount, 3));
    work(data);
    r.push_back({what, b.get(data, 2 * kCount)});
  };
  out("gelu_forward", [&](Real* y) { ops.gelu_forward(y, x, kCount); });
  out("gelu_backward", [&](Real* y) { ops.gelu_backward(y, d, x, kCount); });
  out("swiglu_forward", [&](Real* y) { ops.swiglu_forward(y, x, N, C); });
  out("swiglu_backward", [&](Real* y) { ops.swiglu_backward(y, d, x, N, C); });
  out("dropout_forward", [&](Real* y) { ops.dropout_forward(y, x, kCount, 0.3f, 1, 2); });
  out("dropout_backward", [&](Real* y) { ops.dropout_backward(y, d, kCount, 0.3f, 1, 2); });
  out("residual_forward", [&](Real* y) { ops.residual_forward(y, x, d, kCount); });
  out("residual_backward", [&](Real* y) { ops.residual_backward(y, y + kCount, d, kCount); });
  out("sinusoidal_positions", [&](Real* y) { ops.sinusoidal_positions(y, N, C, 1e4f); });
  out("learned_positions_forward",
      [&](Real* y) { ops.learned_positions_forward(y, x, x, 1, N, C, 1); });
  out("softmax_forward", [&](Real* y) { ops.softmax_forward(y, x, N, C); });
  out("softmax_backward", [&](Real* y) { ops.softmax_backward(y, d, x, N, C); });
}

template <class Real>
void tables(Results& r, const Ops<Real>& ops, const Memory& memory) {
  Buffers b(memory);
  const int* tokens = b.tokens({5, 0, 66, 5, 5, 12, 1, 0, -1, 3, 4, 9, 11});
  const Real* logits = b.put<Real>(random_floats(N * V, 1, 3.0f));
  const Real *weight = b.put<Real>(random_floats(V * C, 2)),
             *d = b.put<Real>(random_floats(kCount, 3));
  Real *out = b.put<Real>(Floats(kCount)), *dlogits = b.put<Real>(random_floats(N * V, 4));
  float *losses = b.put<float>(Floats(N)), *lse = b.put<float>(Floats(N));
  float* dweight = b.put<float>(random_floats(V * C, 5));
  ops.embedding_forward(out, tokens, weight, 8, C, V);
  ops.embedding_backward(dweight, d, tokens, 8, C, V);
  ops.cross_entropy_forward(losses, lse, logits, tokens, N, V);
  ops.softmax_cross_entropy_backward(dlogits, logits, lse, tokens, N, V, 0.5f);
  r.push_back({"embedding_forward", b.get(out, kCount)});
  r.push_back({"embedding_backward", b.get(dweight, V * C)});
  r.push_back({"cross_entropy_forward", b.get(losses, N)});
  r.push_back({"softmax_cross_entropy_backward", b.get(dlogits, N * V)});
}

// Many steps, each smaller than what bf16 can add: the master copy must hold what they add up to.
template <class Real>
void optimizer(Results& r, const Ops<Real>& ops, const Memory& memory) {
  Buffers b(memory);
  const Floats start(kCount, 1.0f);
  Real* param = b.put<Real>(start);
  float *master = b.put<float>(start), *m = b.put<float>(Floats(kCount));
  float *v = b.put<float>(Floats(kCount)), *grad = b.put<float>(random_floats(kCount, 1));
  AdamwSettings s;
  for (s.step = 1; s.step <= 40; ++s.step) ops.adamw_step(param, master, m, v, grad, kCount, s);
  r.push_back({"adamw_step", b.get(param, kCount)});
  r.push_back({"adamw_step, master", b.get(master, kCount)});
}

template <class Real>
Results all(const Memory& memory, bool fast) {
  const Ops<Real> ops = fast ? cuda::ops_of<Real>() : ref_cuda::ops_of<Real>();
  Results r;
  linear(r, ops, memory, N, C, OC);
  linear(r, ops, memory, 1, 1, 1);
  linear(r, ops, memory, 72, 40, 136);  // rows of whole 16 bytes, and a tile and its tail
  linear(r, ops, memory, 24, 520, 16);  // deep enough for the fast table to split the sum
  lora(r, ops, memory);
  norms(r, ops, memory, 37);
  norms(r, ops, memory, 48);                // rows of whole 16 bytes
  attention(r, ops, memory, 11, 9, true);   // rows that are not whole 16 bytes
  attention(r, ops, memory, 70, 16, true);  // a tile and its tail
  // Tiles above the diagonal. The reference has none, and is slow to watch.
  attention(r, ops, memory, fast ? 130 : 13, 64, true);
  attention(r, ops, memory, 33, 96, false);
  rope(r, ops, memory);
  elementwise(r, ops, memory);
  tables(r, ops, memory);
  optimizer(r, ops, memory);
  return r;
}

}  // namespace

std::vector<Outcome> bf16_beside_float(const Memory& memory, bool fast) {
  const Results in_float = all<float>(memory, fast), in_bf16 = all<Bfloat16>(memory, fast);
  std::vector<Outcome> outcomes;
  for (std::size_t i = 0; i < in_float.size(); ++i) {
    outcomes.push_back({in_float[i].what, in_float[i].values, in_bf16[i].values});
  }
  return outcomes;
}

}  // namespace tinygpt::test_cuda
