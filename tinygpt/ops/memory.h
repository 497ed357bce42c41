// Memory of a device: what the model needs beside the operators.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tinygpt {

// All functions work on the device's own pointers; only copy_in and copy_out know the host's.
struct Memory {
  void* (*allocate)(std::size_t bytes);  // 64-byte aligned at least; throws Error when it is full
  void (*release)(void* data);           // nullptr is fine
  void (*zero)(void* data, std::size_t bytes);
  void (*copy_in)(void* device, const void* host, std::size_t bytes);
  void (*copy_out)(void* host, const void* device, std::size_t bytes);  // waits for the device
  std::size_t (*available)() = nullptr;  // bytes, at most, that allocate may still give
};

Memory host_memory();

}  // namespace tinygpt
