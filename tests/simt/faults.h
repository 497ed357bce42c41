// Small kernels with one planted fault each. repaired = true runs the twin without it.
#pragma once

namespace test_cuda {

struct Planted {
  const char* name;  // the faulty line carries it in a comment: "planted: <name>"
  void (*run)(bool repaired);
};

// Of shared memory and barriers, of global memory, of warps, of launches and the host.
extern const Planted kBarrierFaults[9];
extern const Planted kMemoryFaults[12];
extern const Planted kWarpFaults[6];
extern const Planted kHostFaults[7];

}  // namespace test_cuda
