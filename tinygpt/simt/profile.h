// Profile mode: what each line of a checked kernel asks of memory.
//
// Counted as a GPU's own counters count: a warp's lanes that reach one instruction make one
// request, a request to global memory moves whole sectors of 32 bytes, one to shared memory takes
// as many turns as the busiest of the 32 banks has different words. Lanes belong to one request
// when they come to the line for the n-th time since the last barrier. Caches are not modelled.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tinygpt::simt {

struct LineProfile {
  std::string file;
  int line = 0;
  std::uint64_t loads = 0, stores = 0;               // by threads; an atomic is one of each
  std::uint64_t requests = 0;                        // by warps, to global memory
  std::uint64_t sectors = 0;                         // of 32 bytes, which these requests move
  std::uint64_t bytes_loaded = 0, bytes_stored = 0;  // that threads asked of global memory
  std::uint64_t shared_requests = 0;                 // by warps
  std::uint64_t shared_turns = 0;  // which these take; without conflicts, shared_ideal
  std::uint64_t shared_ideal = 0;
  unsigned worst_conflict = 0;  // different words of one bank in one turn's request
  std::uint64_t divergent = 0;  // requests that part of the warp's lanes do not make
};

struct KernelProfile {
  std::string kernel;
  std::uint64_t launches = 0, blocks = 0, threads = 0, barriers = 0;
  std::uint64_t shared_bytes = 0;  // a block, at most
  std::vector<LineProfile> lines;  // by file and line
  LineProfile total;
};

// While one lives, checked launches add to it.
class Profiling {
 public:
  Profiling();
  ~Profiling();
  Profiling(const Profiling&) = delete;
  Profiling& operator=(const Profiling&) = delete;

  std::vector<KernelProfile> kernels;  // by the first launch of each

 private:
  Profiling* outer_;
};

// The profile of the kernel whose name begins so; throws Error when there is none.
const KernelProfile& kernel_profile(const Profiling& profiling, const std::string& name);

// A device's limits: those of a laptop's GPU of 16 multiprocessors by default.
struct Roof {
  double bytes_per_second = 192e9;        // global memory
  double flops_per_second = 5.5e12;       // float
  double turns_per_second = 16 * 1.35e9;  // shared memory, all multiprocessors
};

// What bounds the kernel from below, in seconds. The arithmetic is the caller's to count.
struct Roofline {
  double memory_seconds, shared_seconds, arithmetic_seconds;
  double flops_per_byte;
};
Roofline roofline(const KernelProfile& profile, double flops, const Roof& roof = {});

// A table for people, with the roofline below when flops are given.
std::string table(const KernelProfile& profile, double flops = 0, const Roof& roof = {});

}  // namespace tinygpt::simt
