// tinygpt._core: the library for Python. The package's __init__.py hands out its names.
#include <omp.h>

#include <cctype>
#include <filesystem>
#include <string>

#include "tinygpt/core/error.h"
#include "tinygpt/python/arrays.h"
#include "tinygpt/python/bindings.h"

namespace {

namespace py = pybind11;

// A file that cannot be reached is Python's OSError, with its number.
void translate_filesystem_error(std::exception_ptr pointer) {
  try {
    if (pointer) std::rethrow_exception(pointer);
  } catch (const std::filesystem::filesystem_error& error) {
    const py::object raised = py::reinterpret_borrow<py::object>(PyExc_OSError)(
        error.code().value(), error.code().message(), error.path1().string());
    PyErr_SetObject(PyExc_OSError, raised.ptr());
  }
}

// Model.__new__(Model) is an object without a model, for which pybind11 would make up memory at its
// first use. That is a TypeError instead; a _Block, which Python's own C code asks for its memory
// and so may throw nothing, has none.
void refuse_hollow_objects(const py::module_& m) {
  const auto refuse = [](std::size_t) -> void* {
    throw py::type_error("this object was never initialised: call its class to make one");
  };
  for (const auto& [name, thing] : m.attr("__dict__").cast<py::dict>()) {
    if (!py::isinstance<py::type>(thing)) continue;
    auto* type = py::detail::get_type_info(reinterpret_cast<PyTypeObject*>(thing.ptr()));
    if (type != nullptr) type->operator_new = refuse;
  }
  py::detail::get_type_info(typeid(tinygpt::python::Block))->operator_new =
      [](std::size_t) -> void* { return new tinygpt::python::Block; };
}

// Messages that begin with an option of the command's name the argument instead: --top-k is top_k.
std::string in_python(std::string message) {
  if (!message.starts_with("--")) return message;
  message.erase(0, 2);
  for (char& c : message) {
    if (c == '-') c = '_';
    else if (std::islower(static_cast<unsigned char>(c)) == 0) break;
  }
  return message;
}

void bind_error(py::module_& m) {
  static py::handle error;
  error = py::exception<tinygpt::Error>(m, "Error", PyExc_RuntimeError).release();
  error.attr("__doc__") = "What went wrong, in one line that says what to do.";
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const tinygpt::Error& e) {
      PyErr_SetString(error.ptr(), in_python(e.what()).c_str());
    }
  });
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "Build, train and look into small GPTs. Use it through `import tinygpt`.";
  py::register_exception_translator(translate_filesystem_error);
  bind_error(m);
  m.def(
      "set_threads",
      [](int threads) {
        tinygpt::check(threads >= 1 && threads <= 1024, "threads: must be between 1 and 1024");
        omp_set_num_threads(threads);
      },
      py::arg("threads"), "How many threads compute from now on (all processors without it).");
  tinygpt::python::bind_block(m);
  tinygpt::python::bind_tokenizers(m);
  tinygpt::python::bind_corpora(m);
  tinygpt::python::bind_models(m);
  tinygpt::python::bind_traces(m);
  tinygpt::python::bind_generation(m);
  tinygpt::python::bind_training(m);
  tinygpt::python::bind_quantizers(m);
  tinygpt::python::bind_adapters(m);
  tinygpt::python::bind_cache(m);
  tinygpt::python::bind_model_quantizing(m);
  refuse_hollow_objects(m);
}
