#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "bench/device.h"
#include "bench/kernels.h"
#include "bench/operators.h"
#include "bench/peer.h"
#include "bench/training_step.h"
#include "tinygpt/core/error.h"
#include "tinygpt/model/gpt.h"

namespace tinygpt::bench {
namespace {

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
  bool bf16_products;  // beside ours of the same kind
};

struct Way {
  std::string name;
  std::vector<std::string> options;
  bool bf16_products = false;
};

// Plain PyTorch and compiled; in bf16 compiled alone, which is its best. Beside products of bf16
// the same option of PyTorch's, and its autocast, which keeps activations in bf16, too.
std::vector<Way> ways_of(const Settings& s) {
  const std::string device = s.on_host() ? "cpu" : "cuda";
  const char* dtype = s.bf16 ? "bf16" : "float32";
  std::vector<Way> ways;
  if (!s.bf16) ways.push_back({"PyTorch", {"--device", device}});
  ways.push_back({"compiled", {"--device", device, "--dtype", dtype, "--compile"}});
  if (s.bf16_product_ops.linear_forward != nullptr) {
    ways.push_back({"PyTorch", {"--matmul-precision", "bf16"}, true});
    ways.push_back({"compiled", {"--matmul-precision", "bf16", "--compile"}, true});
    ways.push_back({"autocast", {"--dtype", "bf16"}, true});
    ways.push_back({"compiled autocast", {"--dtype", "bf16", "--compile"}, true});
  }
  return ways;
}

// GPT-2's shape is what the twin speaks. One that cannot run (no GPU that it knows, too little
// memory) is said and left out.
std::vector<Twin> start_twins(const Settings& s) {
  std::vector<Twin> twins;
  if (s.python.empty() || s.config.family != Family::gpt2 || s.device == "emulated") return twins;
  for (const auto& [name, options, bf16_products] : ways_of(s)) {
    std::unique_ptr<Peer> peer = start_twin(s, options);
    try {
      const auto answer = nlohmann::json::parse(peer->read_line());
      twins.push_back(
          {name + " " + answer.at("version").get<std::string>(), std::move(peer), bf16_products});
    } catch (const std::exception& problem) {
      fmt::print(stderr, "bench: without {}: {}\n", name, problem.what());
    }
  }
  return twins;
}

// Where PyTorch's time goes, by its own profiler: operators that take a thousandth of the step.
void ask_operators(Report& report, Peer& twin, int rounds) {
  std::map<std::string, std::pair<int, std::vector<double>>> times;
  double all = 0;
  for (int round = -1; round < rounds; ++round) {  // the first one starts the profiler
    twin.write_line("operators");
    const auto answer = nlohmann::json::parse(twin.read_line());
    for (const auto& o : answer.at("operators")) {
      if (round < 0) continue;
      auto& [calls, seconds] = times[o.at("name").get<std::string>()];
      calls = o.at("calls").get<int>();
      seconds.push_back(o.at("seconds").get<double>());
      all += seconds.back() / rounds;
    }
  }
  for (auto& [name, time] : times) {
    const Timing seconds = summarize(time.second);
    if (seconds.median * 1000 < all) continue;
    report.peer_step.push_back({name, time.first, 0, 0, seconds});
  }
  std::sort(report.peer_step.begin(), report.peer_step.end(),
            [](const auto& a, const auto& b) { return a.seconds.median > b.seconds.median; });
}

// On the host each operator of the step keeps its time, which costs a ten-thousandth of it.
Settings with_clocks(Settings s) {
  if (!s.on_host() || s.bf16) return s;
  s.ops = timed_ops(s.ops, s.config);
  s.memory = timed_memory(s.memory);
  return s;
}

// The same model with products of bf16, where the kernels have them.
std::unique_ptr<TrainingStep> with_bf16_products(Settings s) {
  if (s.bf16_product_ops.linear_forward == nullptr) return nullptr;
  s.ops = s.bf16_product_ops;
  return std::make_unique<TrainingStep>(s);
}

// Seconds until PyTorch's threads sleep.
constexpr double kRest = 0.3;

// A row of the figures of one kind. Products of bf16 have no limit that was measured.
Row row_of(const Report& report, const Settings& s, bool bf16_products) {
  const double flops = flop_ledger(s.config, s.time).step;
  return {
      section(s, "training step") + (bf16_products ? ", products of bf16" : ""),
      fmt::format("{:.1f}M parameters, B={} T={}",
                  static_cast<double>(parameter_ledger(s.config).total) * 1e-6, s.batch, s.time),
      "tokens/s",
      bf16_products ? 0 : report.machine.peak_gflops * 1e9 / flops,
      {}};
}

}  // namespace

void bench_step(Report& report, const Settings& settings) {
  TrainingStep step(with_clocks(settings));
  const std::unique_ptr<TrainingStep> rounded = with_bf16_products(settings);
  const std::vector<Twin> twins = start_twins(settings);
  std::vector<Candidate> candidates = {{"tinygpt", [&] { step.run(); }}};
  std::vector<bool> bf16_products = {false};
  if (rounded) {
    candidates.push_back({"tinygpt", [&] { rounded->run(); }});
    bf16_products.push_back(true);
  }
  for (const Twin& twin : twins) {
    candidates.push_back({twin.name, [&twin] {
                            twin.peer->write_line("step");
                            twin.peer->read_line();
                          }});
    bf16_products.push_back(twin.bf16_products);
  }
  const std::vector<Timing> times =
      time_in_turn(candidates, settings.rounds, settings.min_seconds, waiting(settings.memory),
                   twins.empty() ? 0 : kRest);
  const double tokens = static_cast<double>(settings.batch) * settings.time;
  for (const bool kind : {false, true}) {
    if (kind && !rounded) continue;
    Row row = row_of(report, settings, kind);
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      if (bf16_products[i] != kind) continue;
      row.figures.push_back(speed(candidates[i].name, times[i], tokens));
    }
    report.rows.push_back(std::move(row));
  }
  if (!settings.on_host() || settings.bf16) return;
  report.step = time_operators([&] { step.run(); }, settings.rounds);
  if (!twins.empty()) ask_operators(report, *twins[0].peer, std::min(settings.rounds, 3));
}

}  // namespace tinygpt::bench
