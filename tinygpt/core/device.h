// What nvcc has to be told about functions that run on both sides, and other compilers do not know.
#pragma once

#if defined(__NVCC__)
#define TINYGPT_HOST_DEVICE __host__ __device__
#else
#define TINYGPT_HOST_DEVICE
#endif
