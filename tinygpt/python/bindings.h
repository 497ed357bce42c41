// The parts of the module `tinygpt`; each adds its classes and functions.
#pragma once

#include <pybind11/pybind11.h>

namespace tinygpt::python {

void bind_tokenizers(pybind11::module_& m);
void bind_corpora(pybind11::module_& m);
void bind_models(pybind11::module_& m);
void bind_traces(pybind11::module_& m);
void bind_generation(pybind11::module_& m);
void bind_training(pybind11::module_& m);
void bind_quantizers(pybind11::module_& m);
void bind_adapters(pybind11::module_& m);
void bind_cache(pybind11::module_& m);
void bind_model_quantizing(pybind11::module_& m);

}  // namespace tinygpt::python
