#include "tests/simt/emulator_speed.h"

#include <time.h>

#include <cstdint>
#include <vector>

#include "tests/simt/device_buffer.h"
#include "tinygpt/core/error.h"

// tests/simt/kernels.h in both modes.
namespace test_cuda_emulated {
void matmul_tiled(float* c, const float* a, const float* b, int M, int N, int K);
}
namespace test_cuda_checked {
void matmul_tiled(float* c, const float* a, const float* b, int M, int N, int K);
}

namespace tinygpt::test {
namespace {

double processor_seconds() {
  timespec now{};
  check(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0, "the processor's time cannot be read");
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Calls a second of a product of n x n x n.
double calls_a_second(decltype(test_cuda_checked::matmul_tiled)* matmul, int n) {
  const std::vector<float> ones(static_cast<std::size_t>(n * n), 1.0f);
  DeviceBuffer<float> a(ones), b(ones), c(ones.size());
  const auto call = [&] { matmul(c.data(), a.data(), b.data(), n, n, n); };
  call();  // fibers and shadows are made
  const double begin = processor_seconds();
  int calls = 0;
  double seconds = 0;
  for (; seconds < 0.1; seconds = processor_seconds() - begin) {
    call();
    ++calls;
  }
  check(c.read()[0] == static_cast<float>(n), "the tiled product is wrong");
  return calls / seconds;
}

}  // namespace

double run_mode_flops() {
  constexpr int n = 256;
  return calls_a_second(test_cuda_emulated::matmul_tiled, n) * 2.0 * n * n * n;
}

double check_mode_accesses() {
  constexpr double n = 64, tile = 16;
  // A thread loads and stores a value of each factor's tile, and loads a row and a column; at the
  // end it stores its sum.
  const double a_thread = n / tile * (2 + 2 + 2 * tile) + 1;
  return calls_a_second(test_cuda_checked::matmul_tiled, static_cast<int>(n)) * n * n * a_thread;
}

}  // namespace tinygpt::test
