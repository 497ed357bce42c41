// The benchmarks, one function each: they add their rows to the report.
#pragma once

#include <string>
#include <vector>

#include "bench/products.h"
#include "bench/report.h"
#include "tinygpt/core/bfloat16.h"
#include "tinygpt/model/config.h"
#include "tinygpt/ops/ops.h"
#include "tinygpt/text/tokenizer.h"

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
  bool bf16 = false;          // --dtype: what attention, a step and generation are measured in
  Ops<float> ops, reference;  // the kernels, and the clear ones of the same device
  Ops<Bfloat16> bf16_ops, bf16_reference;  // on a device
  std::vector<Products> products;          // of bf16, and of peers, on a device
  Ops<float> bf16_product_ops;             // on the host (cpu/table.h), or empty: not measured
  bool on_host() const { return device == "cpu"; }
};

// run(ops, reference) in the type that is asked for.
template <class Run>
void in_type(const Settings& s, const Run& run) {
  if (s.bf16) run(s.bf16_ops, s.bf16_reference);
  else run(s.ops, s.reference);
}

// A section's name, which says the type.
inline std::string section(const Settings& s, const std::string& name) {
  return s.bf16 ? name + ", bf16" : name;
}

// Every matrix product of a training step (forward, dX, dW), beside Eigen; on a device in bf16,
// too, or in bf16 alone, and beside settings.products.
void bench_matmul(Report& report, const Settings& settings);

// Attention forward and backward, beside the reference.
void bench_attention(Report& report, const Settings& settings);

// A whole training step, the trainer's own, beside the same model in PyTorch where settings.python
// has it.
void bench_step(Report& report, const Settings& settings);

// Text from one prompt, token by token.
void bench_generate(Report& report, const Settings& settings);

// Byte-level BPE: training on `text`, unless a tokenizer is given, encoding of it and decoding.
void bench_tokenizer(Report& report, const Settings& settings, const std::string& text,
                     const Tokenizer* given);

}  // namespace tinygpt::bench
