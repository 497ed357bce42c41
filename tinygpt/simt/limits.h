// The limits of the device that the emulator stands for: compute capability 8.6, a laptop's GPU.
#pragma once

#include <cstddef>

namespace tinygpt::simt {

inline constexpr unsigned kMaxThreads = 1024;  // a block
inline constexpr unsigned kMaxBlockX = 1024, kMaxBlockY = 1024, kMaxBlockZ = 64;
inline constexpr unsigned kMaxGridX = 0x7fffffff, kMaxGridYZ = 65535;
inline constexpr std::size_t kSharedDefault = 48 << 10;  // bytes a block, without asking for more
inline constexpr std::size_t kSharedOptIn = 99 << 10;    // with cudaFuncSetAttribute
inline constexpr std::size_t kSharedMultiprocessor = 100 << 10;
inline constexpr int kMultiprocessors = 4;
inline constexpr int kThreadsMultiprocessor = 1536, kBlocksMultiprocessor = 16;

}  // namespace tinygpt::simt
