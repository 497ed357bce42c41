// Hints about a pass of a model as a whole: optional entries of the table that change no result.
#pragma once

#include <cstdint>

namespace tinygpt {

// Runs pass(context), which calls many operators in a row: what an operator needs, such as a team
// of threads, may stay ready from the first to the last. What `pass` throws is thrown.
//
// rows             tokens of the pass
// multiplications  of its products, about: small passes are not worth a team
using KeepAwake = void(void (*pass)(void* context), void* context, int rows,
                       std::int64_t multiplications);

// The product after the one that comes now reads these bytes, from front to back. Called inside of
// keep_awake.
using ReadAhead = void(const void* data, std::int64_t bytes);

}  // namespace tinygpt
