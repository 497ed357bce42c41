// The benchmarks, one function each: they add their rows to the report.
#pragma once

#include <string>
#include <vector>

#include "bench/products.h"
#include "bench/report.h"
#include "tinygpt/model/config.h"
#include "tinygpt/ops/ops.h"

namespace tinygpt::bench {

struct Settings {
  GptConfig config;
  int batch = 8;
  int time = 256;
  int threads = 2;
  int rounds = 7;
  double min_seconds = 0.05;  // of one measurement
  std::string python;         // an interpreter with torch, or empty

  std::string device = "cpu";  // or cuda, or emulated
  Memory memory = host_memory();
  Ops<float> reference;            // the clear kernels of the same device
  std::vector<Products> products;  // of bf16, and of peers, on a device
  bool on_host() const { return device == "cpu"; }
};

// Every matrix product of a training step (forward, dX, dW), beside Eigen; on a device in bf16,
// too, and beside settings.products.
void bench_matmul(Report& report, const Settings& settings, const Ops<float>& ops);

// Attention forward and backward, beside the reference.
void bench_attention(Report& report, const Settings& settings, const Ops<float>& ops);

// A whole training step, beside the same model in PyTorch where settings.python has it.
void bench_step(Report& report, const Settings& settings, const Ops<float>& ops);

// Text from one prompt, token by token.
void bench_generate(Report& report, const Settings& settings, const Ops<float>& ops);

// Byte-level BPE: training on and encoding of `text`.
void bench_tokenizer(Report& report, const Settings& settings, const std::string& text);

}  // namespace tinygpt::bench
