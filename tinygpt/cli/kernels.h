// Which implementation computes, and where: --kernels, --threads and --device.
#pragma once

#include <CLI/App.hpp>
#include <string>
#include <vector>

#include "tinygpt/core/bfloat16.h"
#include "tinygpt/ops/ops.h"

namespace tinygpt::cli {

struct KernelChoice {
  std::string kernels;  // empty: the device's fastest
  int threads = 0;      // 0: as many as there are processors
  std::string device = "auto";
  // Of the products of linear layers on the cpu: float, or bf16 (cpu/table.h). Not an option of its
  // own: it decides what a training computes and belongs to its settings.
  std::string matmul_precision = "float";
};

// What a model is made with: a table and the memory that its pointers point into.
struct Kernels {
  Ops<float> ops;
  Ops<Bfloat16> bf16_ops;  // empty on the cpu
  Memory memory;
};

// A table beside the library's own.
struct MoreKernels {
  std::string name;
  Ops<float> ops;
  Ops<Bfloat16> bf16_ops;  // empty on the cpu
};

// Tables for a device ("cpu", "cuda", "emulated"): none in `tinygpt`, the learner's in
// `tinygpt-mine`. Defined where the program is put together.
std::vector<MoreKernels> more_tables(const std::string& device);

// Adds the first three options to a command.
void add_kernel_options(CLI::App& command, KernelChoice& choice);

// The choice, with the number of threads set. Whatever was left open in `choice` is filled in: a
// device of "auto" becomes "cuda" where a GPU can be used, else "cpu"; never "emulated". Throws
// Error, naming the option, where there is no such thing.
Kernels choose_kernels(KernelChoice& choice);

}  // namespace tinygpt::cli
