// Kernels of which it is known what they ask of memory. Pointers are the device's.
#pragma once

namespace test_cuda {

void copy_stride(float* out, const float* x, int stride);  // 32 threads
void copy_float4(float* out, const float* x);              // 32 threads, 128 floats
void read_columns(float* out, int padded);                 // of a 32 x 32 tile, or 32 x 33
void half_of_the_warp(float* out);                         // 16 of 32 lanes write

}  // namespace test_cuda
