// tinygpt._core: the library for Python. The package's __init__.py hands out its names.
#include <omp.h>

#include <filesystem>

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

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.doc() = "Build, train and look into small GPTs. Use it through `import tinygpt`.";
  py::register_exception_translator(translate_filesystem_error);
  py::register_exception<tinygpt::Error>(m, "Error", PyExc_RuntimeError).attr("__doc__") =
      "What went wrong, in one line that says what to do.";
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
}
