// The limits of the device that the emulator stands for. Those that its compute capability decides
// are in limits().
#pragma once

#include <cstddef>

namespace tinygpt::simt {

inline constexpr unsigned kMaxThreads = 1024;  // a block
inline constexpr unsigned kMaxBlockX = 1024, kMaxBlockY = 1024, kMaxBlockZ = 64;
inline constexpr unsigned kMaxGridX = 0x7fffffff, kMaxGridYZ = 65535;
inline constexpr std::size_t kSharedDefault = 48 << 10;  // bytes a block, without asking for more
inline constexpr int kMultiprocessors = 4, kBlocksMultiprocessor = 16;

struct Limits {
  int capability;             // 10 x major + minor
  std::size_t shared_opt_in;  // bytes a block, with cudaFuncSetAttribute
  std::size_t shared_multiprocessor;
  int threads_multiprocessor;
};
// A laptop's GPU, which is what there is unless another one is asked for; and the oldest one that
// the project knows, which has neither asynchronous copies nor tensor cores for bf16.
inline constexpr Limits kAmpere = {86, 99 << 10, 100 << 10, 1536};
inline constexpr Limits kTuring = {75, 64 << 10, 64 << 10, 1024};

// Those of the capability that TINYGPT_EMULATED_CAPABILITY names when it is asked first: 7.5, or
// 8.6, which is the default. Throws Error on any other.
const Limits& limits();

}  // namespace tinygpt::simt
