// libFuzzer target: any bytes as a safetensors file are refused with Error, or give tensors that
// can be read to their ends.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "tinygpt/core/error.h"
#include "tinygpt/io/safetensors.h"

using namespace tinygpt;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const SafetensorsFile f =
        parse_safetensors({reinterpret_cast<const std::byte*>(data), size}, "fuzz");
    std::size_t bytes = 0;
    for (const auto& [name, tensor] : f.tensors) {
      bytes += tensor.bytes.size();
      if (!is_float_dtype(tensor.dtype)) continue;
      std::vector<float> values(static_cast<std::size_t>(tensor.size()));
      copy_as_float(values, tensor);
    }
    if (bytes > size) std::abort();
  } catch (const Error&) {
  }
  return 0;
}
