// Token embedding, learned and rotary positions.
#include <cstdint>
#include <cstring>

#include "tinygpt/core/error.h"
#include "tinygpt/cpu/kernels.h"
#include "tinygpt/cpu/loops.h"
#include "tinygpt/cpu/parallel.h"

namespace tinygpt::cpu {
namespace {

// One head's row of RoPE: pairs (i, i + h2) turned by the angles of its position. A Direction of -1
// turns back.
template <int Direction>
void turn(float* x, const float* cosine, const float* sine, std::int64_t h2) {
  each_vector(0, h2, [=](auto io, std::int64_t i) {
    const Vec x0 = io.load(x + i), x1 = io.load(x + h2 + i);
    const Vec c = io.load(cosine + i), s = io.load(sine + i) * float{Direction};
    io.store(x + i, x0 * c - x1 * s);
    io.store(x + h2 + i, x0 * s + x1 * c);
  });
}

template <int Direction>
void turn_all(float* x, const float* cosine, const float* sine, int B, int T, int heads, int HS,
              int stride, int start) {
  check(HS % 2 == 0, "rope: the head size must be even, since values are turned in pairs");
  const std::int64_t h2 = HS / 2;
  parallel_ranges(std::int64_t{B} * T, 1, std::int64_t{heads} * HS,
                  [=](std::int64_t row, std::int64_t end) {
                    for (; row < end; ++row) {
                      const std::int64_t at = (start + row % T) * h2;
                      for (std::int64_t h = 0; h < heads; ++h) {
                        turn<Direction>(x + row * stride + h * HS, cosine + at, sine + at, h2);
                      }
                    }
                  });
}

}  // namespace

void embedding_forward(float* out, const int* tokens, const float* weight, int N, int C,
                       int /*V*/) {
  parallel_ranges(N, 1, C, [=](std::int64_t n, std::int64_t end) {
    for (; n < end; ++n) {
      std::memcpy(out + n * C, weight + std::int64_t{tokens[n]} * C,
                  static_cast<std::size_t>(C) * sizeof(float));
    }
  });
}

// Threads share the columns, not the tokens: each adds its columns of every token in order, so two
// occurrences of a token never meet and the sum has one order.
void embedding_backward(float* dweight, const float* dout, const int* tokens, int N, int C,
                        int /*V*/) {
  parallel_ranges(C, 16, N, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = 0; n < N; ++n) {
      float* row = dweight + std::int64_t{tokens[n]} * C;
      each_vector(begin, end, [=](auto io, std::int64_t c) {
        io.store(row + c, io.load(row + c) + io.load(dout + n * C + c));
      });
    }
  });
}

void learned_positions_forward(float* out, const float* x, const float* weight, int B, int T, int C,
                               int start) {
  parallel_ranges(std::int64_t{B} * T, 1, C, [=](std::int64_t row, std::int64_t end) {
    for (; row < end; ++row) {
      const float* place = weight + (start + row % T) * C;
      each_vector(0, C, [=](auto io, std::int64_t c) {
        io.store(out + row * C + c, io.load(x + row * C + c) + io.load(place + c));
      });
    }
  });
}

// out[b, t] = x[b, t] + weight[start + t]: each place gathers from the batch, in its order.
void learned_positions_backward(float* dweight, const float* dout, int B, int T, int C, int start) {
  parallel_ranges(T, 1, std::int64_t{B} * C, [=](std::int64_t t, std::int64_t end) {
    for (; t < end; ++t) {
      float* place = dweight + (start + t) * C;
      each_vector(0, C, [=](auto io, std::int64_t c) {
        Vec sum{};
        for (std::int64_t b = 0; b < B; ++b) sum += io.load(dout + (b * T + t) * C + c);
        io.store(place + c, io.load(place + c) + sum);
      });
    }
  });
}

void rope_forward(float* x, const float* cosine, const float* sine, int B, int T, int heads, int HS,
                  int stride, int start) {
  turn_all<1>(x, cosine, sine, B, T, heads, HS, stride, start);
}

void rope_backward(float* dx, const float* cosine, const float* sine, int B, int T, int heads,
                   int HS, int stride, int start) {
  turn_all<-1>(dx, cosine, sine, B, T, heads, HS, stride, start);
}

}  // namespace tinygpt::cpu
