// libFuzzer target: any bytes as a GGUF file are refused with Error, or give tensors and settings
// that can be read to their ends.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "tinygpt/core/error.h"
#include "tinygpt/io/gguf.h"

using namespace tinygpt;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint64_t> aligned(size / 8 + 1);
  if (size > 0) std::memcpy(aligned.data(), data, size);
  try {
    const GgufFile g =
        parse_gguf({reinterpret_cast<const std::byte*>(aligned.data()), size}, "fuzz");
    for (const GgufTensor& tensor : g.tensors) {
      if (static_cast<std::size_t>(tensor.size()) > 8 * size) std::abort();
      std::vector<float> values(static_cast<std::size_t>(tensor.size()));
      copy_as_float(values, tensor);
      if (g.find(tensor.name) == nullptr) std::abort();
    }
    for (const auto& [key, value] : g.settings) {
      if (!g.has(key)) std::abort();
    }
  } catch (const Error&) {
  }
  return 0;
}
