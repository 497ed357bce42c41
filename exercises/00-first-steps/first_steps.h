// Lesson 00: two functions over an array, to learn how the course works.
#pragma once

#include <cstdint>

namespace tinygpt::mine {

// y[i] += a * x[i]
//
// y [n]  accumulates
// x [n]
void axpy(float* y, const float* x, float a, std::int64_t n);

// y[i] = a * x[i]
//
// y [n]  written; may be x itself
// x [n]
void scale(float* y, const float* x, float a, std::int64_t n);

}  // namespace tinygpt::mine
