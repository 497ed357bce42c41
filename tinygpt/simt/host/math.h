// Device functions of arithmetic: CUDA's own names, and the ones that C++ knows too.
#pragma once

#include <cmath>
#include <cstdint>

#include "tinygpt/simt/host/types.h"

// In CUDA, these work without std::.
using std::isfinite;
using std::isinf;
using std::isnan;

TINYGPT_SIMT_INLINE float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
TINYGPT_SIMT_INLINE double rsqrt(double x) { return 1.0 / std::sqrt(x); }
TINYGPT_SIMT_INLINE float __frsqrt_rn(float x) { return rsqrtf(x); }
TINYGPT_SIMT_INLINE float __fsqrt_rn(float x) { return std::sqrt(x); }
TINYGPT_SIMT_INLINE float __expf(float x) { return std::exp(x); }
TINYGPT_SIMT_INLINE float __exp10f(float x) { return std::pow(10.0f, x); }
TINYGPT_SIMT_INLINE float __logf(float x) { return std::log(x); }
TINYGPT_SIMT_INLINE float __log2f(float x) { return std::log2(x); }
TINYGPT_SIMT_INLINE float __sinf(float x) { return std::sin(x); }
TINYGPT_SIMT_INLINE float __cosf(float x) { return std::cos(x); }
TINYGPT_SIMT_INLINE float __tanf(float x) { return std::tan(x); }
TINYGPT_SIMT_INLINE float __powf(float x, float y) { return std::pow(x, y); }
TINYGPT_SIMT_INLINE float __fdividef(float x, float y) { return x / y; }
TINYGPT_SIMT_INLINE float __fdiv_rn(float x, float y) { return x / y; }
TINYGPT_SIMT_INLINE float __frcp_rn(float x) { return 1.0f / x; }
TINYGPT_SIMT_INLINE float __fmaf_rn(float x, float y, float z) { return std::fma(x, y, z); }
// Through a volatile copy, so that the compiler cannot fuse what CUDA says is not fused.
TINYGPT_SIMT_INLINE float __fmul_rn(float x, float y) {
  volatile float product = x * y;
  return product;
}
TINYGPT_SIMT_INLINE float __fadd_rn(float x, float y) {
  volatile float sum = x + y;
  return sum;
}
TINYGPT_SIMT_INLINE float __fsub_rn(float x, float y) {
  volatile float difference = x - y;
  return difference;
}
TINYGPT_SIMT_INLINE float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f; }
TINYGPT_SIMT_INLINE double __dmul_rn(double x, double y) {
  volatile double product = x * y;
  return product;
}
TINYGPT_SIMT_INLINE double __dadd_rn(double x, double y) {
  volatile double sum = x + y;
  return sum;
}

TINYGPT_SIMT_INLINE int min(int a, int b) { return b < a ? b : a; }
TINYGPT_SIMT_INLINE int max(int a, int b) { return a < b ? b : a; }
TINYGPT_SIMT_INLINE unsigned min(unsigned a, unsigned b) { return b < a ? b : a; }
TINYGPT_SIMT_INLINE unsigned max(unsigned a, unsigned b) { return a < b ? b : a; }
TINYGPT_SIMT_INLINE long min(long a, long b) { return b < a ? b : a; }
TINYGPT_SIMT_INLINE long max(long a, long b) { return a < b ? b : a; }
TINYGPT_SIMT_INLINE long long min(long long a, long long b) { return b < a ? b : a; }
TINYGPT_SIMT_INLINE long long max(long long a, long long b) { return a < b ? b : a; }
TINYGPT_SIMT_INLINE unsigned long min(unsigned long a, unsigned long b) { return b < a ? b : a; }
TINYGPT_SIMT_INLINE unsigned long max(unsigned long a, unsigned long b) { return a < b ? b : a; }
TINYGPT_SIMT_INLINE float min(float a, float b) { return std::fmin(a, b); }
TINYGPT_SIMT_INLINE float max(float a, float b) { return std::fmax(a, b); }
TINYGPT_SIMT_INLINE double min(double a, double b) { return std::fmin(a, b); }
TINYGPT_SIMT_INLINE double max(double a, double b) { return std::fmax(a, b); }

TINYGPT_SIMT_INLINE int __float_as_int(float x) { return __builtin_bit_cast(int, x); }
TINYGPT_SIMT_INLINE unsigned __float_as_uint(float x) { return __builtin_bit_cast(unsigned, x); }
TINYGPT_SIMT_INLINE float __int_as_float(int x) { return __builtin_bit_cast(float, x); }
TINYGPT_SIMT_INLINE float __uint_as_float(unsigned x) { return __builtin_bit_cast(float, x); }
TINYGPT_SIMT_INLINE long long __double_as_longlong(double x) {
  return __builtin_bit_cast(long long, x);
}
TINYGPT_SIMT_INLINE double __longlong_as_double(long long x) {
  return __builtin_bit_cast(double, x);
}
TINYGPT_SIMT_INLINE float __int2float_rn(int x) { return static_cast<float>(x); }
TINYGPT_SIMT_INLINE float __uint2float_rn(unsigned x) { return static_cast<float>(x); }
TINYGPT_SIMT_INLINE int __float2int_rn(float x) { return static_cast<int>(std::nearbyint(x)); }
TINYGPT_SIMT_INLINE int __float2int_rz(float x) { return static_cast<int>(x); }

TINYGPT_SIMT_INLINE int __popc(unsigned x) { return __builtin_popcount(x); }
TINYGPT_SIMT_INLINE int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
TINYGPT_SIMT_INLINE int __ffs(int x) { return __builtin_ffs(x); }
TINYGPT_SIMT_INLINE int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
TINYGPT_SIMT_INLINE unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>((static_cast<std::uint64_t>(a) * b) >> 32);
}
TINYGPT_SIMT_INLINE int __mulhi(int a, int b) {
  return static_cast<int>((static_cast<std::int64_t>(a) * b) >> 32);
}
TINYGPT_SIMT_INLINE unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>((static_cast<unsigned __int128>(a) * b) >> 64);
}

// c + the four products of a's and b's bytes, one instruction on the device (6.1 and later).
TINYGPT_SIMT_INLINE int __dp4a(int a, int b, int c) {
  for (int shift = 0; shift < 32; shift += 8) {
    c += static_cast<signed char>(a >> shift) * static_cast<signed char>(b >> shift);
  }
  return c;
}
TINYGPT_SIMT_INLINE unsigned __dp4a(unsigned a, unsigned b, unsigned c) {
  for (int shift = 0; shift < 32; shift += 8) c += (a >> shift & 255) * (b >> shift & 255);
  return c;
}

// Loads and stores with a hint for the caches, which the emulator does not have.
template <class T>
TINYGPT_SIMT_INLINE T __ldg(const T* p) {
  return *p;
}
template <class T>
TINYGPT_SIMT_INLINE T __ldcs(const T* p) {
  return *p;
}
template <class T>
TINYGPT_SIMT_INLINE T __ldcg(const T* p) {
  return *p;
}
template <class T>
TINYGPT_SIMT_INLINE void __stcs(T* p, T value) {
  *p = value;
}
template <class T>
TINYGPT_SIMT_INLINE void __stcg(T* p, T value) {
  *p = value;
}
