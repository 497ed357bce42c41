// The CPU's tensor-core and asynchronous-copy instructions against plain loops, in run and in check
// mode; and a GPU's, whose fragments must be the same.
#include "tests/simt/tensor_core_kernels.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <random>

#include "tests/simt/device_buffer.h"
#include "tests/support/catch.h"
#include "tinygpt/simt/check.h"
#include "tinygpt/simt/host/bfloat16.h"
#include "tinygpt/simt/host/runtime.h"

// The same functions once more, in the namespace of check mode.
#if defined(TINYGPT_TEST_CHECKED)
#define TEST_MODE " in check mode"
#elif defined(TINYGPT_TEST_GPU)
#define TEST_MODE " on a GPU"
#else
#define TEST_MODE " in run mode"
#endif

using tinygpt::simt::from_bfloat16_bits;
using tinygpt::simt::to_bfloat16_bits;

namespace {

std::vector<float> random_floats(std::size_t n, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(n);
  for (float& value : values) value = uniform(random);
  return values;
}

std::vector<std::uint16_t> random_bfloat16(std::size_t n, unsigned seed) {
  std::vector<std::uint16_t> bits;
  for (float value : random_floats(n, seed)) bits.push_back(to_bfloat16_bits(value));
  return bits;
}

}  // namespace

TEST_CASE("mma multiplies bf16 matrices that ldmatrix loads" TEST_MODE, "[simt][tensor_core]") {
  const auto a = random_bfloat16(256, 1), b = random_bfloat16(128, 2);
  const auto c = random_floats(128, 3);
  std::vector<std::uint16_t> b_transposed(128);
  for (std::size_t k = 0; k < 16; ++k) {
    for (std::size_t n = 0; n < 8; ++n) b_transposed[n * 16 + k] = b[k * 8 + n];
  }
  for (const bool transposed : {false, true}) {
    DeviceBuffer<std::uint16_t> da(a), db(transposed ? b_transposed : b);
    DeviceBuffer<float> dc(c), dd(128);
    test_cuda::multiply_bf16(dd.data(), da.data(), db.data(), dc.data(), transposed);
    const auto d = dd.read();
    for (std::size_t i = 0; i < 128; ++i) {
      double want = c[i];
      for (std::size_t k = 0; k < 16; ++k) {
        want += double{from_bfloat16_bits(a[i / 8 * 16 + k])} *
                double{from_bfloat16_bits(b[k * 8 + i % 8])};
      }
      CHECK(std::abs(d[i] - want) < 1e-5);
    }
  }
}

TEST_CASE("mma multiplies tf32 matrices" TEST_MODE, "[simt][tensor_core]") {
  const auto a = random_floats(128, 4), b = random_floats(64, 5), c = random_floats(128, 6);
  DeviceBuffer<float> da(a), db(b), dc(c), dd(128);
  test_cuda::multiply_tf32(dd.data(), da.data(), db.data(), dc.data());
  const auto d = dd.read();
  // tf32 keeps ten bits after the first: half a unit of the last is 2^-11 of the value.
  for (std::size_t i = 0; i < 128; ++i) {
    double want = c[i], size = 0;
    for (std::size_t k = 0; k < 8; ++k) {
      const double term = double{a[i / 8 * 8 + k]} * b[k * 8 + i % 8];
      want += term;
      size += std::abs(term);
    }
    CHECK(std::abs(d[i] - want) < 2 * size / 2048 + 1e-6);
  }
}

TEST_CASE("ldmatrix gives each lane its pair of values" TEST_MODE, "[simt][tensor_core]") {
  std::vector<std::uint16_t> matrix(64);
  for (std::size_t i = 0; i < 64; ++i) matrix[i] = static_cast<std::uint16_t>(1000 + 7 * i);
  DeviceBuffer<std::uint16_t> dmatrix(matrix);
  DeviceBuffer<std::uint32_t> r(32), r_transposed(32);
  test_cuda::load_one(r.data(), r_transposed.data(), dmatrix.data());
  const auto got = r.read(), transposed = r_transposed.read();
  for (std::size_t lane = 0; lane < 32; ++lane) {
    const std::size_t across = lane / 4, along = 2 * (lane % 4);
    CHECK(got[lane] ==
          (matrix[across * 8 + along] | std::uint32_t{matrix[across * 8 + along + 1]} << 16));
    CHECK(transposed[lane] ==
          (matrix[along * 8 + across] | std::uint32_t{matrix[(along + 1) * 8 + across]} << 16));
  }
}

TEST_CASE("asynchronous copies feed a pipeline" TEST_MODE, "[simt][tensor_core]") {
  for (const int n : {1, 2, 3, 8}) {
    const auto x = random_floats(32 * static_cast<std::size_t>(n), 7);
    DeviceBuffer<float> dx(x), sums(32);
    test_cuda::pipeline(sums.data(), dx.data(), n, true);
    const auto got = sums.read();
    for (std::size_t lane = 0; lane < 32; ++lane) {
      float want = 0;
      for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) want += x[i * 32 + lane];
      CHECK(got[lane] == want);
    }
  }
}

TEST_CASE("asynchronous copies of every width copy, or write zeros" TEST_MODE,
          "[simt][tensor_core]") {
  for (const int n : {128, 100, 40}) {
    const auto x = random_floats(static_cast<std::size_t>(n), 8);
    DeviceBuffer<float> dx(x), out(128);
    test_cuda::copy_widths(out.data(), dx.data(), n);
    auto want = x;
    want.resize(128, 0.0f);
    CHECK(out.read() == want);
  }
}

#if defined(TINYGPT_TEST_CHECKED)
TEST_CASE("a copy that nobody waits for is a race" TEST_MODE, "[simt][tensor_core]") {
  using namespace tinygpt::simt;
  DeviceBuffer<float> x(random_floats(128, 9)), sums(32);
  for (std::uint64_t seed = 0; seed <= 10; ++seed) {
    Checking checking(seed);
    test_cuda::pipeline(sums.data(), x.data(), 4, false);
    REQUIRE(!checking.reports.empty());
    const bool race =
        std::any_of(checking.reports.begin(), checking.reports.end(), [](const Report& report) {
          return report.fault == Fault::race &&
                 report.message.find("unfinished asynchronous copy") != std::string::npos;
        });
    CHECK(race);
  }
}
#endif

#if !defined(TINYGPT_TEST_GPU)
// Hidden: run with TINYGPT_EMULATED_CAPABILITY=7.5, for which the emulated device is asked once.
TEST_CASE("a device of compute capability 7.5 refuses what came with 8.0" TEST_MODE,
          "[.][turing]") {
  cudaDeviceProp properties;
  REQUIRE(cudaGetDeviceProperties(&properties, 0) == cudaSuccess);
  REQUIRE(properties.major == 7);
  CHECK(properties.minor == 5);
  CHECK(properties.sharedMemPerBlockOptin == 64 << 10);
  DeviceBuffer<std::uint16_t> half(std::vector<std::uint16_t>(256, 0));
  DeviceBuffer<float> x(std::vector<float>(512, 0.0f)), out(128);
  CHECK_THROWS_WITH(test_cuda::multiply_bf16(out.data(), half.data(), half.data(), x.data(), false),
                    ContainsSubstring("missing instruction") && ContainsSubstring("8.0"));
  CHECK_THROWS_WITH(test_cuda::multiply_tf32(out.data(), x.data(), x.data(), x.data()),
                    ContainsSubstring("missing instruction"));
#if defined(TINYGPT_TEST_CHECKED)
  CHECK_THROWS_WITH(test_cuda::copy_widths(out.data(), x.data(), 128),
                    ContainsSubstring("cp.async needs compute capability 8.0"));
#endif
}
#endif
