// Loops over contiguous values, a vector at a time, with the ragged end written once.
#pragma once

#include <cstdint>

#include "tinygpt/cpu/vec.h"

namespace tinygpt::cpu {

// How the body of a loop reads and writes: whole vectors, or the last few lanes.
struct WholeVector {
  Vec load(const float* p) const { return cpu::load(p); }
  void store(float* p, Vec v) const { cpu::store(p, v); }
  // v where it counts, `other` in lanes past the end.
  Vec or_else(Vec v, float /*other*/) const { return v; }
};

struct PartVector {
  std::int64_t lanes;
  Vec load(const float* p) const { return load_part(p, lanes); }
  void store(float* p, Vec v) const { store_part(p, v, lanes); }
  Vec or_else(Vec v, float other) const {
    float values[kLanes];
    cpu::store(values, v);
    return load_part(values, lanes, other);
  }
};

// body(io, i) for i = begin, begin + kLanes, ...: io.load and io.store touch [i, end) only.
template <class Body>
inline void each_vector(std::int64_t begin, std::int64_t end, Body&& body) {
  std::int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) body(WholeVector{}, i);
  if (i < end) body(PartVector{end - i}, i);
}

}  // namespace tinygpt::cpu
