// The experiments of lesson 03.
#include <fmt/format.h>
#include <omp.h>

#include <Eigen/Core>
#include <cstdint>
#include <string>
#include <vector>

#include "bench/measure.h"
#include "lessons/support/chart.h"
#include "lessons/support/demo.h"
#include "solutions/03-matmul/matmul.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/random.h"
#include "tinygpt/cpu/peak.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/model/gpt.h"

#if defined(TINYGPT_CHECKED_KERNELS)
#include "solutions/03-matmul/matmul.cuh"
#include "tinygpt/simt/memory.h"
#include "tinygpt/simt/profile.h"
#endif

using namespace tinygpt;
using namespace tinygpt::lessons;

namespace {

void worked(const std::vector<Option>&) {
  const std::vector<float> x = {1, 0, 2, 0, 1, 1, 2, 1, 0, 1, 1, 1};          // [4, 3]
  const std::vector<float> weight = {0.5f, -1.0f, 0.25f, 1.0f, 0.0f, -0.5f};  // [2, 3]
  const std::vector<float> bias = {0.1f, 0.2f};
  std::vector<float> out(8);
  ref::linear_forward(out.data(), x.data(), weight.data(), bias.data(), nullptr, 4, 3, 2);
  const char* names[] = {"a", "cat", "sat", "."};
  fmt::print("weight, a row for each output:  0.50 -1.00 0.25  and  1.00 0.00 -0.50\n");
  fmt::print("bias: 0.10 and 0.20\n\n{:>6}{:>10}{:>44}{:>9}{:>9}\n", "token", "x", "first output",
             "is", "second");
  for (std::size_t n = 0; n < 4; ++n) {
    const float* r = x.data() + 3 * n;
    fmt::print("{:>6}{:>10}{:>44}{:>9.2f}{:>9.2f}\n", names[n],
               fmt::format("{:.0f} {:.0f} {:.0f}", r[0], r[1], r[2]),
               fmt::format("0.10 + {:.0f}*0.50 + {:.0f}*-1.00 + {:.0f}*0.25", r[0], r[1], r[2]),
               out[2 * n], out[2 * n + 1]);
  }
}

void share(const std::vector<Option>&) {
  fmt::print("{:<14}{:>18}{:>18}{:>14}\n", "model", "FLOPs a token", "matrix products",
             "their share");
  for (const char* name : {"nano-10m", "gpt2-124m", "gpt2-1558m"}) {
    const GptConfig config = named_config(name);
    const FlopLedger f = flop_ledger(config, config.context_length);
    fmt::print("{:<14}{:>15.1f} M{:>15.1f} M{:>13.1f}%\n", name, f.forward * 1e-6,
               (f.linears + f.head) * 1e-6, 100 * (f.linears + f.head) / f.forward);
  }
}

// Everything that a product needs, filled with random numbers.
struct Problem {
  explicit Problem(int side) : n(side), a(count()), b(count()), out(count()) {
    Random random{1};
    for (float& value : a) value = static_cast<float>(random.normal());
    for (float& value : b) value = static_cast<float>(random.normal());
  }
  std::size_t count() const { return static_cast<std::size_t>(n) * static_cast<std::size_t>(n); }
  int n;
  std::vector<float> a, b, out, scratch;
};

std::vector<bench::Candidate> candidates(Problem& p, const Ops<float>& fast) {
  using Matrix = Eigen::Map<Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;
  const auto linear = [&p, &fast](int threads) {
    return [&p, &fast, threads] {
      omp_set_num_threads(threads);
      fast.linear_forward(p.out.data(), p.a.data(), p.b.data(), nullptr, p.scratch.data(), p.n, p.n,
                          p.n);
    };
  };
  const auto eigen = [&p](int threads) {
    return [&p, threads] {
      omp_set_num_threads(threads);
      Eigen::setNbThreads(threads);
      Matrix(p.out.data(), p.n, p.n).noalias() =
          Matrix(p.a.data(), p.n, p.n) * Matrix(p.b.data(), p.n, p.n).transpose();
    };
  };
  return {{"matmul_naive",
           [&p] { ref::matmul_naive(p.out.data(), p.a.data(), p.b.data(), p.n, p.n, p.n); }},
          {"matmul_tiled",
           [&p] { ref::matmul_tiled(p.out.data(), p.a.data(), p.b.data(), p.n, p.n, p.n); }},
          {"Eigen, 1 thread", eigen(1)},
          {"tinygpt's cpu, 1 thread", linear(1)},
          {"Eigen, 2 threads", eigen(2)},
          {"tinygpt's cpu, 2 threads", linear(2)}};
}

void speed(const std::vector<Option>& options) {
  const double side = as_number(options, "size");
  check(side >= 16 && side <= 4096, "--size must be from 16 to 4096");
  Problem p(static_cast<int>(side));
  const Ops<float> fast = cpu::ops();
  omp_set_num_threads(2);
  p.scratch.resize(static_cast<std::size_t>(fast.linear_scratch_size(p.n, p.n, p.n)));
  const std::vector<bench::Candidate> all = candidates(p, fast);
  const std::vector<bench::Timing> times = bench::time_in_turn(all, 5, 0.02);
  const double flops = 2 * side * side * side;
  std::vector<Bar> bars;
  for (std::size_t i = 0; i < all.size(); ++i) {
    bars.push_back({all[i].name, flops / times[i].median * 1e-9});
  }
  bars.push_back({"peak of 1 thread", cpu::measure_peak_flops(1) * 1e-9});
  bars.push_back({"peak of 2 threads", cpu::measure_peak_flops(2) * 1e-9});
  fmt::print("a product of {0} x {0} matrices, medians of 5\n\n", p.n);
  print_bars(bars, "GFLOP/s");
}

#if defined(TINYGPT_CHECKED_KERNELS)

void profile(const std::vector<Option>& options) {
  const double side = as_number(options, "size");
  check(side >= 1 && side <= 256 && side == static_cast<int>(side), "--size must be 1 to 256");
  const int n = static_cast<int>(side);
  const Memory memory = simt::emulated_memory();
  const std::size_t bytes = sizeof(float) * static_cast<std::size_t>(n * n);
  float* arrays[3];
  for (float*& array : arrays) {
    array = static_cast<float*>(memory.allocate(bytes));
    memory.zero(array, bytes);
  }
  struct Kernel {
    const char* name;
    void (*run)(float*, const float*, const float*, int, int, int);
  };
  fmt::print("a product of {0} x {0} matrices, as the emulator counts it\n\n", n);
  fmt::print("{:<24}{:>14}{:>20}{:>16}{:>12}\n", "", "KiB loaded", "sectors a request",
             "FLOPs a byte", "barriers");
  for (const Kernel& kernel : {Kernel{"matmul_naive", ref_cuda::matmul_naive},
                               Kernel{"matmul_coalesced", ref_cuda::matmul_coalesced},
                               Kernel{"matmul_tiled", ref_cuda::matmul_tiled},
                               Kernel{"matmul_register_tiled", ref_cuda::matmul_register_tiled}}) {
    simt::Profiling profiling;
    kernel.run(arrays[0], arrays[1], arrays[2], n, n, n);
    const simt::KernelProfile& p = profiling.kernels.front();
    const auto loaded = static_cast<double>(p.total.bytes_loaded);
    fmt::print("{:<24}{:>14.0f}{:>20.1f}{:>16.1f}{:>12}\n", kernel.name, loaded / 1024,
               static_cast<double>(p.total.sectors) / static_cast<double>(p.total.requests),
               2 * side * side * side / loaded, p.barriers);
  }
  for (float* array : arrays) memory.release(array);
}

#endif

}  // namespace

int main(int argc, char** argv) {
  std::vector<Experiment> experiments = {
      {"worked", "the numbers of the lesson's worked example", worked},
      {"share", "how much of a GPT's arithmetic is matrix products", share},
      {"speed",
       "GFLOP/s of every product beside Eigen and the machine's peak",
       speed,
       {{"size", "rows and columns", "512"}}}};
#if defined(TINYGPT_CHECKED_KERNELS)
  experiments.push_back({"profile",
                         "what the four CUDA kernels ask of memory",
                         profile,
                         {{"size", "rows and columns", "64"}}});
#endif
  return run_demo(argc, argv, "Lesson 03: matrix products", std::move(experiments));
}
