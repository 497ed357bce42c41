// Training: one step after another, with whatever Python wants to do between them.
#include <fmt/format.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "tinygpt/core/error.h"
#include "tinygpt/python/arrays.h"
#include "tinygpt/python/bindings.h"
#include "tinygpt/python/corpus_files.h"
#include "tinygpt/python/interrupt.h"
#include "tinygpt/python/model_state.h"
#include "tinygpt/train/trainer.h"

namespace tinygpt::python {
namespace {

struct Training {
  SharedModel state;
  std::shared_ptr<CorpusFiles> corpus;
  SharedAdapter adapter;  // what is trained, or nullptr: the model
  Trainer trainer;
};

// What a step says, and its number.
struct Step {
  int step = 0;
  StepResult result;
};

// Those that are text choose kernels: here float's of the processor compute.
std::string setting_names() {
  std::string names;
  const nlohmann::json all = settings_to_json(TrainSettings{});
  for (const auto& [name, value] : all.items()) {
    if (!value.is_string()) names += (names.empty() ? "" : ", ") + name;
  }
  return names;
}

// Fields of 32 bits: all but these.
bool fits(const std::string& name, std::int64_t value) {
  if (name == "seed") return value >= 0;
  return name.ends_with("eval_tokens") || std::abs(value) < (std::int64_t{1} << 31);
}

nlohmann::json number_of(const std::string& name, const py::handle& value,
                         const nlohmann::json& now) {
  if (now.is_boolean() && py::isinstance<py::bool_>(value)) return value.cast<bool>();
  if (now.is_number_integer() && PyIndex_Check(value.ptr()) && !py::isinstance<py::bool_>(value)) {
    const auto whole = py::reinterpret_steal<py::int_>(PyNumber_Index(value.ptr()));
    int overflow = 0;
    const std::int64_t number = PyLong_AsLongLongAndOverflow(whole.ptr(), &overflow);
    check(overflow == 0 && fits(name, number), [&] {
      return fmt::format("{}: {} is out of range", name, std::string(py::repr(whole)));
    });
    return number;
  }
  if (now.is_number_float() && PyNumber_Check(value.ptr())) {
    const auto number = value.cast<double>();
    check(std::isfinite(number),
          [&] { return fmt::format("{}: {} is no number to train with", name, number); });
    return number;
  }
  throw py::type_error(fmt::format("{}: expected {}, not {}", name,
                                   now.is_boolean()          ? "True or False"
                                   : now.is_number_integer() ? "an int"
                                                             : "a float",
                                   std::string(py::repr(value))));
}

// By name, as `tinygpt train` calls them.
TrainSettings settings_from(const py::kwargs& given, const GptConfig& config) {
  nlohmann::json all = settings_to_json(TrainSettings{});
  all["time"] = config.context_length;
  for (const auto& [key, value] : given) {
    const auto name = key.cast<std::string>();
    if (!all.contains(name) || all[name].is_string()) {
      throw py::type_error(
          fmt::format("Trainer: there is no setting '{}'; there are: {}", name, setting_names()));
    }
    all[name] = number_of(name, value, all[name]);
  }
  if (!given.contains("min_lr")) all["min_lr"] = all["lr"].get<double>() / 10;
  if (!given.contains("warmup")) all["warmup"] = std::min(100, all["steps"].get<int>() / 10);
  return settings_from_json(all);
}

std::shared_ptr<Training> make(const SharedModel& state, std::shared_ptr<CorpusFiles> corpus,
                               const py::kwargs& given) {
  const GptConfig& config = state->gpt.config;
  check(vocab_size(*corpus->tokenizer) <= config.vocab_size, [&] {
    return fmt::format("the corpus has {} tokens and the model {}: they do not belong together",
                       vocab_size(*corpus->tokenizer), config.vocab_size);
  });
  const TrainSettings settings = settings_from(given, config);
  check_settings(settings, config);
  check_length(corpus->train, settings.time);
  check_length(corpus->validation, settings.time);
  return without_gil([&] {
    const Turn turn(*state);
    make_room(*state, learning_purpose(*state), settings.batch, settings.time);
    auto training = std::make_shared<Training>();
    training->trainer = make_trainer(state->gpt, settings);
    training->state = state;
    training->adapter = state->adapter;
    training->corpus = std::move(corpus);
    return training;
  });
}

// The model's adapter must be the one that there was when the trainer was made: AdamW's moments are
// its own.
void prepare(Training& t) {
  check(t.state->adapter == t.adapter,
        "this trainer was made with another adapter (or none) in use: make a new Trainer");
  const TrainSettings& s = t.trainer.settings;
  make_room(*t.state, learning_purpose(*t.state), s.batch, s.time);
}

// For code without the GIL.
Step take(Training& t, std::optional<float> lr) {
  const Turn turn(*t.state);
  const TrainSettings kept = t.trainer.settings;
  prepare(t);
  if (lr) {  // this one step's, whatever the schedule says
    t.trainer.settings.lr = t.trainer.settings.min_lr = *lr;
    t.trainer.settings.warmup = 0;
  }
  try {
    const StepResult result = train_step(t.trainer, t.corpus->train);
    t.trainer.settings = kept;
    return {t.trainer.step, result};
  } catch (...) {
    t.trainer.settings = kept;
    throw;
  }
}

Step step(Training& t, std::optional<float> lr) {
  check(!lr || (*lr >= 0 && *lr <= 1e6f), "lr: must be a number of at least 0");
  return without_gil([&] { return take(t, lr); });
}

bool asks_for_more(const py::object& callback, const Step& taken) {
  return callback.is_none() || with_gil([&] { return wants_more(callback(taken)); });
}

std::vector<Step> run(Training& t, std::optional<int> steps, const py::object& callback) {
  const int left = t.trainer.settings.steps - t.trainer.step;
  const int count = steps.value_or(left);
  check(count >= 0, "steps: must be at least 0");
  return without_gil([&] {
    std::vector<Step> taken;
    for (int i = 0; i < count; ++i) {
      taken.push_back(take(t, {}));
      check_interrupt();
      if (!asks_for_more(callback, taken.back())) break;
    }
    return taken;
  });
}

double validation(Training& t, bool last) {
  return without_gil([&] {
    const Turn turn(*t.state);
    prepare(t);
    return validate(t.trainer, t.corpus->validation,
                    eval_starts(t.trainer, t.corpus->validation, last), check_interrupt);
  });
}

void bind_step(py::module_& m) {
  py::class_<Step> c(m, "Step", "What one step says.");
  c.def_readonly("step", &Step::step, "Its number, from 1 on.");
  c.def_property_readonly(
      "loss", [](const Step& s) { return s.result.loss; },
      "Mean over the step's tokens before the update, nats per token.");
  c.def_property_readonly(
      "lr", [](const Step& s) { return s.result.lr; }, "The learning rate.");
  c.def_property_readonly(
      "grad_norm", [](const Step& s) { return s.result.grad_norm; },
      "The gradient's norm before clipping.");
  c.def("__repr__", [](const Step& s) {
    return fmt::format("<tinygpt.Step {}: loss {:.4f}, lr {:.2e}, gradient {:.3f}>", s.step,
                       s.result.loss, s.result.lr, s.result.grad_norm);
  });
}

}  // namespace

void bind_training(py::module_& m) {
  bind_step(m);
  py::class_<Training, std::shared_ptr<Training>> c(
      m, "Trainer",
      "Trains a model on a corpus with AdamW, a warm-up and a cosine.\n\n"
      "Trainer(model, corpus, batch=12, time=64, steps=2000, lr=1e-3, ...): settings by the "
      "names of `tinygpt train`'s options, with underscores. Where they are not given, time is the "
      "model's context, min_lr a tenth of lr, and warmup 100 steps, but at most a tenth of all. "
      "Where the model has an adapter in use, that is trained, and the model stays as it is.");
  c.def(py::init(&make), py::arg("model").none(false), py::arg("corpus").none(false));
  c.def("step", &step, py::arg("lr") = py::none(),
        "Takes one step; with lr, at that rate in place of the schedule's.");
  c.def("run", &run, py::arg("steps") = py::none(), py::arg("callback") = py::none(),
        "Takes so many steps (those that are left of the plan) and gives what each says. "
        "callback(step) is called after each, and ends the run by returning False. Ctrl-C ends "
        "it, too, between two steps.");
  c.def("validate", &validation, py::arg("last") = false,
        "Mean loss on validation text, nats per token: of eval_tokens, or of last_eval_tokens. "
        "Ctrl-C ends it.");
  c.def_property_readonly(
      "steps_taken", [](const Training& t) { return t.trainer.step; }, "So far.");
  c.def_property_readonly(
      "model", [](const Training& t) { return t.state; }, "What is trained.");
  c.def_property_readonly(
      "corpus", [](const Training& t) { return t.corpus; }, "What it is trained on.");
}

}  // namespace tinygpt::python
