// What of the program's own memory a kernel may touch.
#pragma once

namespace tinygpt::simt {

// In a part of the program that is never written: literals, constexpr tables, code.
bool is_constant(const void* address);
// A __constant__ or __device__ variable.
bool is_device_variable(const void* address);

}  // namespace tinygpt::simt
