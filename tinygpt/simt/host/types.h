// CUDA's qualifiers, dim3 and vector types for the host compiler.
//
// The names are CUDA's, so they are global.
#pragma once

#include <cstddef>
#include <cstring>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(bytes) __attribute__((aligned(bytes)))
// Variables that kernels may use are known to the checker by the section that holds them.
#define __constant__ __attribute__((section("simt_device")))
#define TINYGPT_SIMT_INLINE inline __attribute__((always_inline))

#if defined(TINYGPT_SIMT_CHECKED)
#define TINYGPT_SIMT_IS_CHECKED true
#else
#define TINYGPT_SIMT_IS_CHECKED false
#endif

namespace tinygpt::simt {

// Vectors are copied by one access of their whole size, as the device does, so that the checker
// sees a misaligned vector as such and the profiler sees one request.
template <std::size_t Bytes>
struct Word;
template <>
struct Word<2> {
  typedef unsigned short type __attribute__((may_alias));
};
template <>
struct Word<4> {
  typedef unsigned int type __attribute__((may_alias));
};
template <>
struct Word<8> {
  typedef unsigned long long type __attribute__((may_alias));
};
template <>
struct Word<16> {
  typedef unsigned long long type __attribute__((vector_size(16), may_alias));
};

template <class V>
TINYGPT_SIMT_INLINE void copy_vector(V* to, const V* from) {
  using W = typename Word<sizeof(V)>::type;
  *reinterpret_cast<W*>(to) = *reinterpret_cast<const W*>(from);
}

template <class T>
struct alignas(2 * sizeof(T)) Vector2 {
  T x, y;
  Vector2() = default;
  TINYGPT_SIMT_INLINE Vector2(T a, T b) : x(a), y(b) {}
  TINYGPT_SIMT_INLINE Vector2(const Vector2& other) { copy_vector(this, &other); }
  TINYGPT_SIMT_INLINE Vector2& operator=(const Vector2& other) {
    copy_vector(this, &other);
    return *this;
  }
};

template <class T>
struct Vector3 {
  T x, y, z;
};

template <class T>
struct alignas(4 * sizeof(T)) Vector4 {
  T x, y, z, w;
  Vector4() = default;
  TINYGPT_SIMT_INLINE Vector4(T a, T b, T c, T d) : x(a), y(b), z(c), w(d) {}
  TINYGPT_SIMT_INLINE Vector4(const Vector4& other) { copy_vector(this, &other); }
  TINYGPT_SIMT_INLINE Vector4& operator=(const Vector4& other) {
    copy_vector(this, &other);
    return *this;
  }
};

}  // namespace tinygpt::simt

using char2 = tinygpt::simt::Vector2<signed char>;
using char4 = tinygpt::simt::Vector4<signed char>;
using uchar2 = tinygpt::simt::Vector2<unsigned char>;
using uchar4 = tinygpt::simt::Vector4<unsigned char>;
using short2 = tinygpt::simt::Vector2<short>;
using short4 = tinygpt::simt::Vector4<short>;
using ushort2 = tinygpt::simt::Vector2<unsigned short>;
using ushort4 = tinygpt::simt::Vector4<unsigned short>;
using int2 = tinygpt::simt::Vector2<int>;
using int3 = tinygpt::simt::Vector3<int>;
using int4 = tinygpt::simt::Vector4<int>;
using uint2 = tinygpt::simt::Vector2<unsigned>;
using uint3 = tinygpt::simt::Vector3<unsigned>;
using uint4 = tinygpt::simt::Vector4<unsigned>;
using float2 = tinygpt::simt::Vector2<float>;
using float3 = tinygpt::simt::Vector3<float>;
using float4 = tinygpt::simt::Vector4<float>;
using double2 = tinygpt::simt::Vector2<double>;
using longlong2 = tinygpt::simt::Vector2<long long>;
using ulonglong2 = tinygpt::simt::Vector2<unsigned long long>;

TINYGPT_SIMT_INLINE char4 make_char4(signed char x, signed char y, signed char z, signed char w) {
  return {x, y, z, w};
}
TINYGPT_SIMT_INLINE uchar4 make_uchar4(unsigned char x, unsigned char y, unsigned char z,
                                       unsigned char w) {
  return {x, y, z, w};
}
TINYGPT_SIMT_INLINE int2 make_int2(int x, int y) { return {x, y}; }
TINYGPT_SIMT_INLINE int3 make_int3(int x, int y, int z) { return {x, y, z}; }
TINYGPT_SIMT_INLINE int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
TINYGPT_SIMT_INLINE uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
TINYGPT_SIMT_INLINE uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
TINYGPT_SIMT_INLINE uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) {
  return {x, y, z, w};
}
TINYGPT_SIMT_INLINE float2 make_float2(float x, float y) { return {x, y}; }
TINYGPT_SIMT_INLINE float3 make_float3(float x, float y, float z) { return {x, y, z}; }
TINYGPT_SIMT_INLINE float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
TINYGPT_SIMT_INLINE double2 make_double2(double x, double y) { return {x, y}; }

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
  constexpr dim3(const uint3& v) : x(v.x), y(v.y), z(v.z) {}
};
