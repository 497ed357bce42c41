// Quantized products for any implementation: the tables', and each instruction set's.
#pragma once

#include <cstdint>
#include <vector>

#include "tests/support/implementations.h"
#include "tests/support/sandbox.h"
#include "tinygpt/ops/quantized.h"

namespace tinygpt::test {

// A linear layer's inputs, exact in both senses: weights as blocks, and what they stand for.
struct QuantizedCase {
  QuantType type;
  int N, rows, cols;
  std::vector<std::uint8_t> blocks;
  std::vector<int> weight_q;  // [rows, cols], without an offset
  Values weight_d;            // [rows, cols / 32]
  Values x, bias;
};

// Every step occurs, also those that no quantizer here makes: files come from elsewhere.
QuantizedCase quantized_case(QuantType type, int N, int rows, int cols);

// The forward pass of one implementation. Weights are packed into the device's memory.
float* run_quantized(Sandbox& s, const Implementation& i, const QuantizedCase& c, bool with_bias);

// Sizes as they come, against the equation in double precision.
void check_quantized(const Implementation& i);

}  // namespace tinygpt::test
