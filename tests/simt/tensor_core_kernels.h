// One warp multiplies small matrices with tensor-core instructions. Pointers are the device's.
#pragma once

#include <cstdint>

namespace test_cuda {

// d (16 x 8) = a (16 x 16) b + c, with bf16 bits for a and b. b is 16 x 8, or with transposed =
// true given as its transpose, 8 x 16; the fragments come through ldmatrix, x4 for a and x2 for b.
void multiply_bf16(float* d, const std::uint16_t* a, const std::uint16_t* b, const float* c,
                   bool transposed);
// d (16 x 8) = a (16 x 8) b (8 x 8) + c in tf32.
void multiply_tf32(float* d, const float* a, const float* b, const float* c);

// r[lane] = the word that ldmatrix x1 gives each lane of an 8 x 8 matrix; and transposed.
void load_one(std::uint32_t* r, std::uint32_t* r_transposed, const std::uint16_t* matrix);

// sums[t] = sum over i of x[i * 32 + t], for i < n: two stages of asynchronous copies ahead, one
// warp. With waits = false the copies are never waited for.
void pipeline(float* sums, const float* x, int n, bool waits);
// out = x, for n floats of at most 128, through asynchronous copies of 16, 8 and 4 bytes; zeros
// after n.
void copy_widths(float* out, const float* x, int n);

}  // namespace test_cuda
