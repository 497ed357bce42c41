// Atomic functions on global and shared memory.
#pragma once

#include <algorithm>
#include <type_traits>

#include "tinygpt/simt/host/bfloat16.h"
#include "tinygpt/simt/host/types.h"

namespace tinygpt::simt {

// Tells the checker and the profiler; `where` is the caller's code address.
void note_atomic(void* address, std::size_t bytes, void* where);

// Not instrumented: the checker hears of an atomic once, as an atomic, not of its loads and stores.
template <class T, class F>
__attribute__((noinline, no_sanitize("thread"))) T update_checked(T* address, F f) {
  note_atomic(address, sizeof(T), __builtin_return_address(0));
  using W [[gnu::may_alias]] = T;
  const T old = *reinterpret_cast<W*>(address);  // blocks run one after another in check mode
  *reinterpret_cast<W*>(address) = f(old);
  return old;
}

// Replaces *address by f(*address) and returns what it was.
template <class T, class F>
TINYGPT_SIMT_INLINE T update(T* address, F f) {
  if constexpr (TINYGPT_SIMT_IS_CHECKED) {
    return update_checked(address, f);
  } else {
    T old;
    __atomic_load(address, &old, __ATOMIC_RELAXED);
    T next = f(old);
    while (!__atomic_compare_exchange(address, &old, &next, true, __ATOMIC_SEQ_CST,
                                      __ATOMIC_RELAXED)) {
      next = f(old);
    }
    return old;
  }
}

}  // namespace tinygpt::simt

// The second parameter is not deduced: atomicAdd(float*, 1) converts, as CUDA's overloads do.
template <class T>
TINYGPT_SIMT_INLINE T atomicAdd(T* address, std::type_identity_t<T> value) {
  return tinygpt::simt::update(address, [value](T old) { return static_cast<T>(old + value); });
}
template <class T>
TINYGPT_SIMT_INLINE T atomicSub(T* address, std::type_identity_t<T> value) {
  return tinygpt::simt::update(address, [value](T old) { return static_cast<T>(old - value); });
}
template <class T>
TINYGPT_SIMT_INLINE T atomicMax(T* address, std::type_identity_t<T> value) {
  static_assert(std::is_integral_v<T>, "the device has atomicMax for integers only");
  return tinygpt::simt::update(address, [value](T old) { return old < value ? value : old; });
}
template <class T>
TINYGPT_SIMT_INLINE T atomicMin(T* address, std::type_identity_t<T> value) {
  static_assert(std::is_integral_v<T>, "the device has atomicMin for integers only");
  return tinygpt::simt::update(address, [value](T old) { return value < old ? value : old; });
}
template <class T>
TINYGPT_SIMT_INLINE T atomicExch(T* address, std::type_identity_t<T> value) {
  return tinygpt::simt::update(address, [value](T) { return value; });
}
template <class T>
TINYGPT_SIMT_INLINE T atomicCAS(T* address, std::type_identity_t<T> expected,
                                std::type_identity_t<T> value) {
  return tinygpt::simt::update(address, [=](T old) { return old == expected ? value : old; });
}
template <class T>
TINYGPT_SIMT_INLINE T atomicAnd(T* address, std::type_identity_t<T> value) {
  return tinygpt::simt::update(address, [value](T old) { return static_cast<T>(old & value); });
}
template <class T>
TINYGPT_SIMT_INLINE T atomicOr(T* address, std::type_identity_t<T> value) {
  return tinygpt::simt::update(address, [value](T old) { return static_cast<T>(old | value); });
}
template <class T>
TINYGPT_SIMT_INLINE T atomicXor(T* address, std::type_identity_t<T> value) {
  return tinygpt::simt::update(address, [value](T old) { return static_cast<T>(old ^ value); });
}
// Counts up to the limit and starts again at zero.
TINYGPT_SIMT_INLINE unsigned atomicInc(unsigned* address, unsigned limit) {
  return tinygpt::simt::update(address, [=](unsigned old) { return old >= limit ? 0 : old + 1; });
}
