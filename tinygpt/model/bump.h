// Consecutive pieces of one buffer, each aligned to a cache line.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tinygpt/core/error.h"

namespace tinygpt {

struct Bump {
  std::byte* base = nullptr;  // nullptr: only count
  std::int64_t used = 0;

  template <class T>
  T* take(std::int64_t n) {
    T* place = base == nullptr ? nullptr : reinterpret_cast<T*>(base + used);
    // n is below 2^51 (2^31 rows of 2^20 columns), so neither product nor sum can overflow here.
    used += (n * std::int64_t{sizeof(T)} + 63) / 64 * 64;
    check(used < (std::int64_t{1} << 60),
          "this batch needs more memory than any machine has: choose a smaller --batch, --context "
          "or model");
    return place;
  }
};

}  // namespace tinygpt
