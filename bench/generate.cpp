#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <memory>

#include "bench/device.h"
#include "bench/kernels.h"
#include "tinygpt/infer/generate.h"

namespace tinygpt::bench {

namespace {

// What writes a text: the engine with its cache, where the table has operators for one, as
// `tinygpt generate` does; otherwise the model, which reads the whole text for each token.
template <class Real>
std::function<void()> writer(Gpt<Real>& model, const std::vector<int>& prompt,
                             const GenerateSettings& how) {
  if (model.ops.attention_decode == nullptr) return [=, &model] { generate(model, prompt, how); };
  const auto engine = std::make_shared<Engine<Real>>(make_engine(weights_of(model), {}));
  return [=] {
    const int sequence = add_sequence(*engine);
    generate(*engine, sequence, prompt, how);
    remove_sequence(*engine, sequence);
  };
}

template <class Real>
void bench_generate(Report& report, const Settings& settings, const Ops<Real>& ops) {
  const GptConfig& c = settings.config;
  Gpt<Real> model = make_gpt(c, ops, settings.memory, Purpose::inference, 1, c.context_length);
  init_parameters(model, 1);
  const std::vector<int> prompt(static_cast<std::size_t>(std::clamp(settings.time / 2, 1, 16)), 1);
  const GenerateSettings how{.sampling = {.temperature = 1},
                             .max_tokens = std::clamp(settings.time / 2, 1, 64)};
  const std::vector<Candidate> candidates = {{"tinygpt", writer(model, prompt, how)}};
  const bench::Timing time =
      time_in_turn(candidates, settings.rounds, settings.min_seconds, waiting(settings.memory))[0];
  report.rows.push_back({section(settings, "generation"),
                         fmt::format("{:.1f}M parameters, {} tokens after {}",
                                     static_cast<double>(parameter_ledger(c).total) * 1e-6,
                                     how.max_tokens, prompt.size()),
                         "tokens/s",
                         0,
                         {speed("tinygpt", time, how.max_tokens)}});
}

}  // namespace

void bench_generate(Report& report, const Settings& settings) {
  in_type(settings, [&](const auto& ops, const auto&) { bench_generate(report, settings, ops); });
}

}  // namespace tinygpt::bench
