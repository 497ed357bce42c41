// Long work without Python's global lock (the GIL), and still with Ctrl-C.
#pragma once

#include <pybind11/pybind11.h>

#include <utility>

namespace tinygpt::python {

// Thrown by code that does not hold the GIL where Python has an error set.
struct PythonError {};

// work() with the GIL released: other threads of Python run meanwhile. It must touch no Python
// object, except by with_gil.
template <class Work>
auto without_gil(Work&& work) {
  try {
    const pybind11::gil_scoped_release released;
    return std::forward<Work>(work)();
  } catch (const PythonError&) {
    throw pybind11::error_already_set();
  }
}

// Back into Python for a moment, from inside of without_gil. An exception that Python raises there
// ends the work.
template <class Work>
auto with_gil(Work&& work) {
  const pybind11::gil_scoped_acquire acquired;
  try {
    return std::forward<Work>(work)();
  } catch (pybind11::error_already_set& error) {
    error.restore();
    throw PythonError{};
  }
}

// Raises KeyboardInterrupt if Ctrl-C was pressed. For loops inside of without_gil.
inline void check_interrupt() {
  with_gil([] {
    if (PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
  });
}

}  // namespace tinygpt::python
