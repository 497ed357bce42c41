// bench-scaling: seconds and memory of a training step in one shape, beside what the ledgers say,
// as one JSON object. bench/scaling.py runs it over many shapes, each in a process of its own, so
// that the peak of memory is that shape's.
#include <fmt/format.h>
#include <omp.h>

#include <CLI/CLI.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "bench/measure.h"
#include "bench/training_step.h"
#include "tinygpt/core/error.h"
#include "tinygpt/cpu/table.h"

namespace {

using namespace tinygpt;

// Bytes from a line such as "VmHWM:   1234 kB" of what Linux says of this process.
double memory_of_process(const std::string& name) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name + ":")) return std::stod(line.substr(name.size() + 1)) * 1024;
  }
  throw Error("bench-scaling: /proc/self/status does not say " + name);
}

nlohmann::json measure(const bench::Settings& settings) {
  omp_set_num_threads(settings.threads);
#pragma omp parallel
  {  // the team's own memory is not the model's
  }
  const double before = memory_of_process("VmRSS");
  bench::TrainingStep step(settings);
  const bench::Timing time =
      bench::time_in_turn({{"tinygpt", [&] { step.run(); }}}, settings.rounds, 0)[0];
  const double peak = memory_of_process("VmHWM");
  const MemoryLedger memory = memory_ledger(settings.config, settings.ops, Purpose::training,
                                            settings.batch, settings.time);
  const double tokens = static_cast<double>(settings.batch) * settings.time;
  return {{"median", time.median},
          {"min", time.min},
          {"max", time.max},
          {"flops", tokens * flop_ledger(settings.config, settings.time).step},
          {"parameters", parameter_ledger(settings.config).total},
          {"bytes", peak - before},
          {"ledger_bytes", memory.total}};
}

}  // namespace

int main(int argc, char** argv) {
  bench::Settings settings;
  GptConfig& c = settings.config;
  c = GptConfig{.layers = 4, .heads = 4, .kv_heads = 4, .width = 256, .hidden = 1024};
  settings.ops = cpu::ops();
  settings.batch = 4;
  settings.rounds = 5;
  CLI::App app("Seconds and memory of one training step of a GPT-2 shape; heads have 64 channels");
  app.add_option("--layers", c.layers)->capture_default_str();
  app.add_option("--width", c.width, "A multiple of 64")->capture_default_str();
  app.add_option("--vocab-size", c.vocab_size)->capture_default_str();
  app.add_option("--batch", settings.batch)->capture_default_str();
  app.add_option("--time", settings.time)->capture_default_str();
  app.add_option("--threads", settings.threads)->capture_default_str();
  app.add_option("--rounds", settings.rounds)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    check(c.width >= 64 && c.width % 64 == 0, "--width must be a multiple of 64");
    check(
        settings.batch >= 1 && settings.time >= 1 && settings.threads >= 1 && settings.rounds >= 1,
        "--batch, --time, --threads and --rounds must be at least 1");
    c.heads = c.kv_heads = c.width / 64;
    c.hidden = 4 * c.width;
    c.context_length = settings.time;
    check_config(c);
    fmt::print("{}\n", measure(settings).dump());
  } catch (const std::exception& problem) {
    fmt::print(stderr, "bench-scaling: {}\n", problem.what());
    return 1;
  }
}
