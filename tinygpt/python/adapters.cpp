// LoRA adapters: make, load, save, use, merge.
#include <fmt/format.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "tinygpt/adapt/adapter_folder.h"
#include "tinygpt/core/error.h"
#include "tinygpt/python/arrays.h"
#include "tinygpt/python/bindings.h"
#include "tinygpt/python/interrupt.h"
#include "tinygpt/python/model_state.h"

namespace tinygpt::python {
namespace {

namespace fs = std::filesystem;

SharedAdapter make(const SharedModel& model, int rank, std::optional<float> alpha, float dropout,
                   const std::vector<std::string>& targets, std::uint64_t seed) {
  const auto state = std::make_shared<AdapterState>();
  state->lora.rank = rank;
  state->lora.alpha = alpha.value_or(2.0f * static_cast<float>(rank));
  state->lora.dropout = dropout;
  state->lora.targets = targets;
  state->model = model->gpt.config;
  state->adapter.layout = lora_layout(state->lora, state->model);
  grow_adapter(*state, model->gpt, 1);
  init_adapter(state->adapter, seed);
  return state;
}

SharedAdapter load(const SharedModel& model, const fs::path& folder) {
  return without_gil([&] {
    const Turn turn(*model);
    make_room(*model, Purpose::inference, 1, 1);
    model->gpt.adapter = nullptr;
    const auto state = std::make_shared<AdapterState>();
    state->lora = read_lora_config(folder);
    state->model = model->gpt.config;
    Adapter<float> loaded = load_adapter(model->gpt, folder, 1);
    state->adapter.layout = loaded.layout;
    grow_adapter(*state, model->gpt, 1);
    std::swap(state->adapter.parameters, loaded.parameters);
    return state;
  });
}

void check_shape(const ModelState& model, const AdapterState& adapter) {
  GptConfig a = model.gpt.config, b = adapter.model;
  a.dropout = b.dropout = a.init_std = b.init_std = 0;
  a.bos_token = b.bos_token = a.eos_token = b.eos_token = 0;
  check(a == b, "this adapter was made for a model of another shape");
}

void use(const SharedModel& model, const SharedAdapter& adapter) {
  if (adapter != nullptr) {
    check_shape(*model, *adapter);
    const SharedModel user = adapter->user.lock();
    check(user == nullptr || user == model,
          "this adapter is in use by another model: set that one's adapter to None first, or load "
          "it a second time");
  }
  without_gil([&] {
    const Turn turn(*model);
    if (model->adapter != nullptr) model->adapter->user.reset();
    model->adapter = adapter;
    if (adapter != nullptr) adapter->user = model;
    model->gpt.adapter = nullptr;
    model->gpt.batch = 0;
  });
}

void merge(const SharedModel& model) {
  check(model->adapter != nullptr,
        "merge: no adapter is in use: either there never was one, or it is in the weights already");
  without_gil([&] {
    const Turn turn(*model);
    make_room(*model, Purpose::inference, 1, 1);
    merge_adapter(model->gpt);
    model->adapter->user.reset();
    model->adapter = nullptr;
  });
}

// {module: (A [rank, in], B [out, rank])}
py::dict factors(const SharedAdapter& state, float* values) {
  py::dict all;
  const py::ssize_t rank = state->adapter.layout.rank;
  for (const AdapterPart& p : state->adapter.layout.parts) {
    all[py::str(p.module)] = py::make_tuple(array_view(values + p.a, {rank, p.in}, state),
                                            array_view(values + p.b, {p.out, rank}, state));
  }
  return all;
}

}  // namespace

void bind_adapters(py::module_& m) {
  py::class_<AdapterState, SharedAdapter> c(
      m, "Adapter",
      "A LoRA adapter: W x becomes W x + scale B (A x), and W stays as it is.\n\n"
      "Adapter(model, rank=8): a new one, which changes nothing yet. `model.adapter = adapter` "
      "puts it to use; a Trainer then trains it alone.");
  c.def(py::init(&make), py::arg("model").none(false), py::arg("rank") = 8,
        py::arg("alpha") = py::none(), py::arg("dropout") = 0.0f,
        py::arg("targets") = std::vector<std::string>(), py::arg("seed") = 1,
        "alpha: twice the rank where it is not given. targets: ends of module names, such as "
        "'q_proj'; every linear layer of the blocks without.");
  c.def_static("load", &load, py::arg("model").none(false), py::arg("folder"),
               "Reads a PEFT folder.");
  c.def(
      "save",
      [](const AdapterState& a, const fs::path& folder) {
        without_gil([&] { save_adapter(a.adapter, a.lora, a.model, folder); });
      },
      py::arg("folder"), "Writes a PEFT folder, which peft loads.");
  c.def_property_readonly(
      "factors", [](const SharedAdapter& a) { return factors(a, a->adapter.params()); },
      "{module: (A [rank, in], B [out, rank])}, over the adapter's own values.");
  c.def_property_readonly(
      "gradients", [](const SharedAdapter& a) { return factors(a, a->adapter.grads()); },
      "The same of the gradient that the model's last backward left.");
  c.def_property_readonly(
      "rank", [](const AdapterState& a) { return a.adapter.layout.rank; }, "Its inner width.");
  c.def_property_readonly(
      "scale", [](const AdapterState& a) { return a.adapter.layout.scale; }, "alpha / rank.");
  c.def_property_readonly(
      "parameter_count", [](const AdapterState& a) { return a.adapter.layout.parameters(); },
      "Values to learn.");
  c.def("__repr__", [](const AdapterState& a) {
    return fmt::format("<tinygpt.Adapter: rank {}, {} modules, {} parameters>",
                       a.adapter.layout.rank, a.adapter.layout.parts.size(),
                       a.adapter.layout.parameters());
  });

  const py::object model = py::type::of<ModelState>();
  const auto property = py::module_::import("builtins").attr("property");
  model.attr("adapter") = property(
      py::cpp_function([](const SharedModel& s) { return s->adapter; }, py::is_method(model)),
      py::cpp_function(&use, py::is_method(model)), py::none(),
      "The Adapter in use, or None. Setting it changes what every pass computes.");
  model.attr("merge") = py::cpp_function(
      &merge, py::name("merge"), py::is_method(model),
      "Adds the adapter in use to the weights and takes it out of use: the same model, to "
      "rounding.");
}

}  // namespace tinygpt::python
