#include "bench/device.h"

#include <algorithm>
#include <bit>
#include <memory>
#include <vector>

#include "tinygpt/core/random.h"

namespace tinygpt::bench {
namespace {

template <class T>
DeviceBuffer repeated(const Memory& memory, std::int64_t n, const std::vector<T>& values) {
  DeviceBuffer buffer(memory, n * std::int64_t{sizeof(T)});
  T* data = static_cast<T*>(buffer.data());
  const auto block = static_cast<std::int64_t>(values.size());
  for (std::int64_t i = 0; i < n; i += block) {
    memory.copy_in(data + i, values.data(),
                   static_cast<std::size_t>(std::min(block, n - i)) * sizeof(T));
  }
  return buffer;
}

std::vector<float> uniform_values(std::int64_t n, std::uint64_t seed) {
  constexpr std::int64_t kMost = 1 << 20;
  Random random{seed};
  std::vector<float> values(static_cast<std::size_t>(std::min(n, kMost)));
  for (float& value : values) value = static_cast<float>(random.uniform() - 0.5);
  return values;
}

}  // namespace

DeviceBuffer random_floats(const Memory& memory, std::int64_t n, std::uint64_t seed) {
  return repeated(memory, n, uniform_values(n, seed));
}

DeviceBuffer random_bf16(const Memory& memory, std::int64_t n, std::uint64_t seed) {
  std::vector<std::uint16_t> halves;
  for (const float value : uniform_values(n, seed)) {
    halves.push_back(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16));
  }
  return repeated(memory, n, halves);
}

DeviceBuffer zeros(const Memory& memory, std::int64_t bytes) {
  DeviceBuffer buffer(memory, bytes);
  memory.zero(buffer.data(), static_cast<std::size_t>(bytes));
  return buffer;
}

std::function<void()> waiting(const Memory& memory) {
  const auto word = std::make_shared<DeviceBuffer>(zeros(memory, sizeof(float)));
  return [memory, word] {
    float value;
    memory.copy_out(&value, word->data(), sizeof(value));
  };
}

}  // namespace tinygpt::bench
