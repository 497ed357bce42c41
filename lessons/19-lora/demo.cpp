// The experiments of lesson 19.
#include <fmt/format.h>

#include <vector>

#include "lessons/19-lora/lab.h"
#include "lessons/support/demo.h"
#include "solutions/03-matmul/matmul.h"
#include "solutions/19-lora/lora.h"

using namespace tinygpt;
using namespace tinygpt::lessons;

namespace {

// snippet: worked
constexpr int C = 4, OC = 3, kRank = 1;
constexpr float kScale = 2;  // alpha 2 over rank 1
const std::vector<float> kX = {1, 2, 0, -1};
const std::vector<float> kWeight = {1, 0, 2, 1, 0, 1, 1, 0, -1, 1, 0, 2};  // [OC, C], frozen
const std::vector<float> kA = {0.5f, 0.5f, 1, 0};                          // [rank, C]
const std::vector<float> kB = {1, 0, -0.5f};                               // [OC, rank]
// end of snippet

void print_row(const char* name, const std::vector<float>& values) {
  fmt::print("{:<24}", name);
  for (const float value : values) fmt::print("{:>7.2f}", value + 0.0f);
  fmt::print("\n");
}

std::vector<float> through(const std::vector<float>& weight) {
  std::vector<float> out(OC);
  ref::linear_forward(out.data(), kX.data(), weight.data(), nullptr, nullptr, 1, C, OC);
  return out;
}

void print_matrix(const char* name, const std::vector<float>& weight) {
  for (int o = 0; o < OC; ++o) {
    print_row(o == 0 ? name : "", {weight.begin() + o * C, weight.begin() + (o + 1) * C});
  }
}

void worked(const std::vector<Option>&) {
  print_row("x, the token 'cat'", kX);
  print_matrix("W, frozen", kWeight);
  print_row("A", kA);
  print_row("B, one column", kB);
  std::vector<float> out = through(kWeight), ax(kRank), scratch(kRank);
  const std::vector<float> frozen = out;
  ref::lora_forward(out.data(), ax.data(), kX.data(), kA.data(), kB.data(), nullptr, 1, C, OC, OC,
                    kRank, kScale);
  std::vector<float> added = out;
  for (std::size_t o = 0; o < added.size(); ++o) added[o] -= frozen[o];
  fmt::print("\n");
  print_row("x W^T", frozen);
  print_row("x A^T", ax);
  print_row("2 (x A^T) B^T", added);
  print_row("out", out);
  std::vector<float> merged = kWeight;
  ref::lora_merge(merged.data(), kA.data(), kB.data(), C, OC, kRank, kScale);
  fmt::print("\n");
  print_matrix("W + 2 B A", merged);
  print_row("x (W + 2 B A)^T", through(merged));
  const std::vector<float> dout = {1, -1, -2};
  std::vector<float> dx(C), da(kRank * C), db(OC * kRank);
  ref::lora_backward(dx.data(), da.data(), db.data(), dout.data(), ax.data(), kX.data(), kA.data(),
                     kB.data(), scratch.data(), 1, C, OC, OC, kRank, kScale);
  fmt::print("\n");
  print_row("dout", dout);
  print_row("dB", db);
  print_row("dax", scratch);
  print_row("dA", da);
  print_row("dx, the adapter's part", dx);
}

}  // namespace

int main(int argc, char** argv) {
  return run_demo(argc, argv, "Lesson 19: LoRA",
                  {{"worked", "the numbers of the lesson's worked example", worked},
                   {"rank", "loss and bytes of adapters of several ranks", compare_ranks},
                   {"start", "how an adapter must start, and how not", compare_starts},
                   {"frozen", "the base's weights before and after, and the memory", prove_frozen},
                   {"merge", "merged, merged twice, taken out again", merge_and_unmerge},
                   {"write", "a text with the adapter, and one without", write_texts}});
}
