#include <fmt/format.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>

#include "bench/device.h"
#include "bench/kernels.h"
#include "bench/peer.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/random.h"
#include "tinygpt/model/gpt.h"

namespace tinygpt::bench {
namespace {

// A model and everything that one step of training needs, as the trainer does it.
struct Step {
  Step(const Settings& s, const Ops<float>& ops)
      : B(s.batch),
        T(s.time),
        model(make_gpt(s.config, ops, s.memory, Purpose::training, B, T)),
        m(zeros(s.memory, model.layout.total * std::int64_t{sizeof(float)})),
        v(zeros(s.memory, model.layout.total * std::int64_t{sizeof(float)})),
        scratch(s.memory, (kNorm + ops.gradient_norm_scratch_size(model.layout.total)) *
                              std::int64_t{sizeof(float)}) {
    init_parameters(model, 1);
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
    float* norm = floats(scratch);
    model.ops.gradient_norm(norm, model.grads(), norm + kNorm, n);
    model.ops.clip_gradients(model.grads(), norm, n, 1.0f);
    AdamwSettings settings;
    settings.lr = 1e-4f;
    settings.step = ++steps;
    for (const Parameter& p : model.layout.parameters) {
      settings.weight_decay = p.decay ? 0.1f : 0.0f;
      model.ops.adamw_step(model.params() + p.offset, nullptr, floats(m) + p.offset,
                           floats(v) + p.offset, model.grads() + p.offset, p.size(), settings);
    }
  }
  static constexpr int kNorm = 16;  // the norm, and the rest of its cache line
  int B, T;
  Gpt<float> model;
  DeviceBuffer m, v, scratch;
  std::vector<int> tokens, targets;
  int steps = 0;
  float loss = 0;
};

// PyTorch's twin, an optional peer.
std::unique_ptr<Peer> start_twin(const Settings& s, const std::vector<std::string>& how) {
  const GptConfig& c = s.config;
  const auto text = [](int value) { return std::to_string(value); };
  std::vector<std::string> command = {s.python,       TINYGPT_SOURCE_DIR "/bench/pytorch_twin.py",
                                      "--vocabulary", text(c.vocab_size),
                                      "--context",    text(s.time),
                                      "--layers",     text(c.layers),
                                      "--heads",      text(c.heads),
                                      "--width",      text(c.width),
                                      "--hidden",     text(c.hidden),
                                      "--batch",      text(s.batch),
                                      "--threads",    text(s.threads)};
  command.insert(command.end(), how.begin(), how.end());
  return std::make_unique<Peer>(command);
}

struct Twin {
  std::string name;
  std::unique_ptr<Peer> peer;
};

// Plain PyTorch; on a GPU its best, too. GPT-2's shape is what the twin speaks. One that cannot run
// (no GPU that it knows, too little memory) is said and left out.
std::vector<Twin> start_twins(const Settings& s) {
  std::vector<Twin> twins;
  if (s.python.empty() || s.config.family != Family::gpt2 || s.device == "emulated") return twins;
  struct Way {
    std::string name;
    std::vector<std::string> options;
  };
  std::vector<Way> ways = {{"PyTorch", {"--device", s.on_host() ? "cpu" : "cuda"}}};
  if (!s.on_host()) {
    ways.push_back({"compiled, bf16", {"--device", "cuda", "--dtype", "bf16", "--compile"}});
  }
  for (const auto& [name, options] : ways) {
    std::unique_ptr<Peer> peer = start_twin(s, options);
    try {
      const auto answer = nlohmann::json::parse(peer->read_line());
      twins.push_back({name + " " + answer.at("version").get<std::string>(), std::move(peer)});
    } catch (const std::exception& problem) {
      check(!s.on_host(), problem.what());
      fmt::print(stderr, "bench: without {}: {}\n", name, problem.what());
    }
  }
  return twins;
}

}  // namespace

void bench_step(Report& report, const Settings& settings, const Ops<float>& ops) {
  Step step(settings, ops);
  const std::vector<Twin> twins = start_twins(settings);
  std::vector<Candidate> candidates = {{"tinygpt", [&] { step.run(); }}};
  for (const Twin& twin : twins) {
    candidates.push_back({twin.name, [&twin] {
                            twin.peer->write_line("step");
                            twin.peer->read_line();
                          }});
  }
  const std::vector<Timing> times =
      time_in_turn(candidates, settings.rounds, settings.min_seconds, waiting(settings.memory));
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
