// Run mode: what kernels compute is what CUDA says they compute.
#define test_cuda test_cuda_emulated
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>

#include "tests/simt/device_buffer.h"
#include "tests/simt/kernels.h"
#include "tests/support/catch.h"
#include "tinygpt/core/error.h"

namespace {

std::vector<float> random_floats(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(n);
  for (float& value : values) value = uniform(random);
  return values;
}

void check_matmul(decltype(test_cuda::matmul_naive)* matmul, int M, int N, int K) {
  const auto a = random_floats(static_cast<std::size_t>(M * K), 1);
  const auto b = random_floats(static_cast<std::size_t>(K * N), 2);
  DeviceBuffer<float> da(a), db(b), dc(static_cast<std::size_t>(M * N));
  matmul(dc.data(), da.data(), db.data(), M, N, K);
  const auto c = dc.read();
  double worst = 0;
  for (int m = 0; m < M; ++m) {
    for (int n = 0; n < N; ++n) {
      double sum = 0;
      for (int k = 0; k < K; ++k) sum += double{a[m * K + k]} * b[k * N + n];
      worst = std::max(worst, std::abs(sum - c[m * N + n]));
    }
  }
  CHECK(worst < 1e-5 * K);
}

}  // namespace

TEST_CASE("a kernel without barriers computes a matrix product", "[simt]") {
  check_matmul(test_cuda::matmul_naive, 33, 17, 50);
}

TEST_CASE("a kernel with tiles in shared memory computes a matrix product", "[simt]") {
  check_matmul(test_cuda::matmul_tiled, 64, 48, 32);
  check_matmul(test_cuda::matmul_tiled, 33, 17, 50);
  check_matmul(test_cuda::matmul_tiled, 1, 1, 1);
}

TEST_CASE("warp shuffles and shared memory sum rows", "[simt]") {
  const int N = 37, C = 301;
  const auto x = random_floats(std::size_t{N} * C, 3);
  DeviceBuffer<float> dx(x), sums(N);
  test_cuda::row_sums(sums.data(), dx.data(), N, C);
  const auto got = sums.read();
  for (int row = 0; row < N; ++row) {
    const double want = std::accumulate(x.begin() + row * C, x.begin() + (row + 1) * C, 0.0);
    CHECK(got[static_cast<std::size_t>(row)] == Approx(want).margin(1e-4));
  }
}

TEST_CASE("atomics count every value once, whatever the number of CPU threads", "[simt]") {
  const int n = 100000, bins = 17;
  std::vector<int> values(n);
  for (int i = 0; i < n; ++i) values[static_cast<std::size_t>(i)] = i * 7 % bins;
  DeviceBuffer<int> dvalues(values);
  DeviceBuffer<unsigned> counts(std::vector<unsigned>(bins, 0u));
  test_cuda::histogram(counts.data(), dvalues.data(), n, bins);
  std::vector<unsigned> want(bins, 0u);
  for (int value : values) ++want[static_cast<std::size_t>(value)];
  CHECK(counts.read() == want);
}

TEST_CASE("dynamic shared memory belongs to one block", "[simt]") {
  const int n = 200, blocks = 9;
  const auto x = random_floats(std::size_t{n} * blocks, 4);
  DeviceBuffer<float> dx(x), out(x.size());
  test_cuda::reverse(out.data(), dx.data(), n, blocks);
  auto want = x;
  for (int b = 0; b < blocks; ++b) std::reverse(want.begin() + b * n, want.begin() + (b + 1) * n);
  CHECK(out.read() == want);
}

TEST_CASE("every warp collective gives each lane what CUDA gives it", "[simt]") {
  std::vector<int> x(32);
  for (int i = 0; i < 32; ++i) x[static_cast<std::size_t>(i)] = i * i % 41;
  DeviceBuffer<int> dx(x);
  DeviceBuffer<std::uint64_t> out(32 * test_cuda::kCollectives);
  test_cuda::collectives(out.data(), dx.data());
  const auto got = out.read();
  const auto at = [&](int i) { return static_cast<std::uint64_t>(x[static_cast<std::size_t>(i)]); };
  std::uint64_t odd = 0, total = 0, largest = 0, low = 0, high = 0;
  bool forty = false;
  for (int i = 0; i < 32; ++i) {
    odd |= (at(i) & 1) << i;
    total += at(i);
    largest = std::max(largest, at(i));
    forty |= at(i) == 40;
    (i < 16 ? low : high) += at(i);
  }
  for (int lane = 0; lane < 32; ++lane) {
    const std::uint64_t* const mine =
        &got[static_cast<std::size_t>(lane * test_cuda::kCollectives)];
    std::uint64_t same = 0;
    for (int i = 0; i < 32; ++i) same |= std::uint64_t{at(i) % 4 == at(lane) % 4} << i;
    INFO("lane " << lane);
    CHECK(mine[0] == at(5));
    CHECK(mine[1] == at(lane < 3 ? lane : lane - 3));
    CHECK(mine[2] == at(lane > 28 ? lane : lane + 3));
    CHECK(mine[3] == at(lane ^ 7));
    CHECK(mine[4] == at(lane % 8 == 7 ? lane : lane + 1));
    CHECK(mine[5] == odd);
    CHECK(mine[6] == (forty ? 1u : 0u) + 2);
    CHECK(mine[7] == total);
    CHECK(mine[8] == largest);
    CHECK(static_cast<std::int64_t>(mine[9]) == -static_cast<std::int64_t>(largest));
    CHECK(std::bit_cast<double>(mine[10]) == 0.5 * static_cast<double>(at(lane ^ 1)));
    CHECK(mine[11] == (lane < 16 ? low : high));
    CHECK(mine[12] == low + 2);
    CHECK(mine[13] == same);
  }
}

TEST_CASE("a block's votes count, join and compare its threads", "[simt]") {
  const int n = 70;
  std::vector<int> x(n);
  for (int i = 0; i < n; ++i) x[static_cast<std::size_t>(i)] = i % 3;
  DeviceBuffer<int> dx(x), out(3 * n);
  test_cuda::block_votes(out.data(), dx.data(), n);
  const auto got = out.read();
  for (std::size_t i = 0; i < n; ++i) {
    CHECK(got[3 * i] == 23);
    CHECK(got[3 * i + 1] == 0);
    CHECK(got[3 * i + 2] == 1);
  }
}

TEST_CASE("threads that wait for lanes that never come end the launch with an error", "[simt]") {
  DeviceBuffer<int> out(32);
  REQUIRE_THROWS_WITH(test_cuda::deadlock(out.data()), ContainsSubstring("which has returned"));
  // And the emulator goes on.
  check_matmul(test_cuda::matmul_tiled, 20, 20, 20);
}
