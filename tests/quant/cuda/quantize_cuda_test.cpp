#include <cstring>
#include <vector>

#include "solutions/21-quantization/quantize.cuh"
#include "solutions/21-quantization/quantize.h"
#include "tests/support/catch.h"
#include "tests/support/random_values.h"
#include "tinygpt/simt/memory.h"

using namespace tinygpt;

namespace {

std::vector<float> values(int n, std::uint64_t seed) {
  const test::Values v = test::random_values(n, seed);
  std::vector<float> x(v.begin(), v.end());
  if (n >= 64) std::fill(x.begin() + 32, x.begin() + 64, 0.0f);
  return x;
}

// Memory of the device with a copy of host values in it.
template <class T>
struct OnDevice {
  explicit OnDevice(const std::vector<T>& from)
      : memory(simt::emulated_memory()),
        count(from.size()),
        data(static_cast<T*>(memory.allocate(std::max<std::size_t>(1, bytes())))) {
    memory.copy_in(data, from.data(), bytes());
  }
  ~OnDevice() { memory.release(data); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  std::size_t bytes() const { return count * sizeof(T); }
  std::vector<T> read() const {
    std::vector<T> out(count);
    memory.copy_out(out.data(), data, bytes());
    return out;
  }
  Memory memory;
  std::size_t count;
  T* data;
};

template <class Block>
void compare(int n, void (*quantize)(Block*, const float*, std::int64_t),
             void (*on_device)(Block*, const float*, std::int64_t),
             void (*dequantize)(float*, const Block*, std::int64_t),
             void (*back_on_device)(float*, const Block*, std::int64_t)) {
  const std::vector<float> x = values(n, 7);
  std::vector<Block> expected(static_cast<std::size_t>(n / kQuantBlock));
  quantize(expected.data(), x.data(), n);
  const OnDevice<float> in(x), out(std::vector<float>(x.size(), -1.0f));
  const OnDevice<Block> blocks(std::vector<Block>(expected.size()));
  on_device(blocks.data, in.data, n);
  const std::vector<Block> made = blocks.read();
  CHECK(std::memcmp(made.data(), expected.data(), blocks.bytes()) == 0);
  std::vector<float> back(x.size());
  dequantize(back.data(), expected.data(), n);
  back_on_device(out.data, blocks.data, n);
  CHECK(out.read() == back);
}

}  // namespace

TEST_CASE("blocks made on the device are the host's, and so is what they stand for",
          "[quantize][cuda]") {
  for (const int n : {0, 32, 96, 32 * 41}) {
    compare<BlockQ8_0>(n, ref::quantize_q8_0, ref_cuda::quantize_q8_0, ref::dequantize_q8_0,
                       ref_cuda::dequantize_q8_0);
    compare<BlockQ4_0>(n, ref::quantize_q4_0, ref_cuda::quantize_q4_0, ref::dequantize_q4_0,
                       ref_cuda::dequantize_q4_0);
  }
}
