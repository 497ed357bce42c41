// Blocked matrix product for every transposition, with what follows it done while a tile is in the
// cache.
#pragma once

#include <cstdint>

#include "tinygpt/cpu/pack.h"

namespace tinygpt::cpu {

// What happens to the operands a and b before they are multiplied. Sums stay in float.
enum class Rounding { none, bf16 };

// c[i, j] = (accumulate ? c[i, j] : bias ? bias[j] : 0) + sum_k a(i, k) * b(k, j)
//
// c    [rows, columns] row-major without gaps
// gelu [rows, columns] also receives gelu(c); nullptr for none
// slope_of [rows, columns]  c is multiplied by gelu'(slope_of) in the end; nullptr for none; not
//                           with accumulate
// bias [columns]       nullptr for none; not with accumulate
struct Gemm {
  MatrixView a;  // rows x depth
  MatrixView b;  // depth x columns
  float* c;
  float* gelu = nullptr;
  const float* slope_of = nullptr;
  const float* bias = nullptr;
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t depth;
  bool accumulate;
  Rounding rounding = Rounding::none;
};

// The order of the additions that make one c[i, j] depends on `depth` alone, not on the number of
// threads: equal inputs give equal bits on one thread and on many.
void gemm(const Gemm& product, float* scratch);

// Floats of scratch for this product; what its operands point to does not matter. An operand that
// is read where it lies takes none, so a larger product may need less.
std::int64_t gemm_scratch_size(const Gemm& product);

// Floats of scratch for products of at most these sizes, on at most omp_get_max_threads() threads.
// It grows with each size.
std::int64_t gemm_scratch_size(std::int64_t rows, std::int64_t columns, std::int64_t depth,
                               Rounding rounding = Rounding::none);

}  // namespace tinygpt::cpu
