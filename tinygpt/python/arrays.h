// NumPy arrays over our memory without a copy, and lists and arrays of Python's as our vectors.
//
// Both ways go through Python's buffer protocol, so that this code knows nothing of NumPy's own
// structures, which change between its versions.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace tinygpt::python {

namespace py = pybind11;
using Shape = std::vector<py::ssize_t>;

// Memory that an array may look at. The owner lives as long as any array over the memory does.
struct Block {
  void* data = nullptr;
  std::string format;  // of a value, in the language of Python's struct
  py::ssize_t bytes = 0;
  Shape shape, strides;  // strides in values, not bytes; empty: row-major
  bool writable = false;
  std::shared_ptr<const void> owner;
};
void bind_block(py::module_& m);
// numpy.asarray(block)
py::object array_over(Block block);

// An array over data[0 ...]. Of const data Python may not change a value.
template <class T>
py::object array_view(T* data, Shape shape, std::shared_ptr<const void> owner, Shape strides = {}) {
  using Value = std::remove_const_t<T>;
  return array_over({const_cast<Value*>(data), py::format_descriptor<Value>::format(), sizeof(T),
                     std::move(shape), std::move(strides), !std::is_const_v<T>, std::move(owner)});
}

// An array that owns these values.
template <class T>
py::object array_of(std::vector<T> values, Shape shape) {
  const auto owner = std::make_shared<std::vector<T>>(std::move(values));
  return array_view(owner->data(), std::move(shape), owner);
}
template <class T>
py::object array_of(std::vector<T> values) {
  Shape shape = {static_cast<py::ssize_t>(values.size())};
  return array_of(std::move(values), std::move(shape));
}

// Tokens from a list or an array of integers: [T], or [B, T] for several sequences of one length.
struct TokenBatch {
  std::vector<int> ids;
  int B = 0, T = 0;
  bool is_batch = false;  // two dimensions
  Shape shape() const { return is_batch ? Shape{B, T} : Shape{T}; }
};
// `name` is the argument's, for messages. Raises TypeError where the values are not integers, Error
// where there is none, where there are more than two dimensions, or where one is beyond 32 bits.
TokenBatch token_batch(const py::object& value, const char* name);
// The same for one sequence, which may be empty.
std::vector<int> token_list(const py::object& value, const char* name);

// Floats from a list or an array of floats, any shape. float64 is rounded.
struct FloatArray {
  py::object array;  // float32, row-major; keeps `data` alive
  const float* data = nullptr;
  std::int64_t size = 0;
  Shape shape;
};
// Raises TypeError where the values are not floats.
FloatArray float_array(const py::object& value, const char* name);

}  // namespace tinygpt::python
