// Configurations and models: make, load, save, weights, logits, loss, gradients.
#include <fmt/format.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <optional>

#include "tinygpt/core/buffer.h"
#include "tinygpt/core/error.h"
#include "tinygpt/io/tokenizer_json.h"
#include "tinygpt/model/folder.h"
#include "tinygpt/model/gguf_model.h"
#include "tinygpt/python/arrays.h"
#include "tinygpt/python/bindings.h"
#include "tinygpt/python/interrupt.h"
#include "tinygpt/python/model_state.h"

namespace tinygpt::python {
namespace {

namespace fs = std::filesystem;

const char* family_name(const GptConfig& c) { return c.family == Family::gpt2 ? "gpt2" : "llama"; }

void set_family(GptConfig& c, const std::string& name) {
  check(name == "gpt2" || name == "llama",
        [&] { return fmt::format("family '{}': it is 'gpt2' or 'llama'", name); });
  c.family = name == "gpt2" ? Family::gpt2 : Family::llama;
}

// Fields by name; one that does not exist is a TypeError, as for any function of Python's.
GptConfig make_config(const std::optional<std::string>& name, const py::kwargs& fields) {
  const py::object config = py::cast(name ? named_config(*name) : GptConfig{});
  for (const auto& [field, value] : fields) {
    if (!py::hasattr(config, field)) {
      throw py::type_error(
          fmt::format("Config: there is no field '{}'", field.cast<std::string>()));
    }
    py::setattr(config, field, value);
  }
  const auto result = config.cast<GptConfig>();
  check_config(result);
  return result;
}

std::string describe(const GptConfig& c) {
  return fmt::format(
      "<tinygpt.Config: {}, {} layers, {} heads, width {}, context {}, vocabulary {}>",
      family_name(c), c.layers, c.heads, c.width, c.context_length, c.vocab_size);
}

void bind_config(py::module_& m) {
  py::class_<GptConfig> c(m, "Config",
                          "The shape of a model, of GPT-2's or of LLaMA's family.\n\n"
                          "Config('demo', vocab_size=300): a named shape (config_names() lists "
                          "them), with fields changed.");
  c.def(py::init(&make_config), py::arg("name") = py::none());
  c.def_property("family", &family_name, &set_family, "'gpt2' or 'llama'.");
  c.def_readwrite("vocab_size", &GptConfig::vocab_size, "V.");
  c.def_readwrite("context_length", &GptConfig::context_length, "The largest T.");
  c.def_readwrite("layers", &GptConfig::layers, "L: blocks.");
  c.def_readwrite("heads", &GptConfig::heads, "NH: query heads.");
  c.def_readwrite("kv_heads", &GptConfig::kv_heads, "NKV: key-value heads; GPT-2: as heads.");
  c.def_readwrite("width", &GptConfig::width, "C: channels of the residual stream.");
  c.def_readwrite("hidden", &GptConfig::hidden, "Channels inside the MLP.");
  c.def_readwrite("tied_head", &GptConfig::tied_head, "The head is the token embedding.");
  c.def_readwrite("norm_eps", &GptConfig::norm_eps, "Added to variances.");
  c.def_readwrite("rope_base", &GptConfig::rope_base, "Of rotary positions; llama.");
  c.def_readwrite("dropout", &GptConfig::dropout, "Probability of dropping a value in training.");
  c.def_readwrite("init_std", &GptConfig::init_std, "Standard deviation of the first weights.");
  c.def_readwrite("bos_token", &GptConfig::bos_token, "-1: none.");
  c.def_readwrite("eos_token", &GptConfig::eos_token, "-1: none.");
  c.def_property_readonly("head_size", &GptConfig::head_size, "HS = width / heads.");
  c.def("__repr__", &describe);
  m.def("config_names", &config_names, "The named shapes.");
}

// {name: array} over one of the two buffers that are laid out like the parameters: matrices [out,
// in], vectors [n].
py::dict tensors(const SharedModel& state, float* values) {
  py::dict all;
  for (const Parameter& p : state->gpt.layout.parameters) {
    Shape shape = {p.cols};
    if (p.rows > 1 || p.decay) shape.insert(shape.begin(), p.rows);
    all[py::str(p.name)] = array_view(values + p.offset, std::move(shape), state);
  }
  return all;
}

py::dict gradients(const SharedModel& state) {
  check(state->gpt.gradients.bytes() > 0, "there is no gradient yet: call backward first");
  return tensors(state, state->gpt.grads());
}

// [V] for each token, as an array of its own.
py::object logits(const SharedModel& state, const py::object& tokens) {
  const TokenBatch batch = token_batch(tokens, "tokens");
  const std::int64_t each = std::int64_t{batch.T} * state->gpt.config.vocab_size;
  const auto values = without_gil([&] {
    const Turn turn(*state);
    make_room(*state, Purpose::inference, batch.B, batch.T);
    forward(state->gpt, batch.ids, {}, batch.B, batch.T);
    const auto buffer = std::make_shared<Buffer<float>>(each * batch.B);
    for (int b = 0; b < batch.B; ++b) {
      copy_logits(state->gpt, b,
                  buffer->span().subspan(static_cast<std::size_t>(each * b),
                                         static_cast<std::size_t>(each)));
    }
    return buffer;
  });
  Shape shape = batch.shape();
  shape.push_back(state->gpt.config.vocab_size);
  return array_view(values->data(), std::move(shape), values);
}

void check_same_shape(const TokenBatch& tokens, const TokenBatch& targets) {
  check(tokens.B == targets.B && tokens.T == targets.T, [&] {
    return fmt::format("targets: the shape is {} x {} where that of tokens is {} x {}", targets.B,
                       targets.T, tokens.B, tokens.T);
  });
}

float loss(const SharedModel& state, const py::object& tokens, const py::object& targets) {
  const TokenBatch x = token_batch(tokens, "tokens"), y = token_batch(targets, "targets");
  check_same_shape(x, y);
  return without_gil([&] {
    const Turn turn(*state);
    make_room(*state, Purpose::inference, x.B, x.T);
    return forward(state->gpt, x.ids, y.ids, x.B, x.T);
  });
}

float backward_pass(const SharedModel& state, const py::object& tokens, const py::object& targets) {
  const TokenBatch x = token_batch(tokens, "tokens"), y = token_batch(targets, "targets");
  check_same_shape(x, y);
  return without_gil([&] {
    const Turn turn(*state);
    make_room(*state, learning_purpose(*state), x.B, x.T);
    zero_gradients(state->gpt);
    const float value = forward(state->gpt, x.ids, y.ids, x.B, x.T);
    backward(state->gpt);
    return value;
  });
}

void save(const SharedModel& state, const fs::path& folder, const Tokenizer* tokenizer) {
  const Tokenizer* kept = tokenizer != nullptr ? tokenizer : state->tokenizer.get();
  const Turn turn(*state);
  fs::create_directories(folder);
  if (kept != nullptr) save_folder(state->gpt, tokenizer_to_json(*kept), folder);
  else save_model(state->gpt, folder);
}

GgufType gguf_type(const std::string& name) {
  for (const GgufType type :
       {GgufType::f32, GgufType::f16, GgufType::bf16, GgufType::q8_0, GgufType::q4_0}) {
    std::string lower = type_name(type);
    for (char& c : lower) c = static_cast<char>(std::tolower(c));
    if (name == lower) return type;
  }
  throw Error(fmt::format("type '{}': there are f32, f16, bf16, q8_0 and q4_0", name));
}

void export_gguf(const SharedModel& state, const fs::path& path, const std::string& type,
                 const std::string& name) {
  check(state->tokenizer != nullptr, "a GGUF file holds a tokenizer: set model.tokenizer first");
  const Turn turn(*state);
  save_gguf(state->gpt, *state->tokenizer, name, gguf_type(type), path);
}

SharedModel make_model(const GptConfig& config, std::uint64_t seed, const std::string& device,
                       const std::string& kernels) {
  return without_gil([&] {
    SharedModel state = make_state(config, device, kernels);
    init_parameters(state->gpt, seed);
    return state;
  });
}

void bind_files(py::class_<ModelState, SharedModel>& c) {
  c.def_static(
      "load",
      [](const fs::path& path, const std::string& device, const std::string& kernels) {
        return without_gil([&] { return load_state(path, device, kernels); });
      },
      py::arg("path"), py::arg("device") = "cpu", py::arg("kernels") = "cpu",
      "A model's folder (config.json, model.safetensors, tokenizer.json) or a GGUF file, whose "
      "weights are turned into floats.");
  c.def(
      "save",
      [](const SharedModel& s, const fs::path& folder, const Tokenizer* tokenizer) {
        without_gil([&] { save(s, folder, tokenizer); });
      },
      py::arg("folder"), py::arg("tokenizer") = py::none(),
      "Writes a folder that load, `tinygpt` and transformers read.");
  c.def(
      "save_gguf",
      [](const SharedModel& s, const fs::path& path, const std::string& type,
         const std::string& name) { without_gil([&] { export_gguf(s, path, type, name); }); },
      py::arg("path"), py::arg("type") = "f32", py::arg("name") = "tinygpt",
      "Writes a GGUF file, which llama.cpp opens: f32, f16, bf16, q8_0 or q4_0.");
}

void bind_passes(py::class_<ModelState, SharedModel>& c) {
  c.def("logits", &logits, py::arg("tokens"),
        "tokens [T] or [B, T] -> logits float32 [T, V] or [B, T, V], an array of its own.");
  c.def("__call__", &logits, py::arg("tokens"), "The same as logits.");
  c.def("loss", &loss, py::arg("tokens"), py::arg("targets"),
        "Mean cross-entropy in nats over targets, of the shape of tokens [T] or [B, T]; -1 does "
        "not count.");
  c.def("backward", &backward_pass, py::arg("tokens"), py::arg("targets"),
        "The loss, with its gradient left in `gradients`, or in those of the adapter in use.");
  c.def_property_readonly(
      "parameters", [](const SharedModel& s) { return tensors(s, s->gpt.params()); },
      "{name: float32 array} over the weights themselves: writing to one changes the model. "
      "Matrices are [out, in].");
  c.def_property_readonly("gradients", &gradients,
                          "{name: float32 array} over the gradient of the last backward.");
}

}  // namespace

void bind_models(py::module_& m) {
  bind_config(m);
  py::class_<ModelState, SharedModel> c(m, "Model", "A GPT: weights, passes, files.");
  c.def(py::init(&make_model), py::arg("config"), py::arg("seed") = 1, py::arg("device") = "cpu",
        py::arg("kernels") = "cpu",
        "A new model with random weights. kernels: 'cpu' (fast), 'ref' (the lessons'), or a "
        "mixture such as 'cpu,softmax=ref'.");
  bind_files(c);
  bind_passes(c);
  c.def_property_readonly(
      "config", [](const SharedModel& s) { return s->gpt.config; }, "A copy of its shape.");
  c.def_property_readonly(
      "parameter_count", [](const SharedModel& s) { return parameter_ledger(s->gpt.config).total; },
      "Values to learn; a tied head counts once.");
  c.def_readwrite("tokenizer", &ModelState::tokenizer, "The one that came with it, or None.");
  c.def("__repr__", [](const SharedModel& s) {
    return fmt::format("<tinygpt.Model: {} parameters, {}>", parameter_ledger(s->gpt.config).total,
                       describe(s->gpt.config));
  });
}

}  // namespace tinygpt::python
