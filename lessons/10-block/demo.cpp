// The experiments of lesson 10; those that train are in demo_training.cpp.
#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "lessons/10-block/tower.h"
#include "lessons/10-block/training.h"
#include "lessons/support/demo.h"
#include "solutions/10-block/block.h"

#if defined(TINYGPT_CHECKED_KERNELS)
#include "solutions/10-block/block.cuh"
#include "tinygpt/simt/memory.h"
#include "tinygpt/simt/profile.h"
#endif

using namespace tinygpt;
using namespace tinygpt::lessons;

namespace {

constexpr int kCount = 4;
const std::vector<float> kRow = {1, 7, 7, 9};
const std::vector<float> kOnes(kCount, 1.0f), kDout = {1, 0, 0, 0};
constexpr float kEps = 1e-5f;

struct Normalised {
  std::vector<float> out = std::vector<float>(kCount);
  float mean = 0, rstd = 0;
};

Normalised layernorm(const std::vector<float>& x) {
  Normalised n;
  ref::layernorm_forward(n.out.data(), &n.mean, &n.rstd, x.data(), kOnes.data(), nullptr, 1, kCount,
                         kEps);
  return n;
}

// How much out[0] changes for each unit of x[c], by central differences.
double slope(std::size_t c) {
  std::vector<float> above = kRow, below = kRow;
  above[c] += 0.03125f, below[c] -= 0.03125f;
  return (double{layernorm(above).out[0]} - layernorm(below).out[0]) / 0.0625;
}

// The variance as mean(x^2) - mean(x)^2, each step rounded to a float, as written: a compiler may
// otherwise fuse two of them.
float rounded(float value) {
  const volatile float kept = value;
  return kept;
}

float shortcut(const std::vector<float>& x) {
  float squares = 0, sum = 0;
  for (const float value : x) squares = rounded(squares + rounded(value * value)), sum += value;
  const float mean = sum / kCount;
  return rounded(squares / kCount) - rounded(mean * mean);
}

void worked_forward() {
  const Normalised layer = layernorm(kRow);
  std::vector<float> rms(kCount);
  float rms_rstd = 0;
  ref::rmsnorm_forward(rms.data(), &rms_rstd, kRow.data(), kOnes.data(), 1, kCount, kEps);
  fmt::print("the token 'cat' has four numbers\n\n{:>8}{:>12}{:>12}{:>14}{:>14}\n", "x", "x - mean",
             "squared", "LayerNorm", "RMSNorm");
  double squares = 0;
  for (std::size_t c = 0; c < kCount; ++c) {
    const float centred = kRow[c] - layer.mean;
    squares += double{centred} * centred / kCount;
    fmt::print("{:>8.0f}{:>12.0f}{:>12.0f}{:>14.3f}{:>14.3f}\n", kRow[c], centred,
               centred * centred, layer.out[c], rms[c]);
  }
  fmt::print("\nLayerNorm: mean {:.0f}, variance {:.0f}, rstd {:.4f}\n", layer.mean, squares,
             layer.rstd);
  fmt::print("RMSNorm:   mean square {:.0f}, rstd {:.4f}\n\n", 1 / (double{rms_rstd} * rms_rstd),
             rms_rstd);
  std::vector<float> raised = kRow;
  for (float& value : raised) value += 4096;
  const Normalised far = layernorm(raised);
  fmt::print("4096 added to each x: LayerNorm's variance {:.2f}, the shortcut's {:.2f}\n",
             1 / (double{far.rstd} * far.rstd), shortcut(raised));
}

void worked_backward() {
  const Normalised layer = layernorm(kRow);
  std::vector<float> dx(kCount, 0.0f), dweight(kCount, 0.0f);
  ref::layernorm_backward(dx.data(), dweight.data(), nullptr, kDout.data(), kRow.data(),
                          kOnes.data(), &layer.mean, &layer.rstd, nullptr, 1, kCount);
  double mean_g = 0, mean_g_xhat = 0;
  for (std::size_t c = 0; c < kCount; ++c) {
    mean_g += double{kDout[c]} / kCount;
    mean_g_xhat += double{kDout[c]} * layer.out[c] / kCount;
  }
  fmt::print("\nthe gradient of the first output: average of g {:.3f}, of g * xhat {:.3f}\n\n",
             mean_g, mean_g_xhat);
  fmt::print("{:>4}{:>12}{:>16}{:>12}{:>10}{:>24}\n", "g", "- average", "- xhat * avg", "* rstd",
             "dx", "by differences of out");
  for (std::size_t c = 0; c < kCount; ++c) {
    const double sum = kDout[c] - mean_g - layer.out[c] * mean_g_xhat;
    fmt::print("{:>4.0f}{:>12.3f}{:>16.3f}{:>12.4f}{:>10.4f}{:>24.4f}\n", kDout[c], -mean_g,
               -layer.out[c] * mean_g_xhat, layer.rstd * sum, dx[c], slope(c));
  }
}

void worked(const std::vector<Option>&) {
  worked_forward();
  worked_backward();
}

void check_tower(const std::vector<Option>&) {
  const std::vector<int> text = {0, 1, 2, 3, 4, 0, 2, 4, 1, 3, 0, 1, 2, 3,
                                 4, 4, 3, 2, 1, 0, 0, 3, 1, 2, 4, 0, 1};
  for (const auto& [name, norm] :
       {std::pair{"pre-norm", Norm::before}, {"post-norm", Norm::after}}) {
    Tower tower({name, true, norm, 2, 0.2f}, 5, 3);
    fmt::print("{}, dropout 0.2: largest relative error of {} gradients {:.1e}\n", name,
               tower.parameters(), tower.gradient_error(text));
  }
}

#if defined(TINYGPT_CHECKED_KERNELS)

// Arrays of zeros on the emulator: for the profiler values do not matter, addresses do.
class Arrays {
 public:
  float* floats(std::int64_t n) {
    const std::size_t bytes = static_cast<std::size_t>(n) * sizeof(float);
    data_.push_back(memory_.allocate(bytes));
    memory_.zero(data_.back(), bytes);
    return static_cast<float*>(data_.back());
  }
  ~Arrays() {
    for (void* data : data_) memory_.release(data);
  }

 private:
  Memory memory_ = simt::emulated_memory();
  std::vector<void*> data_;
};

void print_kernel(const char* words, const simt::KernelProfile& k) {
  fmt::print("{:<36}{:>8}{:>10}{:>10}\n", words, k.blocks, k.threads, k.barriers);
}

void warps(const std::vector<Option>& options) {
  const int N = static_cast<int>(as_number(options, "rows"));
  const int C = static_cast<int>(as_number(options, "columns"));
  Arrays a;
  const std::int64_t size = std::int64_t{N} * C;
  float *out = a.floats(size), *x = a.floats(size), *dout = a.floats(size), *mean = a.floats(N);
  float *rstd = a.floats(N), *weight = a.floats(C), *dweight = a.floats(C), *dbias = a.floats(C);
  float* scratch = a.floats(ref_cuda::norm_scratch_size(N, C));
  simt::Profiling profiling;
  ref_cuda::layernorm_forward<float>(out, mean, rstd, x, weight, weight, N, C, kEps);
  ref_cuda::rmsnorm_forward<float>(out, rstd, x, weight, N, C, kEps);
  ref_cuda::layernorm_backward<float>(out, dweight, dbias, dout, x, weight, mean, rstd, scratch, N,
                                      C);
  ref_cuda::rmsnorm_backward<float>(out, dweight, dout, x, weight, rstd, scratch, N, C);
  fmt::print("{} rows of {} numbers, as the emulator counts\n\n", N, C);
  fmt::print("{:<36}{:>8}{:>10}{:>10}\n", "", "blocks", "threads", "barriers");
  print_kernel("a warp for each row (layernorm)",
               simt::kernel_profile(profiling, "layernorm_forward_kernel"));
  print_kernel("a block for each row (rmsnorm)",
               simt::kernel_profile(profiling, "rmsnorm_forward_kernel"));
  fmt::print("\n");
  print_kernel("column sums, two stages: first",
               simt::kernel_profile(profiling, "layernorm_partial_sums_kernel"));
  print_kernel("                         second",
               simt::kernel_profile(profiling, "add_partial_sums_kernel"));
  print_kernel("column sums, one stage (rmsnorm)",
               simt::kernel_profile(profiling, "rmsnorm_weight_backward_kernel"));
}

#endif

}  // namespace

int main(int argc, char** argv) {
  const Option text{"text", "a text file instead of tinytales", ""};
  const Option layers{"layers", "blocks of the tower", "32"}, seed{"seed", "of all numbers", "1"};
  const Option rate{"rate", "learning rate", "0.001"};
  std::vector<Experiment> experiments = {
      {"worked", "the numbers of the lesson's worked example", worked},
      {"check", "the gradient of two small towers against differences of the loss", check_tower},
      {"depth",
       "gradient norm by depth, with and without each part, before and after training",
       depth,
       {text, layers, {"steps", "steps of training", "300"}, rate, seed}},
      {"orders",
       "pre-norm and post-norm, with and without warm-up",
       orders,
       {text, layers, {"steps", "steps", "1500"}, {"warm", "steps of warm-up", "300"}, rate, seed}},
      {"dropout",
       "a short text learned by heart, with more and less dropout",
       dropout,
       {text,
        {"layers", "blocks of the tower", "4"},
        {"steps", "steps", "2000"},
        {"characters", "of the training text", "3000"},
        rate,
        seed}}};
#if defined(TINYGPT_CHECKED_KERNELS)
  experiments.push_back({"warps",
                         "a warp or a block for each row; one stage or two",
                         warps,
                         {{"rows", "rows", "256"}, {"columns", "numbers in a row", "64"}}});
#endif
  return run_demo(argc, argv, "Lesson 10: the block", std::move(experiments));
}
