// Device memory that frees itself, for the emulator's tests.
#pragma once

#include <cstdint>
#include <vector>

#if defined(TINYGPT_TEST_GPU)
#include "tests/support/gpu.h"
#endif
#include "tinygpt/simt/memory.h"

template <class T>
class DeviceBuffer {
 public:
  explicit DeviceBuffer(std::size_t n) : size_(n), data_(allocate(n)) {}
  explicit DeviceBuffer(const std::vector<T>& values) : DeviceBuffer(values.size()) {
    memory().copy_in(data_, values.data(), size_ * sizeof(T));
  }
  ~DeviceBuffer() { memory().release(data_); }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;

  T* data() { return data_; }
  std::vector<T> read() const {
    std::vector<T> values(size_);
    memory().copy_out(values.data(), data_, size_ * sizeof(T));
    return values;
  }

 private:
#if defined(TINYGPT_TEST_GPU)
  static tinygpt::Memory memory() { return tinygpt::test::gpu_memory_or_skip(); }
#else
  static tinygpt::Memory memory() { return tinygpt::simt::emulated_memory(); }
#endif
  static T* allocate(std::size_t n) { return static_cast<T*>(memory().allocate(n * sizeof(T))); }
  std::size_t size_;
  T* data_;
};
