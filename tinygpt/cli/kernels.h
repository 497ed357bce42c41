// Which implementation computes: --kernels, --threads and --device.
#pragma once

#include <CLI/App.hpp>
#include <string>

#include "tinygpt/ops/ops.h"

namespace tinygpt::cli {

struct KernelChoice {
  std::string kernels = "cpu";
  int threads = 0;  // 0: as many as there are processors
  std::string device = "auto";
};

// Adds the three options to a command.
void add_kernel_options(CLI::App& command, KernelChoice& choice);

// The table, with the number of threads set. Throws Error, naming the option, where there is none.
Ops<float> choose_kernels(KernelChoice& choice);

}  // namespace tinygpt::cli
