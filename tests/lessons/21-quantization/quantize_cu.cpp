// Grades exercises/21-quantization/quantize.cu.
#include "solutions/21-quantization/quantize.cuh"
#include "tests/lessons/21-quantization/values_exam.h"

namespace tinygpt::lessons {
namespace {

constexpr std::int64_t kCount = 16'384;

// A run over so many equal values, for what it asks of the device's memory.
template <class Block>
void profile(const Memory& memory, const std::function<void(float*, Block*)>& run) {
  auto* x = static_cast<float*>(memory.allocate(kCount * sizeof(float)));
  auto* blocks = static_cast<Block*>(memory.allocate(kCount / kBlock * sizeof(Block)));
  memory.zero(x, kCount * sizeof(float));
  memory.zero(blocks, kCount / kBlock * sizeof(Block));
  run(x, blocks);
  memory.release(x);
  memory.release(blocks);
}

}  // namespace

std::vector<Task> tasks() {
  const auto to_q8_0 = [](const Memory& m) {
    profile<BlockQ8_0>(m, [](float* x, BlockQ8_0* b) { ref_cuda::quantize_q8_0(b, x, kCount); });
  };
  const auto to_q4_0 = [](const Memory& m) {
    profile<BlockQ4_0>(m, [](float* x, BlockQ4_0* b) { ref_cuda::quantize_q4_0(b, x, kCount); });
  };
  const auto from_q4_0 = [](const Memory& m) {
    profile<BlockQ4_0>(m, [](float* x, BlockQ4_0* b) { ref_cuda::dequantize_q4_0(x, b, kCount); });
  };
  return {{"21.quantize_q8_0_cuda",
           [](Exam& e) { examine_q8_0(e, ref_cuda::quantize_q8_0); },
           {"16,384 values", to_q8_0}},
          {"21.quantize_q4_0_cuda",
           [](Exam& e) { examine_q4_0(e, ref_cuda::quantize_q4_0); },
           {"16,384 values", to_q4_0}},
          {"21.dequantize_cuda",
           [](Exam& e) {
             examine_from_q8_0(e, ref_cuda::dequantize_q8_0);
             examine_from_q4_0(e, ref_cuda::dequantize_q4_0);
           },
           {"16,384 values of four bits", from_q4_0}}};
}

}  // namespace tinygpt::lessons
