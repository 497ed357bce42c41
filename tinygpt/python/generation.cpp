// Generation: text, token by token, with the probabilities that it was drawn from.
#include <fmt/format.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>

#include "solutions/14-pretraining/sampling.h"
#include "tinygpt/core/error.h"
#include "tinygpt/infer/generate.h"
#include "tinygpt/python/arrays.h"
#include "tinygpt/python/bindings.h"
#include "tinygpt/python/interrupt.h"
#include "tinygpt/python/model_state.h"

namespace tinygpt::python {
namespace {

struct Generation {
  std::vector<int> tokens;
  std::vector<float> probabilities;  // [n]: of each token
  std::vector<float> distributions;  // [n, V], where they were asked for
  int V = 0;
};

// p[v] = exp(logits[v]) / sum: what the model says, whatever it is then drawn with.
void softmax(std::vector<float>& p) {
  const float most = *std::max_element(p.begin(), p.end());
  double sum = 0;
  for (float& x : p) sum += x = std::exp(x - most);
  for (float& x : p) x = static_cast<float>(x / sum);
}

std::vector<int> prompt_tokens(const ModelState& state, const py::object& prompt) {
  if (!py::isinstance<py::str>(prompt)) return token_list(prompt, "prompt");
  check(state.tokenizer != nullptr,
        "the prompt is a text, and the model has no tokenizer: set model.tokenizer, or give ids");
  return encode(*state.tokenizer, prompt.cast<std::string>());
}

Generation write(ModelState& state, const std::vector<int>& prompt,
                 const GenerateSettings& settings, bool keep, const py::object& on_token) {
  const Turn turn(state);
  const std::int64_t longest = static_cast<std::int64_t>(prompt.size()) + settings.max_tokens;
  make_room(
      state, Purpose::inference, 1,
      static_cast<int>(std::clamp<std::int64_t>(longest, 1, state.gpt.config.context_length)));
  Generation result;
  result.V = state.gpt.config.vocab_size;
  std::vector<float> p(static_cast<std::size_t>(result.V));
  // The logits that the token was drawn from are still there when its turn comes.
  result.tokens = generate(state.gpt, prompt, settings, [&](int token) {
    copy_last_logits(state.gpt, 0, std::span<float>(p));
    softmax(p);
    result.probabilities.push_back(p[static_cast<std::size_t>(token)]);
    if (keep) result.distributions.insert(result.distributions.end(), p.begin(), p.end());
    check_interrupt();
    if (on_token.is_none()) return true;
    return with_gil([&] { return wants_more(on_token(token)); });
  });
  return result;
}

py::tuple generate_tokens(const SharedModel& state, const py::object& prompt, int max_tokens,
                          float temperature, int top_k, float top_p, std::uint64_t seed,
                          std::optional<int> stop_token, bool distributions,
                          const py::object& on_token) {
  const std::vector<int> ids = prompt_tokens(*state, prompt);
  const int stop = stop_token.value_or(state->gpt.config.eos_token);
  const GenerateSettings settings{{temperature, top_k, top_p}, max_tokens, stop, seed};
  Generation g = without_gil([&] { return write(*state, ids, settings, distributions, on_token); });
  const auto n = static_cast<py::ssize_t>(g.tokens.size());
  py::object all = py::none();
  if (distributions) all = array_of(std::move(g.distributions), {n, g.V});
  return py::make_tuple(array_of(std::move(g.tokens)), array_of(std::move(g.probabilities)), all);
}

py::object sampling_distribution(const py::object& logits, float temperature, int top_k,
                                 double top_p) {
  const FloatArray x = float_array(logits, "logits");
  check(x.shape.size() == 1 && x.size > 0, "logits: expected the shape [V]");
  check(std::all_of(x.data, x.data + x.size, [](float v) { return !std::isnan(v); }) &&
            std::isfinite(*std::max_element(x.data, x.data + x.size)),
        "logits: one is NaN, or the largest infinite");
  check_sampling({temperature, top_k, static_cast<float>(top_p)});
  std::vector<double> p(static_cast<std::size_t>(x.size));
  ref::sample_temperature(p, {x.data, p.size()}, temperature);
  ref::sample_top_k(p, top_k);
  ref::sample_top_p(p, top_p);
  return array_of(std::move(p));
}

}  // namespace

void bind_generation(py::module_& m) {
  const py::object model = py::type::of<ModelState>();
  model.attr("_generate") = py::cpp_function(
      &generate_tokens, py::name("_generate"), py::is_method(model), py::arg("prompt"),
      py::arg("max_tokens"), py::arg("temperature"), py::arg("top_k"), py::arg("top_p"),
      py::arg("seed"), py::arg("stop_token"), py::arg("distributions"), py::arg("on_token"),
      "generate without names: (tokens, probabilities, distributions or None).");
  m.def("sampling_distribution", &sampling_distribution, py::arg("logits"),
        py::arg("temperature") = 1.0f, py::arg("top_k") = 0, py::arg("top_p") = 1.0,
        "logits [V] -> the probabilities float64 [V] that a token is drawn from: temperature "
        "first, then top-k, then top-p.");
}

}  // namespace tinygpt::python
