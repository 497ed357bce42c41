// What this machine's processor can do at most.
#pragma once

namespace tinygpt::cpu {

// Floating-point operations per second of `threads` threads that do nothing but fused multiply-adds
// on registers, a multiply-add counted as two: the limit that kernels are measured against. Takes
// about 50 ms; the best of several runs, since noise only ever slows a loop down.
double measure_peak_flops(int threads);

}  // namespace tinygpt::cpu
