// Quantizers: Q8_0 and Q4_0, to look at what they keep.
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "solutions/21-quantization/quantize.h"
#include "tinygpt/core/error.h"
#include "tinygpt/python/arrays.h"
#include "tinygpt/python/bindings.h"
#include "tinygpt/python/interrupt.h"

namespace tinygpt::python {
namespace {

// Blocks as a file has them, and the shape of what they stand for.
struct Quantized {
  QuantType type = QuantType::q8_0;
  Shape shape;
  std::int64_t size = 0;
  std::vector<std::uint8_t> bytes;
  std::int64_t block_bytes() const {
    return type == QuantType::q8_0 ? std::int64_t{sizeof(BlockQ8_0)} : sizeof(BlockQ4_0);
  }
  std::int64_t blocks() const { return size / kQuantBlock; }
};
using SharedQuantized = std::shared_ptr<Quantized>;

SharedQuantized quantize(const py::object& values, const std::string& method) {
  check(method == "q8_0" || method == "q4_0",
        [&] { return fmt::format("method '{}': there are q8_0 and q4_0", method); });
  const FloatArray x = float_array(values, "values");
  check(x.size > 0 && !x.shape.empty() && x.shape.back() % kQuantBlock == 0, [&] {
    return fmt::format("values: rows of {} values do not divide into blocks of {}",
                       x.shape.empty() ? 1 : x.shape.back(), kQuantBlock);
  });
  const auto q = std::make_shared<Quantized>();
  q->type = method == "q8_0" ? QuantType::q8_0 : QuantType::q4_0;
  q->shape = x.shape;
  q->size = x.size;
  q->bytes.resize(static_cast<std::size_t>(q->blocks() * q->block_bytes()));
  without_gil([&] {
    constexpr std::int64_t kPart = 1 << 20;  // values, between two looks for Ctrl-C
    for (std::int64_t at = 0; at < x.size; at += kPart) {
      check_interrupt();
      std::uint8_t* to = q->bytes.data() + at / kQuantBlock * q->block_bytes();
      const std::int64_t n = std::min(kPart, x.size - at);
      if (q->type == QuantType::q8_0) {
        ref::quantize_q8_0(reinterpret_cast<BlockQ8_0*>(to), x.data + at, n);
      } else {
        ref::quantize_q4_0(reinterpret_cast<BlockQ4_0*>(to), x.data + at, n);
      }
    }
  });
  return q;
}

py::object dequantize(const Quantized& q) {
  std::vector<float> values(static_cast<std::size_t>(q.size));
  without_gil([&] {
    if (q.type == QuantType::q8_0) {
      ref::dequantize_q8_0(values.data(), reinterpret_cast<const BlockQ8_0*>(q.bytes.data()),
                           q.size);
    } else {
      ref::dequantize_q4_0(values.data(), reinterpret_cast<const BlockQ4_0*>(q.bytes.data()),
                           q.size);
    }
  });
  return array_of(std::move(values), q.shape);
}

py::object scales(const Quantized& q) {
  std::vector<float> all;
  for (std::int64_t b = 0; b < q.blocks(); ++b) {
    Float16 d;
    std::memcpy(&d, q.bytes.data() + b * q.block_bytes(), sizeof(d));
    all.push_back(d);
  }
  return array_of(std::move(all));
}

// The integers: -127 .. 127, or -8 .. 7.
py::object steps(const Quantized& q) {
  std::vector<std::int8_t> all(static_cast<std::size_t>(q.size));
  for (std::int64_t b = 0; b < q.blocks(); ++b) {
    const std::uint8_t* from = q.bytes.data() + b * q.block_bytes() + sizeof(Float16);
    std::int8_t* to = all.data() + b * kQuantBlock;
    if (q.type == QuantType::q8_0) {
      std::memcpy(to, from, kQuantBlock);
      continue;
    }
    for (int i = 0; i < kQuantBlock / 2; ++i) {
      to[i] = static_cast<std::int8_t>((from[i] & 15) - 8);
      to[i + kQuantBlock / 2] = static_cast<std::int8_t>((from[i] >> 4) - 8);
    }
  }
  return array_of(std::move(all), {q.blocks(), kQuantBlock});
}

}  // namespace

void bind_quantizers(py::module_& m) {
  py::class_<Quantized, SharedQuantized> c(
      m, "Quantized", "Values in blocks of 32 that share a scale, as ggml lays them out.");
  c.def("dequantize", &dequantize, "float32, of the shape that was quantized.");
  c.def_property_readonly("scales", &scales, "float32 [n / 32]: the blocks' scales.");
  c.def_property_readonly("steps", &steps,
                          "int8 [n / 32, 32]: -127 .. 127 in q8_0, -8 .. 7 in q4_0.");
  c.def_property_readonly(
      "blocks",
      [](const SharedQuantized& q) {
        const std::uint8_t* data = q->bytes.data();
        return array_view(data, {q->blocks(), q->block_bytes()}, q);
      },
      "uint8 [n / 32, 34] in q8_0 and [n / 32, 18] in q4_0: what a file holds, without a copy.");
  c.def_property_readonly(
      "method", [](const Quantized& q) { return q.type == QuantType::q8_0 ? "q8_0" : "q4_0"; },
      "'q8_0' or 'q4_0'.");
  c.def_property_readonly(
      "bits_per_value",
      [](const Quantized& q) { return 8.0 * static_cast<double>(q.block_bytes()) / kQuantBlock; },
      "8.5 or 4.5.");
  m.def("quantize", &quantize, py::arg("values"), py::arg("method") = "q8_0",
        "values float [..., n], n a multiple of 32 -> Quantized. method: 'q8_0' or 'q4_0'.");
}

}  // namespace tinygpt::python
