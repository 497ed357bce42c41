// Grades exercises/10-block/layernorm.cu.
#include "solutions/10-block/block.cuh"
#include "tests/lessons/10-block/norm_exam.h"
#include "tests/lessons/grading/device.h"

namespace tinygpt::lessons {
namespace {

// For the profiler: values do not matter, addresses do.
void run_forward(const Memory& memory, int N, int C) {
  const auto floats = [&](std::int64_t n) {
    void* data = memory.allocate(static_cast<std::size_t>(n) * sizeof(float));
    memory.zero(data, static_cast<std::size_t>(n) * sizeof(float));
    return static_cast<float*>(data);
  };
  float* a[] = {floats(std::int64_t{N} * C), floats(N), floats(N),
                floats(std::int64_t{N} * C), floats(C), floats(C)};
  ref_cuda::layernorm_forward<float>(a[0], a[1], a[2], a[3], a[4], a[5], N, C, 1e-5f);
  for (float* data : a) memory.release(data);
}

void run_backward(const Memory& memory, int N, int C) {
  const auto floats = [&](std::int64_t n) {
    void* data = memory.allocate(static_cast<std::size_t>(n) * sizeof(float));
    memory.zero(data, static_cast<std::size_t>(n) * sizeof(float));
    return static_cast<float*>(data);
  };
  const std::int64_t size = std::int64_t{N} * C;
  float* a[] = {floats(size), floats(C),    floats(C),
                floats(size), floats(size), floats(C),
                floats(N),    floats(N),    floats(ref_cuda::norm_scratch_size(N, C))};
  ref_cuda::layernorm_backward<float>(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], N, C);
  for (float* data : a) memory.release(data);
}

void examine_forward(Exam& exam) {
  examine_layernorm_forward(exam, ref_cuda::layernorm_forward<float>);
  exam.call("layernorm_forward(N=16, C=256), watched by the profiler");
  const double sectors = sectors_per_request([&] { run_forward(exam.memory(), 16, 256); });
  exam.expect_true(sectors <= 5,
                   fmt::format("a request of a warp takes {:.1f} sectors of memory; 4 would be one "
                               "piece",
                               sectors),
                   "At every moment the 32 lanes of a warp should read 32 neighbours: lane i has "
                   "values i, i + 32, i + 64, ...");
}

// What arrives if the rows are shared out wrongly among the blocks.
std::vector<Mistake> pieces_of(const Values& terms, int N, int C) {
  const int pieces = std::min((N + 63) / 64, 128);
  constexpr int kThreads = 256;
  if (C > kThreads) {
    return {only_first_columns(
        kThreads,
        "Only the first 256 columns arrive. The second stage has one thread for each "
        "column: that takes ceil_div(C, kThreads) blocks.")};
  }
  if (N <= 8 * pieces) return {};
  const auto piece = [pieces](int n) { return n / 8 % pieces; };
  std::vector<Mistake> all = {
      gives(column_sums(terms, N, C, [pieces](int n) { return n < 8 * pieces; }),
            "Each thread has one row only. There are more rows than threads: go on in steps of "
            "gridDim.y * blockDim.y.")};
  if (pieces == 1) return all;
  all.push_back(
      gives(times(column_sums(terms, N, C), pieces),
            "Every block goes through all rows, so each row counts as often as there are pieces. "
            "Block j of gridDim.y has rows from 8 j + threadIdx.y on, in steps of 8 gridDim.y."));
  all.push_back(
      gives(column_sums(terms, N, C, [piece](int n) { return piece(n) == 0; }),
            "Only the first row of partial sums arrives: the second stage adds up all of them."));
  all.push_back(
      gives(column_sums(terms, N, C, [piece, pieces](int n) { return piece(n) != pieces - 1; }),
            "The last row of partial sums is left out."));
  all.push_back(gives(
      column_sums(terms, N, C, [N, pieces](int n) { return n < N / pieces * pieces; }),
      "The last rows are left out: N / gridDim.y is rounded down, and what remains belongs to "
      "nobody. Go on in steps of gridDim.y * blockDim.y while n < N."));
  return all;
}

}  // namespace

std::vector<Task> tasks() {
  return {{"10.layernorm_forward_cuda",
           examine_forward,
           {"64 rows of 256", [](const Memory& m) { run_forward(m, 64, 256); }}},
          {"10.layernorm_gradients_cuda",
           [](Exam& e) {
             examine_layernorm_backward(
                 e, ref_cuda::layernorm_backward<float>,
                 {{3, 4}, {1, 1}, {0, 3}, {8, 33}, {9, 32}, {65, 5}, {150, 35}, {300, 2}, {2, 257}},
                 ref_cuda::norm_scratch_size, pieces_of);
           },
           {"512 rows of 64", [](const Memory& m) { run_backward(m, 512, 64); }}}};
}

}  // namespace tinygpt::lessons
