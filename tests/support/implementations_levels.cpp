// The processor's kernels at every level that runs here, in place of implementations.cpp's: for the
// program that runs the operators' tests on them (tinygpt/cpu/levels.h).
#include "tests/support/implementations.h"
#include "tinygpt/cpu/levels.h"

namespace tinygpt::test {

std::vector<Implementation> implementations() {
  std::vector<Implementation> all;
  for (const cpu::Level& level : cpu::levels()) {
    if (level.missing.empty()) all.push_back({"cpu, " + level.name, cpu::level_ops(level.name)});
  }
  return all;
}

std::vector<Implementation> bf16_product_implementations() {
  std::vector<Implementation> all;
  for (const cpu::Level& level : cpu::levels()) {
    if (!level.missing.empty()) continue;
    all.push_back(
        {"cpu, " + level.name + ", products of bf16", cpu::level_bf16_product_ops(level.name)});
  }
  return all;
}

std::vector<Skipped> skipped_implementations() {
  std::vector<Skipped> all;
  for (const cpu::Level& level : cpu::levels()) {
    if (level.missing.empty()) continue;
    all.push_back({"cpu, " + level.name, "this processor has no " + level.missing});
  }
  return all;
}

}  // namespace tinygpt::test
