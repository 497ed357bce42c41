// Profile mode tells what is known of these kernels.
#define test_cuda test_cuda_checked
#include "tinygpt/simt/profile.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>

#include "tests/simt/device_buffer.h"
#include "tests/simt/kernels.h"
#include "tests/simt/profile_kernels.h"
#include "tests/support/catch.h"

using namespace tinygpt::simt;

namespace {

// The profile of the line of profile_kernels.cu that ends with this comment.
LineProfile line_profile(const KernelProfile& kernel, const std::string& comment) {
  std::ifstream source(TINYGPT_SOURCE_DIR "/tests/simt/profile_kernels.cu");
  std::string text;
  for (int number = 1; std::getline(source, text); ++number) {
    const std::string mark = "// " + comment;
    if (text.size() < mark.size() || text.substr(text.size() - mark.size()) != mark) continue;
    for (const LineProfile& line : kernel.lines) {
      if (line.line == number && line.file.find("profile_kernels.cu") != std::string::npos) {
        return line;
      }
    }
  }
  FAIL("no line with the comment " << comment);
  return {};
}

KernelProfile profile_stride(int stride) {
  DeviceBuffer<float> out(32), x(std::vector<float>(32 * static_cast<std::size_t>(stride), 1.0f));
  Profiling profiling;
  test_cuda::copy_stride(out.data(), x.data(), stride);
  return kernel_profile(profiling, "copy_stride_kernel");
}

KernelProfile profile_columns(int padded) {
  DeviceBuffer<float> out(32);
  Profiling profiling;
  test_cuda::read_columns(out.data(), padded);
  return kernel_profile(profiling, "read_columns_kernel");
}

}  // namespace

TEST_CASE("a coalesced load of floats needs four sectors, one of stride 32 needs 32",
          "[simt][profile]") {
  for (const int stride : {1, 2, 8, 32}) {
    const LineProfile load = line_profile(profile_stride(stride), "load");
    CHECK(load.loads == 32);
    CHECK(load.requests == 1);
    CHECK(load.sectors == static_cast<std::uint64_t>(std::min(4 * stride, 32)));
    CHECK(load.bytes_loaded == 128);
    const LineProfile store = line_profile(profile_stride(stride), "store");
    CHECK(store.stores == 32);
    CHECK(store.sectors == 4);
  }
}

TEST_CASE("a load of float4 needs sixteen sectors", "[simt][profile]") {
  DeviceBuffer<float> out(128), x(std::vector<float>(128, 1.0f));
  Profiling profiling;
  test_cuda::copy_float4(out.data(), x.data());
  const KernelProfile kernel = kernel_profile(profiling, "copy_float4_kernel");
  CHECK(kernel.total.requests == 2);  // the load and the store
  CHECK(kernel.total.sectors == 32);
  CHECK(kernel.total.loads == 32);
}

TEST_CASE("a column of an unpadded tile is a 32-way bank conflict, of a padded one none",
          "[simt][profile]") {
  const LineProfile unpadded = line_profile(profile_columns(0), "column read");
  CHECK(unpadded.shared_requests == 32);
  CHECK(unpadded.worst_conflict == 32);
  CHECK(unpadded.shared_turns == 32 * 32);
  const LineProfile padded = line_profile(profile_columns(1), "column read");
  CHECK(padded.shared_requests == 32);
  CHECK(padded.worst_conflict == 1);
  CHECK(padded.shared_turns == 32);
}

TEST_CASE("a branch that half of the warp takes is divergent", "[simt][profile]") {
  DeviceBuffer<float> out(32);
  Profiling profiling;
  test_cuda::half_of_the_warp(out.data());
  const KernelProfile kernel = kernel_profile(profiling, "half_of_the_warp_kernel");
  CHECK(line_profile(kernel, "half").divergent == 1);
  CHECK(kernel.total.divergent == 1);
}

TEST_CASE("the tiled product loads a sixteenth of the naive one's bytes", "[simt][profile]") {
  const int n = 64;
  const std::vector<float> ones(std::size_t{n} * n, 1.0f);
  DeviceBuffer<float> a(ones), b(ones), c(ones.size());
  Profiling profiling;
  test_cuda::matmul_naive(c.data(), a.data(), b.data(), n, n, n);
  test_cuda::matmul_tiled(c.data(), a.data(), b.data(), n, n, n);
  const KernelProfile naive = kernel_profile(profiling, "matmul_naive_kernel");
  const KernelProfile tiled = kernel_profile(profiling, "matmul_tiled_kernel");
  CHECK(naive.total.bytes_loaded == std::uint64_t{2} * n * n * n * sizeof(float));
  CHECK(tiled.total.bytes_loaded * 16 == naive.total.bytes_loaded);
  CHECK(tiled.shared_bytes >= 2 * 16 * 16 * sizeof(float));
  CHECK(tiled.barriers == 16 * 2 * 4);
  const double flops = 2.0 * n * n * n;
  CHECK(roofline(tiled, flops).flops_per_byte > roofline(naive, flops).flops_per_byte);
  CHECK_THAT(table(tiled, flops),
             ContainsSubstring("kernels.cu:") && ContainsSubstring("for arithmetic"));
}
