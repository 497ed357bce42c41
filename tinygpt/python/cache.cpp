// The key-value cache: what it takes, and how fast it writes.
#include <fmt/format.h>
#include <pybind11/stl.h>

#include "tinygpt/core/error.h"
#include "tinygpt/infer/generate.h"
#include "tinygpt/python/arrays.h"
#include "tinygpt/python/bindings.h"
#include "tinygpt/python/interrupt.h"
#include "tinygpt/python/model_state.h"

namespace tinygpt::python {
namespace {

CacheType cache_type(const std::string& name) {
  if (name == "f32") return CacheType::f32;
  if (name == "bf16") return CacheType::bf16;
  check(name == "int8", [&] { return fmt::format("cache '{}': f32, bf16 or int8", name); });
  return CacheType::int8;
}

std::int64_t cache_bytes(const SharedModel& state, int tokens, const std::string& type) {
  check(tokens >= 0 && tokens <= state->gpt.config.context_length, [&] {
    return fmt::format("tokens: {} is not in 0 .. {}", tokens, state->gpt.config.context_length);
  });
  EngineSettings settings;
  settings.cache = cache_type(type);
  return engine_ledger(state->gpt.config, state->gpt.ops, settings).per_token * tokens;
}

// Greedy: what is measured is the time. (new tokens, seconds to read the prompt, seconds of each
// token after the first.)
py::tuple generate_cached(const SharedModel& state, const py::object& prompt, int max_tokens,
                          const std::string& type) {
  const std::vector<int> ids = token_list(prompt, "prompt");
  check(max_tokens >= 1, "max_tokens: at least 1");
  check(static_cast<std::int64_t>(ids.size()) + max_tokens <= state->gpt.config.context_length,
        [&] {
          return fmt::format("prompt and text of {} + {} tokens: the model's context is {}",
                             ids.size(), max_tokens, state->gpt.config.context_length);
        });
  EngineSettings settings;
  settings.cache = cache_type(type);
  GenerateSettings how;
  how.sampling.temperature = 0;
  how.max_tokens = max_tokens;
  Timing timing;
  auto written = without_gil([&] {
    const Turn turn(*state);
    make_room(*state, Purpose::inference, 1, complete_settings(settings, state->gpt.config).rows);
    Engine<float> engine = make_engine(weights_of(state->gpt), settings);
    return generate(
        engine, add_sequence(engine), ids, how,
        [](int) {
          check_interrupt();
          return true;
        },
        &timing);
  });
  const double later =
      timing.later_tokens > 0 ? timing.decode / static_cast<double>(timing.later_tokens) : 0.0;
  return py::make_tuple(array_of(std::move(written)), timing.prefill, later);
}

}  // namespace

void bind_cache(py::module_& m) {
  const py::object model = py::type::of<ModelState>();
  model.attr("cache_bytes") = py::cpp_function(
      &cache_bytes, py::name("cache_bytes"), py::is_method(model), py::arg("tokens"),
      py::arg("type") = "f32",
      "Bytes that keys and values of so many tokens take in the cache, all layers: f32, bf16 or "
      "int8.");
  model.attr("generate_cached") = py::cpp_function(
      &generate_cached, py::name("generate_cached"), py::is_method(model), py::arg("prompt"),
      py::arg("max_tokens"), py::arg("type") = "f32",
      "The likeliest continuation of ids [T], written over a key-value cache: (int32 [n], seconds "
      "to read the prompt, seconds of each token after the first).");
  (void)m;
}

}  // namespace tinygpt::python
