#include "tinygpt/python/arrays.h"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "tinygpt/core/error.h"

namespace tinygpt::python {
namespace {

py::buffer_info buffer_of(Block& block) {
  Shape strides = block.strides;
  if (strides.empty()) {
    strides.assign(block.shape.size(), 1);
    for (std::size_t i = block.shape.size(); i-- > 1;) strides[i - 1] = strides[i] * block.shape[i];
  }
  for (py::ssize_t& stride : strides) stride *= block.bytes;
  return {block.data,  block.bytes, block.format,   static_cast<py::ssize_t>(block.shape.size()),
          block.shape, strides,     !block.writable};
}

// A function of NumPy's. Looked up once, since a look-up takes as long as a small array; never
// released, since the interpreter may be gone by then.
py::handle function_of_numpy(const char* function) {
  try {
    py::object found = py::module_::import("numpy").attr(function);
    return found.release();
  } catch (py::error_already_set& missing) {
    if (!missing.matches(PyExc_ImportError)) throw;
    throw Error("NumPy is missing, and arrays need it: pip install numpy");
  }
}

py::handle asarray() {
  // Made under the GIL, without the lock of a static that is initialised by a call: whoever imports
  // may lend the GIL to a thread that would then wait for that lock.
  static py::handle function;
  if (!function) function = function_of_numpy("asarray");
  return function;
}

std::string kind_of(const py::object& array) {
  return array.attr("dtype").attr("kind").cast<std::string>();
}

// As an array whose values are of one of these kinds (NumPy's letters).
py::object array_from(const py::object& value, const char* name, const std::string& kinds,
                      const char* words) {
  if (py::isinstance<py::str>(value) || py::isinstance<py::bytes>(value) || value.is_none()) {
    throw py::type_error(fmt::format("{}: expected {}, not {}", name, words,
                                     std::string(py::str(py::type::of(value).attr("__name__")))));
  }
  const py::object array = asarray()(value);
  if (array.attr("size").cast<std::int64_t>() > 0 &&
      kinds.find(kind_of(array)) == std::string::npos) {
    throw py::type_error(fmt::format("{}: expected {}, not an array of {}", name, words,
                                     std::string(py::str(array.attr("dtype")))));
  }
  return array;
}

struct Integers {
  std::vector<int> values;
  Shape shape;
};

std::string shape_text(const Shape& shape) {
  std::string text;
  for (const py::ssize_t n : shape) text += (text.empty() ? "" : ", ") + std::to_string(n);
  return "[" + text + "]";
}

// The usual case, without a detour by way of NumPy: a row-major array of int32.
bool take_int32(Integers& result, const py::object& value) {
  if (PyObject_CheckBuffer(value.ptr()) == 0 || py::isinstance<py::bytes>(value)) return false;
  try {
    const py::buffer_info info = py::reinterpret_borrow<py::buffer>(value).request();
    if (info.format != py::format_descriptor<int>::format() || info.ndim == 0 ||
        PyBuffer_IsContiguous(info.view(), 'C') == 0) {
      return false;
    }
    const auto* from = static_cast<const int*>(info.ptr);
    result = {std::vector<int>(from, from + info.size), info.shape};
    return true;
  } catch (py::error_already_set&) {
    return false;  // an array of dates, say, which has no buffer: NumPy says what it is
  }
}

// From a row-major array of T.
template <class T>
Integers narrowed(const py::buffer& array, const char* name) {
  const py::buffer_info info = array.request();
  const auto* from = static_cast<const T*>(info.ptr);
  Integers result{std::vector<int>(static_cast<std::size_t>(info.size)), info.shape};
  for (std::size_t i = 0; i < result.values.size(); ++i) {
    check(std::in_range<int>(from[i]),
          [&] { return fmt::format("{}: {} is beyond 32 bits", name, from[i]); });
    result.values[i] = static_cast<int>(from[i]);
  }
  return result;
}

Integers integers(const py::object& value, const char* name) {
  Integers quick;
  if (take_int32(quick, value)) return quick;
  const py::object array = array_from(value, name, "iu", "integers");
  if (kind_of(array) == "u") {
    return narrowed<std::uint64_t>(py::buffer(asarray()(array, "uint64", "C")), name);
  }
  return narrowed<std::int64_t>(py::buffer(asarray()(array, "int64", "C")), name);
}

}  // namespace

void bind_block(py::module_& m) {
  py::class_<Block>(m, "_Block", py::buffer_protocol(), "Memory that an array looks at.")
      .def_buffer(&buffer_of);
}

py::object array_over(Block block) { return asarray()(py::cast(std::move(block))); }

TokenBatch token_batch(const py::object& value, const char* name) {
  Integers all = integers(value, name);
  check((all.shape.size() == 1 || all.shape.size() == 2) && !all.values.empty(), [&] {
    return fmt::format("{}: expected the shape [T] or [B, T] with at least one token, not {}", name,
                       shape_text(all.shape));
  });
  check(all.values.size() <= std::size_t{std::numeric_limits<int>::max()},
        [&] { return fmt::format("{}: {} tokens are too many", name, all.values.size()); });
  TokenBatch batch{std::move(all.values), 1, static_cast<int>(all.shape.back()),
                   all.shape.size() == 2};
  if (batch.is_batch) batch.B = static_cast<int>(all.shape.front());
  return batch;
}

std::vector<int> token_list(const py::object& value, const char* name) {
  Integers all = integers(value, name);
  check(all.shape.size() == 1, [&] {
    return fmt::format("{}: expected the shape [T], not {}", name, shape_text(all.shape));
  });
  return std::move(all.values);
}

FloatArray float_array(const py::object& value, const char* name) {
  FloatArray result;
  result.array = asarray()(array_from(value, name, "f", "floats"), "float32", "C");
  const py::buffer_info info = py::buffer(result.array).request();
  result.data = static_cast<const float*>(info.ptr);
  result.size = info.size;
  result.shape = info.shape;
  return result;
}

}  // namespace tinygpt::python
