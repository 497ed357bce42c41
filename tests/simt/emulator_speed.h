// How fast the emulator runs the tiled product, for a test and for bench/emulator.cpp.
#pragma once

namespace tinygpt::test {

// Floating-point operations a second of the calling thread's processor time: set OpenMP to one
// thread. About a tenth of a second.
double run_mode_flops();

// Loads and stores that check mode watches in a second of processor time.
double check_mode_accesses();

}  // namespace tinygpt::test
