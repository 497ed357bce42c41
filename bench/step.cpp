#include <fmt/format.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>

#include "bench/kernels.h"
#include "bench/peer.h"
#include "tinygpt/core/buffer.h"
#include "tinygpt/core/random.h"
#include "tinygpt/model/gpt.h"

namespace tinygpt::bench {
namespace {

// A model and everything that one step of training needs, as the trainer does it.
struct Step {
  Step(const Settings& s, const Ops<float>& ops)
      : B(s.batch),
        T(s.time),
        model(make_gpt(s.config, ops, host_memory(), Purpose::training, B, T)),
        m(model.layout.total),
        v(model.layout.total),
        scratch(ops.gradient_norm_scratch_size(model.layout.total)) {
    init_parameters(model, 1);
    for (Buffer<float>* moment : {&m, &v}) std::fill_n(moment->data(), moment->size(), 0.0f);
    Random random{2};
    for (int i = 0; i < B * T; ++i) {
      tokens.push_back(
          static_cast<int>(random.below(static_cast<std::uint64_t>(s.config.vocab_size))));
      targets.push_back(
          static_cast<int>(random.below(static_cast<std::uint64_t>(s.config.vocab_size))));
    }
  }
  void run() {
    zero_gradients(model);
    loss = forward(model, tokens, targets, B, T);
    backward(model);
    const std::int64_t n = model.layout.total;
    float norm = 0;
    model.ops.gradient_norm(&norm, model.grads(), scratch.data(), n);
    model.ops.clip_gradients(model.grads(), &norm, n, 1.0f);
    AdamwSettings settings;
    settings.lr = 1e-4f;
    settings.step = ++steps;
    for (const Parameter& p : model.layout.parameters) {
      settings.weight_decay = p.decay ? 0.1f : 0.0f;
      model.ops.adamw_step(model.params() + p.offset, nullptr, m.data() + p.offset,
                           v.data() + p.offset, model.grads() + p.offset, p.size(), settings);
    }
  }
  int B, T;
  Gpt<float> model;
  Buffer<float> m, v, scratch;
  std::vector<int> tokens, targets;
  int steps = 0;
  float loss = 0;
};

// PyTorch's twin, or nothing: it is an optional peer, and GPT-2's shape is what the twin speaks.
std::unique_ptr<Peer> start_twin(const Settings& s) {
  const GptConfig& c = s.config;
  if (s.python.empty() || c.family != Family::gpt2) return nullptr;
  const auto text = [](int value) { return std::to_string(value); };
  return std::make_unique<Peer>(std::vector<std::string>{
      s.python, TINYGPT_SOURCE_DIR "/bench/pytorch_twin.py", "--vocabulary", text(c.vocab_size),
      "--context", text(s.time), "--layers", text(c.layers), "--heads", text(c.heads), "--width",
      text(c.width), "--hidden", text(c.hidden), "--batch", text(s.batch), "--threads",
      text(s.threads)});
}

}  // namespace

void bench_step(Report& report, const Settings& settings, const Ops<float>& ops) {
  Step step(settings, ops);
  const std::unique_ptr<Peer> twin = start_twin(settings);
  std::vector<Candidate> candidates = {{"tinygpt", [&] { step.run(); }}};
  std::string version;
  if (twin) {
    version = nlohmann::json::parse(twin->read_line()).at("version").get<std::string>();
    candidates.push_back({"PyTorch " + version, [&] {
                            twin->write_line("step");
                            twin->read_line();
                          }});
  }
  const std::vector<Timing> times = time_in_turn(candidates, settings.rounds, settings.min_seconds);
  const double tokens = static_cast<double>(settings.batch) * settings.time;
  const double flops = flop_ledger(settings.config, settings.time).step;
  Row row{"training step",
          fmt::format("{:.1f}M parameters, B={} T={}",
                      static_cast<double>(parameter_ledger(settings.config).total) * 1e-6,
                      settings.batch, settings.time),
          "tokens/s",
          report.machine.peak_gflops * 1e9 / flops,
          {}};
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    row.figures.push_back(speed(candidates[i].name, times[i], tokens));
  }
  report.rows.push_back(std::move(row));
}

}  // namespace tinygpt::bench
