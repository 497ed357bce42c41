// Operators that treat each value by itself: residual, GELU, SwiGLU. They are bound by memory from
// the moment that a tensor leaves the cache; what counts is one pass and wide loads.
#include "tinygpt/cpu/kernels.h"

#include <cstdint>

#include "tinygpt/cpu/parallel.h"
#include "tinygpt/cpu/vecmath.h"

namespace tinygpt::cpu {

void residual_forward(float* out, const float* a, const float* b, std::int64_t n) {
  parallel_ranges(n, 16, 1, [=](std::int64_t begin, std::int64_t end) {
    each_vector(begin, end, [=](auto io, std::int64_t i) {
      io.store(out + i, io.load(a + i) + io.load(b + i));
    });
  });
}

// out = a + b: both gradients are dout.
void residual_backward(float* da, float* db, const float* dout, std::int64_t n) {
  parallel_ranges(n, 16, 1, [=](std::int64_t begin, std::int64_t end) {
    each_vector(begin, end, [=](auto io, std::int64_t i) {
      const Vec d = io.load(dout + i);
      if (da != dout) io.store(da + i, io.load(da + i) + d);
      io.store(db + i, io.load(db + i) + d);
    });
  });
}

void gelu_forward(float* out, const float* x, std::int64_t n) {
  parallel_ranges(n, 16, 4, [=](std::int64_t begin, std::int64_t end) {
    gelu_forward_range(out + begin, x + begin, end - begin);
  });
}

void gelu_backward(float* dx, const float* dout, const float* x, std::int64_t n) {
  parallel_ranges(n, 16, 4, [=](std::int64_t begin, std::int64_t end) {
    each_vector(begin, end, [=](auto io, std::int64_t i) {
      const Vec slope = gelu_derivative(io.load(x + i));
      io.store(dx + i, io.load(dx + i) + io.load(dout + i) * slope);
    });
  });
}

void swiglu_forward(float* out, const float* x, int N, int H) {
  parallel_ranges(N, 1, std::int64_t{H} * 4, [=](std::int64_t n, std::int64_t end) {
    for (; n < end; ++n) {
      const float* gate = x + n * 2 * H;
      const float* up = gate + H;
      each_vector(0, H, [=](auto io, std::int64_t h) {
        const Vec z = io.load(gate + h);
        io.store(out + n * H + h, z / (1.0f + exp(-z)) * io.load(up + h));
      });
    }
  });
}

// out = silu(gate) * up, silu(z) = z s(z), silu'(z) = s + z s (1 - s).
void swiglu_backward(float* dx, const float* dout, const float* x, int N, int H) {
  parallel_ranges(N, 1, std::int64_t{H} * 5, [=](std::int64_t n, std::int64_t end) {
    for (; n < end; ++n) {
      const float* gate = x + n * 2 * H;
      float* dgate = dx + n * 2 * H;
      each_vector(0, H, [=](auto io, std::int64_t h) {
        const Vec z = io.load(gate + h), up = io.load(gate + H + h);
        const Vec d = io.load(dout + n * H + h);
        const Sigmoid s = sigmoid(z);
        io.store(dgate + h, io.load(dgate + h) + d * up * (s.value * (1.0f + z * s.rest)));
        io.store(dgate + H + h, io.load(dgate + H + h) + d * (z * s.value));
      });
    }
  });
}

}  // namespace tinygpt::cpu
