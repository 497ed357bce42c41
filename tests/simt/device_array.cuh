// Device memory for the planted faults: zeroed, or as cudaMalloc gives it.
#pragma once

#include "tinygpt/simt/cuda.h"

namespace test_cuda {

template <class T>
struct DeviceArray {
  T* data = nullptr;
  explicit DeviceArray(int n, bool zeroed = true) {
    cudaMalloc(&data, n * sizeof(T));
    if (zeroed) cudaMemset(data, 0, n * sizeof(T));
  }
  ~DeviceArray() { cudaFree(data); }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
};

}  // namespace test_cuda
