// How fast the emulator is: run mode in GFLOP/s a core, check mode in accesses a second. By the
// processor's time and not the clock's, and on one thread, so that a busy machine measures the
// same.
//
//   bench-emulator            prints the table
//   bench-emulator --write    also writes bench/results/emulator.md
#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <exception>
#include <fstream>
#include <string>
#include <vector>

#include "bench/report.h"
#include "tests/simt/emulator_speed.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"

namespace {

using tinygpt::bench::summarize;
using tinygpt::bench::Timing;

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  char text[16];
  std::strftime(text, sizeof text, "%Y-%m-%d", std::localtime(&now));
  return text;
}

std::string row(const char* what, const char* unit, const Timing& t, const char* aim) {
  return fmt::format("| {} | {} | {:.3g} | {:.3g} - {:.3g} | {} |\n", what, unit, t.median, t.min,
                     t.max, aim);
}

std::string page(int rounds) {
  std::vector<double> run, check;
  for (int i = 0; i < rounds; ++i) {
    run.push_back(tinygpt::test::run_mode_flops() * 1e-9);
    check.push_back(tinygpt::test::check_mode_accesses() * 1e-6);
  }
  return fmt::format(
             "# How fast the emulator is\n\n"
             "A product through tiles of 16 x 16 in shared memory (`tests/simt/kernels.cu`), one "
             "thread, by the\nprocessor's time: others' programs do not count, though they take "
             "of its caches and of its second\nhyperthread. Nothing here ran on a GPU. "
             "`build/default/bin/bench-emulator --write` writes this file.\n\n"
             "{}, {}, g++ {}, {} rounds\n\n"
             "| what | unit | median | slowest - fastest | aim |\n|---|---|--:|--:|--:|\n",
             today(), processor_name(), __VERSION__, rounds) +
         row("run mode, 256 x 256 x 256", "GFLOP/s a core", summarize(run), "0.5") +
         row("check mode, 64 x 64 x 64", "million accesses a second", summarize(check), "");
}

int run(const std::vector<std::string>& words) {
  tinygpt::check(words.empty() || (words.size() == 1 && words[0] == "--write"),
                 "bench-emulator knows one option: --write");
  omp_set_num_threads(1);
  const std::string text = page(9);
  fmt::print("{}", text);
  if (!words.empty()) {
    tinygpt::write_file_atomically(TINYGPT_SOURCE_DIR "/bench/results/emulator.md", text);
  }
  return 0;
}

}  // namespace

int main(int count, char** words) {
  try {
    return run({words + 1, words + count});
  } catch (const std::exception& problem) {
    fmt::print(stderr, "bench-emulator: {}\n", problem.what());
    return 2;
  }
}
