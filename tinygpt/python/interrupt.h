// Long work without Python's global lock (the GIL), and still with Ctrl-C.
#pragma once

#include <pybind11/pybind11.h>
#include <unistd.h>

#include <utility>

namespace tinygpt::python {

// Thrown by code that does not hold the GIL where Python has an error set.
struct PythonError {};

// Where the interpreter is on its way out, whoever asks for the GIL has its thread ended, in the
// middle of C++ that cannot be ended so. A daemon thread that trains waits for the end instead.
inline void wait_for_the_end() {
#if PY_VERSION_HEX >= 0x030d0000
  while (Py_IsFinalizing()) ::pause();
#else
  while (_Py_IsFinalizing()) ::pause();
#endif
}

// The GIL released for as long as this lives.
class Released {
 public:
  Released() : state_(PyEval_SaveThread()) {}
  ~Released() {
    wait_for_the_end();
    PyEval_RestoreThread(state_);
  }
  Released(const Released&) = delete;
  Released& operator=(const Released&) = delete;

 private:
  PyThreadState* state_;
};

// work() with the GIL released: other threads of Python run meanwhile. It must touch no Python
// object, except by with_gil.
template <class Work>
auto without_gil(Work&& work) {
  try {
    const Released released;
    return std::forward<Work>(work)();
  } catch (const PythonError&) {
    throw pybind11::error_already_set();
  }
}

// Back into Python for a moment, from inside of without_gil. An exception that Python raises there
// ends the work.
template <class Work>
auto with_gil(Work&& work) {
  wait_for_the_end();
  const pybind11::gil_scoped_acquire acquired;
  try {
    return std::forward<Work>(work)();
  } catch (pybind11::error_already_set& error) {
    error.restore();
    throw PythonError{};
  }
}

// What a callback answers: None, and whatever is true, asks for more.
inline bool wants_more(const pybind11::object& answer) {
  const int is_true = answer.is_none() ? 1 : PyObject_IsTrue(answer.ptr());
  if (is_true < 0) throw pybind11::error_already_set();
  return is_true != 0;
}

// Raises KeyboardInterrupt if Ctrl-C was pressed. For loops inside of without_gil.
inline void check_interrupt() {
  with_gil([] {
    if (PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
  });
}

}  // namespace tinygpt::python
