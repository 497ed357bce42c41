#include "tests/interop/parity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tests/interop/machine.h"
#include "tinygpt/core/file.h"
#include "tinygpt/io/safetensors.h"
#include "tinygpt/model/folder.h"
#include "tinygpt/model/gpt.h"

namespace tinygpt {
namespace {

using nlohmann::json;
using Floats = std::vector<float>;

const std::filesystem::path kFolder = TINYGPT_INTEROP_FOLDER;

// Kernels need not add in the reference's order, so there is room for rounding; a wrong term is
// hundreds of times larger.
constexpr double kLogits = 2e-5, kGradients = 2e-4, kLoss = 2e-5, kStep = 2e-4;

struct Difference {
  std::string text;  // "the gradient of h.1.mlp.up.weight: at [3, 5] it is 0.12 and PyTorch's 0.13"
};
using Found = std::optional<Difference>;

// One of PyTorch's models, and everything that PyTorch says about it.
struct Case {
  Case(const std::string& model_name, const Ops<float>& ops) : name(model_name) {
    numbers = json::parse(read_file(kFolder / name / "numbers.json"));
    B = static_cast<int>(numbers["tokens"][0].size());
    T = static_cast<int>(numbers["tokens"][0][0].size());
    model =
        make_gpt(read_model_config(kFolder / name), ops, host_memory(), Purpose::training, B, T);
    load_parameters(model, kFolder / name);
  }
  std::vector<int> batch(const char* what, int step) const {
    std::vector<int> all;
    for (const json& row : numbers[what][static_cast<std::size_t>(step)]) {
      for (const json& value : row) all.push_back(value.get<int>());
    }
    return all;
  }
  Floats logits() const {
    const SafetensorsFile file = open_safetensors(kFolder / name / "logits.safetensors");
    const TensorView& view = file.tensors.at("logits");
    Floats values(static_cast<std::size_t>(view.size()));
    copy_as_float(values, view);
    return values;
  }
  Floats gradients() const {
    Floats values(static_cast<std::size_t>(model.layout.total));
    load_tensors(model.layout, model.config, values.data(),
                 kFolder / name / "gradients.safetensors");
    return values;
  }
  std::string name;
  json numbers;
  int B = 0, T = 0;
  Gpt<float> model;
};

// Compares a [rows, cols] tensor; the limit is relative to its largest value.
Found compare(const std::string& what, std::span<const float> actual,
              std::span<const float> expected, int cols, double limit) {
  double most = 0;
  for (const float value : expected) most = std::max(most, std::abs(double{value}));
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (std::abs(double{actual[i]} - expected[i]) <= limit * most) continue;
    const auto width = static_cast<std::size_t>(cols);
    return Difference{fmt::format("{}: at [{}, {}] it is {:.6g}, and PyTorch's is {:.6g}", what,
                                  i / width, i % width, actual[i], expected[i])};
  }
  return std::nullopt;
}

Found compare_loss(const std::string& what, double actual, double expected, double limit) {
  if (std::abs(actual - expected) <= limit) return std::nullopt;
  return Difference{fmt::format("{} is {:.6f}, and PyTorch's is {:.6f}", what, actual, expected)};
}

// Every gradient, in the order in which a backward pass comes by.
Found compare_gradients(const Case& c, const float* ours) {
  const Floats theirs = c.gradients();
  const std::vector<Parameter>& all = c.model.layout.parameters;
  for (auto p = all.rbegin(); p != all.rend(); ++p) {
    const auto size = static_cast<std::size_t>(p->size());
    if (Found found = compare("the gradient of " + p->name, {ours + p->offset, size},
                              {theirs.data() + p->offset, size}, p->cols, kGradients)) {
      return found;
    }
  }
  return std::nullopt;
}

void adamw(Case& c, Floats& m, Floats& v, int step) {
  const json& a = c.numbers["adamw"];
  Gpt<float>& model = c.model;
  const std::int64_t n = model.layout.total;
  Floats scratch(static_cast<std::size_t>(model.ops.gradient_norm_scratch_size(n)));
  float norm = 0;
  model.ops.gradient_norm(&norm, model.grads(), scratch.data(), n);
  model.ops.clip_gradients(model.grads(), &norm, n, a["clip"].get<float>());
  AdamwSettings settings{a["lr"].get<float>(), a["beta1"].get<float>(), a["beta2"].get<float>(),
                         a["eps"].get<float>()};
  settings.step = step + 1;
  for (const Parameter& p : model.layout.parameters) {
    settings.weight_decay = p.decay ? a["weight_decay"].get<float>() : 0.0f;
    model.ops.adamw_step(model.params() + p.offset, nullptr, m.data() + p.offset,
                         v.data() + p.offset, model.grads() + p.offset, p.size(), settings);
  }
}

// The library's model, run by these kernels.
Found check_model(const std::string& name, const Ops<float>& ops) {
  Case c(name, ops);
  Floats m(static_cast<std::size_t>(c.model.layout.total)), v(m);
  const auto losses = c.numbers["losses"].get<std::vector<double>>();
  for (int step = 0; step < static_cast<int>(losses.size()); ++step) {
    zero_gradients(c.model);
    const float loss =
        forward(c.model, c.batch("tokens", step), c.batch("targets", step), c.B, c.T);
    if (step == 0) {
      const Floats expected = c.logits();
      Floats actual(expected);
      const std::size_t n = expected.size() / static_cast<std::size_t>(c.B);
      for (int b = 0; b < c.B; ++b) {
        copy_logits(c.model, b, std::span(actual).subspan(static_cast<std::size_t>(b) * n, n));
      }
      if (Found found = compare("the logits", actual, expected, c.model.config.vocab_size, kLogits))
        return found;
    }
    const std::string when = step == 0 ? "the loss" : fmt::format("the loss of step {}", step + 1);
    if (Found found = compare_loss(when, loss, losses[static_cast<std::size_t>(step)],
                                   step == 0 ? kLoss : kStep)) {
      return found;
    }
    backward(c.model);
    if (step == 0) {
      if (Found found = compare_gradients(c, c.model.grads())) return found;
    }
    adamw(c, m, v, step);
  }
  return std::nullopt;
}

// Lesson 11's machine, run by these kernels, on the same parameters.
Found check_machine(const MachinePasses& passes, const Ops<float>& ops) {
  Case c("gpt2", ops);
  const GptShape s = test::shape_of(c.model.config);
  std::int64_t floats = 0;
  gpt_activations(&floats, nullptr, c.B, c.T, s);
  Floats room(static_cast<std::size_t>(floats)), gradients(c.gradients().size());
  Floats scratch(static_cast<std::size_t>(gpt_scratch_floats(ops, c.B, c.T, s)));
  const GptActivations a = gpt_activations(&floats, room.data(), c.B, c.T, s);
  const Machine machine{ops, host_memory(), scratch.data()};
  const auto p = test::parameters_in<const float>(c.model.params(), c.model.layout);
  const std::vector<int> tokens = c.batch("tokens", 0), targets = c.batch("targets", 0);
  passes.forward(a, tokens.data(), targets.data(), p, c.B, c.T, s, machine);
  const Floats expected = c.logits();
  if (Found found = compare("the logits", {a.logits, expected.size()}, expected, s.V, kLogits))
    return found;
  double sum = 0;
  const auto count = static_cast<int>(targets.size()) -
                     static_cast<int>(std::count(targets.begin(), targets.end(), kIgnoreTarget));
  for (std::size_t n = 0; n < targets.size(); ++n) sum += a.losses[n];
  if (Found found = compare_loss("the loss", sum / count, c.numbers["loss"].get<double>(), kLoss))
    return found;
  passes.backward(test::parameters_in(gradients.data(), c.model.layout), a, tokens.data(),
                  targets.data(), count, p, c.B, c.T, s, machine);
  return compare_gradients(c, gradients.data());
}

// Every kernel that training uses, by name.
template <class Visit>
void for_each_kernel(Visit&& visit) {
  using O = Ops<float>;
  visit("embedding_forward", &O::embedding_forward);
  visit("embedding_backward", &O::embedding_backward);
  visit("linear_forward", &O::linear_forward);
  visit("linear_backward", &O::linear_backward);
  visit("residual_forward", &O::residual_forward);
  visit("residual_backward", &O::residual_backward);
  visit("layernorm_forward", &O::layernorm_forward);
  visit("layernorm_backward", &O::layernorm_backward);
  visit("rmsnorm_forward", &O::rmsnorm_forward);
  visit("rmsnorm_backward", &O::rmsnorm_backward);
  visit("gelu_forward", &O::gelu_forward);
  visit("gelu_backward", &O::gelu_backward);
  visit("swiglu_forward", &O::swiglu_forward);
  visit("swiglu_backward", &O::swiglu_backward);
  visit("attention_forward", &O::attention_forward);
  visit("attention_backward", &O::attention_backward);
  visit("learned_positions_forward", &O::learned_positions_forward);
  visit("learned_positions_backward", &O::learned_positions_backward);
  visit("rope_table", &O::rope_table);
  visit("rope_forward", &O::rope_forward);
  visit("rope_backward", &O::rope_backward);
  visit("cross_entropy_forward", &O::cross_entropy_forward);
  visit("softmax_cross_entropy_backward", &O::softmax_cross_entropy_backward);
  visit("adamw_step", &O::adamw_step);
  visit("gradient_norm", &O::gradient_norm);
  visit("clip_gradients", &O::clip_gradients);
}

// The one kernel without which all is well.
template <class Check>
std::string to_blame(const Ops<float>& mine, const Ops<float>& reference, Check&& check) {
  std::vector<std::string> names;
  for_each_kernel([&](const char* name, auto entry) {
    if (mine.*entry == reference.*entry) return;
    Ops<float> ops = mine;
    ops.*entry = reference.*entry;
    if (!check(ops)) names.emplace_back(name);
  });
  if (names.size() == 1) {
    return fmt::format(
        "With the reference's {0} instead of yours everything agrees: look at your "
        "{0}.",
        names[0]);
  }
  return check(reference) ? "With the reference's kernels it differs, too: look at what calls them."
                          : "No single kernel of yours explains it: more than one differ.";
}

template <class Check>
bool report(const std::string& title, const std::string& what, const Ops<float>& mine,
            const Ops<float>& reference, Check&& check) {
  const Found found = check(mine);
  if (!found) {
    fmt::print("{}: {} are PyTorch's\n", title, what);
    return true;
  }
  fmt::print("{}: {}\n", title, found->text);
  fmt::print("  This is the first tensor that differs, in the order of the computation.\n  {}\n",
             to_blame(mine, reference, check));
  return false;
}

}  // namespace

int check_parity(const Ops<float>& mine, const Ops<float>& reference,
                 const MachinePasses& machine) {
  bool ok = true;
  for (const std::string name : {"gpt2", "llama"}) {
    ok &= report(fmt::format("a {} run by your kernels", name),
                 "logits, loss, every gradient and 10 steps of AdamW", mine, reference,
                 [&](const Ops<float>& ops) { return check_model(name, ops); });
  }
  if (machine.forward != nullptr) {
    ok &= report("your own machine, run by your kernels", "logits, loss and every gradient", mine,
                 reference, [&](const Ops<float>& ops) { return check_machine(machine, ops); });
  }
  return ok ? 0 : 1;
}

}  // namespace tinygpt
