// Owning, aligned, fixed-size memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <span>
#include <utility>

#include "tinygpt/core/error.h"

namespace tinygpt {

// n values of T, 64-byte aligned (a cache line, and the widest vector), uninitialised.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::int64_t n) : size_(n) {
    check(n >= 0 && n <= std::numeric_limits<std::int64_t>::max() / std::int64_t{sizeof(T)},
          "buffer: size out of range");
    if (n > 0) data_ = static_cast<T*>(::operator new (bytes(n), std::align_val_t{64}));
  }
  ~Buffer() { ::operator delete (data_, std::align_val_t{64}); }
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::int64_t size() const { return size_; }
  std::span<T> span() { return {data_, static_cast<std::size_t>(size_)}; }
  std::span<const T> span() const { return {data_, static_cast<std::size_t>(size_)}; }

 private:
  static std::size_t bytes(std::int64_t n) { return static_cast<std::size_t>(n) * sizeof(T); }
  T* data_ = nullptr;
  std::int64_t size_ = 0;
};

}  // namespace tinygpt
