// The one CUDA header that a .cu file includes. nvcc gets CUDA itself; the host compiler gets the
// same names from tinygpt/simt/host/, and the emulator runs the kernels on the CPU.
//
// The same file is compiled up to three times: by nvcc, by the host compiler, and by the host
// compiler with every load and store instrumented (TINYGPT_SIMT_CHECKED). cmake/Cuda.cmake gives
// each its own namespace; tools/rewrite-cuda turns kernel<<<grid, block>>>(...) and __shared__ into
// C++ first.
//
// What the emulator cannot show: how long anything takes on a GPU; what happens to a program that
// relies on the order of memory accesses other than through barriers (its memory is sequentially
// consistent, so a missing fence goes unseen); threads that spin until another one acts (they never
// yield, and hang); registers, occupancy, and limits that host/runtime.h does not list.
#pragma once

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#else
// Order matters: each builds on those above it.
#include "tinygpt/simt/host/types.h"
//
#include "tinygpt/simt/host/bfloat16.h"
#include "tinygpt/simt/host/float16.h"
//
#include "tinygpt/simt/host/atomics.h"
#include "tinygpt/simt/host/kernel.h"
#include "tinygpt/simt/host/math.h"
#include "tinygpt/simt/host/runtime.h"
#include "tinygpt/simt/host/warp.h"
#include "tinygpt/simt/launch.h"
#endif
