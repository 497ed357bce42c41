// tinygpt info: what a model costs, in parameters, in floating-point operations and in memory.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "tinygpt/cli/checks.h"
#include "tinygpt/cli/commands.h"
#include "tinygpt/cli/kernels.h"
#include "tinygpt/cli/terminal.h"
#include "tinygpt/core/error.h"
#include "tinygpt/cpu/levels.h"
#include "tinygpt/cuda/table.h"
#include "tinygpt/infer/engine.h"
#include "tinygpt/model/folder.h"
#include "tinygpt/model/gpt.h"

namespace tinygpt::cli {
namespace {

using nlohmann::ordered_json;

struct Arguments {
  std::string model;
  std::string config;
  int batch = 8;
  int context = 0;  // 0: the model's
  bool json = false;
  KernelChoice kernels;
};

// One model and all its ledgers.
struct Ledgers {
  std::string name;
  GptConfig config;
  int B = 0, T = 0;
  ParameterLedger parameters;
  FlopLedger flops;
  MemoryLedger training, inference;
  EngineLedger engines[3];  // by type of cache, for B texts of T tokens
};

constexpr int kGpuGib[] = {4, 8, 12, 16, 24};
constexpr double kUsable = 0.9;  // of a GPU's memory: the driver and the screen need some, too
constexpr int kMostSequences = 4096;

// The largest batch for which need(B) bytes fit, or 0.
template <class Need>
int largest_batch(int gib, const Need& need) {
  const double room = kUsable * gib * (std::int64_t{1} << 30);
  int fits = 0, too_many = kMostSequences + 1;
  while (too_many - fits > 1) {
    const int B = (fits + too_many) / 2;
    (static_cast<double>(need(B)) <= room ? fits : too_many) = B;
  }
  return fits;
}

// Training with the fast CUDA kernels: their scratch is the same emulated.
std::int64_t gpu_bytes_in_float(const GptConfig& c, int B, int T) {
  return memory_ledger(c, cuda_emulated::ops(), Purpose::training, B, T).total;
}
std::int64_t gpu_bytes_in_bf16(const GptConfig& c, int B, int T) {
  return bf16_training_bytes(c, cuda_emulated::ops(), cuda_emulated::bf16_ops(), B, T);
}

// What fits a GPU: a batch for each size and type.
struct GpuRow {
  int gib = 0, in_float = 0, in_bf16 = 0;
};
std::vector<GpuRow> gpu_rows(const GptConfig& c, int T) {
  std::vector<GpuRow> rows;
  for (const int gib : kGpuGib) {
    rows.push_back({gib, largest_batch(gib, [&](int B) { return gpu_bytes_in_float(c, B, T); }),
                    largest_batch(gib, [&](int B) { return gpu_bytes_in_bf16(c, B, T); })});
  }
  return rows;
}

Ledgers make_ledgers(Arguments& a) {
  check(a.model.empty() || a.config.empty(), "give a model's folder or --config, not both");
  Ledgers l;
  l.name = a.model.empty() ? a.config : a.model;
  l.config = a.model.empty() ? named_config(a.config) : read_model_config(a.model);
  l.B = a.batch;
  l.T = a.context == 0 ? l.config.context_length : a.context;
  check(l.B >= 1, [&] { return fmt::format("--batch is {}: it must be at least 1", l.B); });
  check(l.T >= 1 && l.T <= l.config.context_length, [&] {
    return fmt::format("--context is {}: it must be from 1 to the model's, {}", l.T,
                       l.config.context_length);
  });
  const Ops<float> ops = choose_kernels(a.kernels).ops;
  l.parameters = parameter_ledger(l.config);
  l.flops = flop_ledger(l.config, l.T);
  l.training = memory_ledger(l.config, ops, Purpose::training, l.B, l.T);
  l.inference = memory_ledger(l.config, ops, Purpose::inference, l.B, l.T);
  for (const CacheType type : {CacheType::f32, CacheType::bf16, CacheType::int8}) {
    const EngineSettings settings{.sequences = l.B, .capacity = l.T, .cache = type};
    l.engines[static_cast<int>(type)] = engine_ledger(l.config, ops, settings);
  }
  return l;
}

const char* family_name(Family family) { return family == Family::gpt2 ? "gpt2" : "llama"; }

// 1234567 as "1,234,567"
std::string grouped(std::int64_t n) {
  const std::string digits = std::to_string(n);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string megabytes(std::int64_t bytes) {
  return fmt::format("{:.2f} MB", static_cast<double>(bytes) / 1e6);
}

// 1.23e9 operations as "1.23 GFLOP"
std::string flops_text(double flops) {
  const char* const prefixes[] = {"", "k", "M", "G", "T", "P", "E"};
  std::size_t i = 0;
  while (flops >= 1000 && i + 1 < std::size(prefixes)) {
    flops /= 1000;
    ++i;
  }
  return fmt::format("{:.2f} {}FLOP", flops, prefixes[i]);
}

std::string share(double part, double whole) {
  return fmt::format("{:.1f}%", whole > 0 ? 100 * part / whole : 0.0);
}

void print_row(const std::string& name, const std::string& first, const std::string& second) {
  fmt::print("  {:<26}{:>18}{:>18}\n", name, first, second);
}

void print_config(const Ledgers& l) {
  const GptConfig& c = l.config;
  fmt::print("{}\n", bold(l.name));
  fmt::print("  {}: vocabulary {}, context {}, {} layers, {} heads", family_name(c.family),
             c.vocab_size, c.context_length, c.layers, c.heads);
  if (c.kv_heads != c.heads) fmt::print(" over {} of keys and values", c.kv_heads);
  fmt::print(", width {}, hidden {}, {} head\n", c.width, c.hidden, c.tied_head ? "tied" : "own");
}

void print_parameters(const ParameterLedger& p) {
  fmt::print("\n{}\n", bold("Parameters"));
  const std::pair<const char*, std::int64_t> rows[] = {{"token embedding", p.embedding},
                                                       {"positions", p.positions},
                                                       {"attention", p.attention},
                                                       {"MLP", p.mlp},
                                                       {"norms", p.norms},
                                                       {"head", p.head}};
  for (const auto& [name, n] : rows) {
    if (n == 0) continue;  // a tied head, rotary positions
    print_row(name, grouped(n), share(static_cast<double>(n), static_cast<double>(p.total)));
  }
  print_row("total", grouped(p.total), "");
}

void print_flops(const Ledgers& l) {
  const FlopLedger& f = l.flops;
  const double tokens = static_cast<double>(l.B) * l.T;
  fmt::print("\n{}\n", bold(fmt::format("Operations for each token, context {}", l.T)));
  print_row("linear layers", flops_text(f.linears), share(f.linears, f.forward));
  print_row("attention", flops_text(f.attention), share(f.attention, f.forward));
  print_row("head", flops_text(f.head), share(f.head, f.forward));
  print_row("forward", flops_text(f.forward), "");
  print_row("forward and backward", flops_text(f.step), "");
  print_row(fmt::format("one step of {} x {}", l.B, l.T), flops_text(f.step * tokens), "");
}

void print_memory(const Ledgers& l) {
  const MemoryLedger &t = l.training, &i = l.inference;
  fmt::print("\n{}\n", bold(fmt::format("Memory for {} x {} tokens", l.B, l.T)));
  print_row("", "training", "inference");
  print_row("parameters", megabytes(t.parameters), megabytes(i.parameters));
  print_row("gradients", megabytes(t.gradients), megabytes(i.gradients));
  print_row("optimizer", megabytes(t.optimizer), megabytes(i.optimizer));
  print_row("activations", megabytes(t.activations), megabytes(i.activations));
  print_row("scratch", megabytes(t.scratch), megabytes(i.scratch));
  print_row("total", megabytes(t.total), megabytes(i.total));
}

void print_engines(const Ledgers& l) {
  fmt::print("\n{}\n",
             bold(fmt::format("Memory for writing {} texts of up to {} tokens", l.B, l.T)));
  print_row("", "cache, a token", "with weights");
  const std::pair<const char*, CacheType> rows[] = {{"--cache f32", CacheType::f32},
                                                    {"--cache bf16", CacheType::bf16},
                                                    {"--cache int8", CacheType::int8}};
  for (const auto& [name, type] : rows) {
    const EngineLedger& e = l.engines[static_cast<int>(type)];
    print_row(name, grouped(e.per_token) + " B", megabytes(l.inference.parameters + e.total));
  }
}

std::string batch_text(int B) {
  if (B == 0) return "does not fit";
  return B == kMostSequences ? fmt::format("{} or more", B) : fmt::format("{}", B);
}

void print_gpus(const Ledgers& l) {
  fmt::print("\n{}\n", bold(fmt::format("Largest batch of {} tokens that a GPU can train", l.T)));
  print_row("", "float", "bf16");
  for (const GpuRow& row : gpu_rows(l.config, l.T)) {
    print_row(fmt::format("{} GiB, a tenth kept free", row.gib), batch_text(row.in_float),
              batch_text(row.in_bf16));
  }
}

// The instructions that the processor's kernels were compiled for: the level that computes, and, of
// the others that this program has, how to take them or why they cannot run here.
void print_levels() {
  const std::string chosen = cpu::chosen_level();
  fmt::print("\n{}\n", bold("Kernels on the processor: " + chosen));
  for (const cpu::Level& level : cpu::levels()) {
    if (level.name == chosen) continue;
    fmt::print("  {:<12}{}\n", level.name,
               level.missing.empty() ? "taken where TINYGPT_CPU names it"
                                     : "needs what this processor has not: " + level.missing);
  }
}

ordered_json levels_json() {
  ordered_json j = {{"chosen", cpu::chosen_level()}};
  for (const cpu::Level& level : cpu::levels()) {
    j["levels"].push_back({{"name", level.name}, {"missing", level.missing}});
  }
  return j;
}

ordered_json config_json(const GptConfig& c) {
  return {{"family", family_name(c.family)},
          {"vocab_size", c.vocab_size},
          {"context_length", c.context_length},
          {"layers", c.layers},
          {"heads", c.heads},
          {"kv_heads", c.kv_heads},
          {"width", c.width},
          {"hidden", c.hidden},
          {"tied_head", c.tied_head}};
}

ordered_json memory_json(const MemoryLedger& m) {
  return {{"parameters", m.parameters},   {"gradients", m.gradients}, {"optimizer", m.optimizer},
          {"activations", m.activations}, {"scratch", m.scratch},     {"total", m.total}};
}

void print_json(const Ledgers& l) {
  const ParameterLedger& p = l.parameters;
  const FlopLedger& f = l.flops;
  ordered_json j = {{"model", l.name}, {"config", config_json(l.config)}};
  j["batch"] = l.B;
  j["context"] = l.T;
  j["parameters"] = {{"embedding", p.embedding}, {"positions", p.positions},
                     {"attention", p.attention}, {"mlp", p.mlp},
                     {"norms", p.norms},         {"head", p.head},
                     {"total", p.total}};
  j["flops_per_token"] = {{"linears", f.linears},
                          {"attention", f.attention},
                          {"head", f.head},
                          {"forward", f.forward},
                          {"step", f.step}};
  j["memory_bytes"] = {{"training", memory_json(l.training)},
                       {"inference", memory_json(l.inference)}};
  for (const EngineLedger& e : l.engines) {
    j["engine_bytes"].push_back({{"cache", e.cache},
                                 {"cache_per_token", e.per_token},
                                 {"activations", e.activations},
                                 {"scratch", e.scratch},
                                 {"total", e.total}});
  }
  for (const GpuRow& row : gpu_rows(l.config, l.T)) {
    j["largest_gpu_batch"].push_back(
        {{"gib", row.gib}, {"float", row.in_float}, {"bf16", row.in_bf16}});
  }
  j["processor_kernels"] = levels_json();
  fmt::print("{}\n", j.dump(2, ' ', false, ordered_json::error_handler_t::replace));
}

// Where no model is named: the shapes that --config knows.
void list_configs(bool json) {
  ordered_json all = ordered_json::array();
  if (!json) fmt::print("{:<14}{:>16}  {}\n", "--config", "parameters", "shape");
  for (const std::string& name : config_names()) {
    const GptConfig c = named_config(name);
    const std::int64_t total = parameter_ledger(c).total;
    if (json) {
      all.push_back({{"name", name}, {"parameters", total}, {"config", config_json(c)}});
      continue;
    }
    fmt::print("{:<14}{:>16}  {}, {} layers, {} heads, width {}, context {}\n", name,
               grouped(total), family_name(c.family), c.layers, c.heads, c.width, c.context_length);
  }
  if (json) fmt::print("{}\n", all.dump(2));
  if (!json) print_levels();
}

void info(Arguments& a) {
  (void)cpu::chosen_level();  // a wrong TINYGPT_CPU is refused before anything is printed
  if (a.model.empty() && a.config.empty()) return list_configs(a.json);
  const Ledgers l = make_ledgers(a);
  if (a.json) return print_json(l);
  print_config(l);
  print_parameters(l.parameters);
  print_flops(l);
  print_memory(l);
  print_engines(l);
  print_gpus(l);
  print_levels();
}

}  // namespace

void add_info_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "info", "What a model costs: parameters, operations, memory; alone, the named shapes");
  const auto a = std::make_shared<Arguments>();
  command->add_option("model", a->model, "A model's folder");
  command->add_option("--config", a->config, "A named shape instead of a folder");
  command->add_option("--batch", a->batch, "Sequences in a pass")->capture_default_str();
  command->add_option("--context", a->context,
                      "Tokens in a sequence (default: as many as the model sees)");
  command->add_flag("--json", a->json, "Print one JSON object instead of tables");
  add_kernel_options(*command, a->kernels);
  command->callback([a] { info(*a); });
}

}  // namespace tinygpt::cli
