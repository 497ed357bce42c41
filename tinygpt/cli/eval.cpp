// tinygpt eval: how well a model predicts a text.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <numbers>
#include <optional>
#include <string>
#include <vector>

#include "tinygpt/cli/checks.h"
#include "tinygpt/cli/commands.h"
#include "tinygpt/cli/inference_model.h"
#include "tinygpt/cli/kernels.h"
#include "tinygpt/cli/model_source.h"
#include "tinygpt/cli/terminal.h"
#include "tinygpt/core/error.h"
#include "tinygpt/infer/evaluate.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::vector<std::string> models = {"models/demo"};
  std::string data = "data/tinytales";
  std::string reference;
  int context = 0;  // 0: the model's
  int batch = 8;
  std::int64_t tokens = 200'000;
  bool floats = false;
  bool speed = false;
  bool json = false;
  KernelChoice kernels;
};

// What is said of one model.
struct Row {
  std::string model;
  std::int64_t bytes = 0;  // of its file
  bool integers = false;   // were multiplied
  Evaluation result{};
  double bytes_per_token = 0;
  std::optional<double> floor{};  // nats per byte
  double tokens_per_second = 0;   // 0: not measured

  double bits_per_byte() const { return result.loss / bytes_per_token / std::numbers::ln2; }
};

std::int64_t file_bytes(const fs::path& model) {
  if (!fs::is_directory(model)) return static_cast<std::int64_t>(fs::file_size(model));
  std::int64_t bytes = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(model)) {
    if (entry.path().extension() == ".safetensors") {
      bytes += static_cast<std::int64_t>(entry.file_size());
    }
  }
  return bytes;
}

// A model that predicts: a folder in floats; a GGUF file through the engine, which computes what
// `generate` does, or with --floats in floats as well.
struct Loaded {
  std::optional<Gpt<float>> gpt;
  std::unique_ptr<GgufWeights> file;
  std::optional<Engine<float>> engine;

  Predictor predictor() { return {gpt ? &*gpt : nullptr, engine ? &*engine : nullptr}; }
  bool multiplies_integers() const { return file && !file->matrices.empty(); }
};

Loaded load_model(const ModelSource& source, const Arguments& a, const Kernels& kernels, int T) {
  Loaded m;
  if (source.gguf && !a.floats) {
    EngineSettings settings;
    settings.capacity = T;
    settings.rows = settings.logit_rows = std::min(T, kEngineRows);
    check_engine_memory(source, kernels, settings);
    m.file = open_gguf_weights(source.path, kernels.ops, kernels.memory);
    m.engine = make_engine(m.file->weights, settings);
    return m;
  }
  check_memory(kernels.memory,
               memory_ledger(source.config, kernels.ops, Purpose::inference, a.batch, T).total *
                   (a.reference.empty() ? 1 : 2),
               source.path.string(), "choose a smaller --batch or --context");
  m.gpt = make_gpt(source.config, kernels.ops, kernels.memory, Purpose::inference, a.batch, T);
  load_weights(*m.gpt, source);
  return m;
}

Loaded load_reference(const Arguments& a, const ModelSource& source, const Kernels& kernels,
                      int T) {
  if (a.reference.empty()) return {};
  const ModelSource other = open_model(a.reference);
  check(other.config.vocab_size == source.config.vocab_size && T <= other.config.context_length,
        [&] { return fmt::format("--reference {}: is a model of other tokens", a.reference); });
  return load_model(other, a, kernels, T);
}

// Tokens a second that the model writes, one text alone: the better of two.
double measure_speed(const ModelSource& source, const Kernels& kernels, const TokenFile& text) {
  const int context = source.config.context_length;
  EngineSettings settings;
  settings.capacity = std::min(context, 256);
  check_engine_memory(source, kernels, settings);
  const InferenceModel model = load_inference_model(source, kernels);
  Engine<float> engine = make_engine(model.weights, settings);
  const int begin = std::min(16, std::max(1, settings.capacity / 2));
  std::vector<int> prompt(static_cast<std::size_t>(std::min<std::int64_t>(begin, text.size())));
  for (std::size_t i = 0; i < prompt.size(); ++i) prompt[i] = text[static_cast<std::int64_t>(i)];
  GenerateSettings greedy;
  greedy.sampling.temperature = 0;
  greedy.max_tokens = settings.capacity - static_cast<int>(prompt.size());
  double best = 0;
  for (int round = 0; round < 2 && !was_interrupted(); ++round) {
    const int sequence = add_sequence(engine);
    Timing timing;
    generate<float>(
        engine, sequence, prompt, greedy, [](int) { return !was_interrupted(); }, &timing);
    remove_sequence(engine, sequence);
    best = std::max(best, static_cast<double>(timing.later_tokens) / timing.decode);
  }
  return best;
}

Row evaluate_model(const std::string& path, const Arguments& a, const Kernels& kernels,
                   StatusLine& status) {
  const ModelSource source = open_model(path);
  const int T = a.context > 0 ? a.context : source.config.context_length;
  check(T <= source.config.context_length, [&] {
    return fmt::format("--context {}: {} sees {} tokens at most", T, path,
                       source.config.context_length);
  });
  const TokenText text = open_text(a.data, Split::validation, source.tokenizer);
  Loaded model = load_model(source, a, kernels, T);
  Loaded reference = load_reference(a, source, kernels, T);
  const ValidationPlan plan{T, 0, text.boundary_for(T)};
  const auto show = [&](double done) {
    status.show(fmt::format("{}: reading {:.0f}%", path, 100 * done));
    return !was_interrupted();
  };
  const std::int64_t most = std::max<std::int64_t>(a.tokens / T, 1);
  Row row{path, file_bytes(path), model.multiplies_integers()};
  row.bytes_per_token = text.bytes_per_token;
  row.floor = text.floor;
  row.result = evaluate(model.predictor(), *text.tokens, plan, most, show, reference.predictor());
  if (a.speed && !was_interrupted()) {
    status.show(fmt::format("{}: writing", path));
    row.tokens_per_second = measure_speed(source, kernels, *text.tokens);
  }
  status.clear();
  return row;
}

const char* products_of(const Row& row) { return row.integers ? "integers" : "floats"; }

void print_json(const Arguments& a, const Row& row) {
  nlohmann::ordered_json line = {{"model", replace_invalid_utf8(row.model)},
                                 {"data", replace_invalid_utf8(a.data)},
                                 {"bytes", row.bytes},
                                 {"products", products_of(row)},
                                 {"tokens", row.result.tokens},
                                 {"loss", row.result.loss},
                                 {"perplexity", std::exp(row.result.loss)},
                                 {"bits_per_byte", row.bits_per_byte()}};
  if (!a.reference.empty()) line["divergence"] = row.result.divergence;
  if (row.floor) line["floor_bits_per_byte"] = *row.floor / std::numbers::ln2;
  if (a.speed) line["tokens_per_second"] = row.tokens_per_second;
  fmt::print("{}\n", line.dump());
}

void print_one(const Arguments& a, const Row& row) {
  fmt::print("tokens          {}\n", row.result.tokens);
  fmt::print("products        of {}\n", products_of(row));
  fmt::print("loss            {:.5f} nats per token\n", row.result.loss);
  fmt::print("perplexity      {:.5f}\n", std::exp(row.result.loss));
  fmt::print("bits per byte   {:.5f}\n", row.bits_per_byte());
  if (!a.reference.empty()) {
    fmt::print("divergence      {:.6f} nats per token from {}\n", row.result.divergence,
               replace_controls(a.reference));
  }
  if (row.floor) {
    fmt::print("floor           {:.5f} bits per byte, which no model can pass\n",
               *row.floor / std::numbers::ln2);
  }
  if (a.speed) fmt::print("speed           {} tokens/s\n", short_number(row.tokens_per_second));
}

// Several models side by side.
void print_table(const Arguments& a, const std::vector<Row>& rows) {
  std::size_t width = 5;
  for (const Row& row : rows) width = std::max(width, row.model.size());
  const bool divergence = !a.reference.empty();
  fmt::print("{:{}}  {:>12}  {:>8}  {:>10}{}{}\n", "model", width, "size", "loss", "perplexity",
             divergence ? "  divergence" : "", a.speed ? "  tokens/s" : "");
  for (const Row& row : rows) {
    fmt::print("{:{}}  {:>12}  {:>8.5f}  {:>10.5f}", replace_controls(row.model), width,
               fmt::format("{:.2f} MB", static_cast<double>(row.bytes) * 1e-6), row.result.loss,
               std::exp(row.result.loss));
    if (divergence) fmt::print("  {:>10.6f}", row.result.divergence);
    if (a.speed) fmt::print("  {:>8}", short_number(row.tokens_per_second));
    fmt::print("\n");
  }
}

void run(Arguments& a) {
  check(a.context >= 0, "--context: must be at least 1");
  check(a.batch >= 1, "--batch: must be at least 1");
  check(a.tokens >= 1, "--tokens: must be at least 1");
  const Kernels kernels = choose_kernels(a.kernels);
  catch_interrupts();
  StatusLine status;
  std::vector<Row> rows;
  for (const std::string& model : a.models) {
    rows.push_back(evaluate_model(model, a, kernels, status));
    if (was_interrupted()) throw CLI::RuntimeError(130);
    if (a.json) print_json(a, rows.back());
  }
  if (!a.json && rows.size() == 1) print_one(a, rows[0]);
  if (!a.json && rows.size() > 1) print_table(a, rows);
}

}  // namespace

void add_eval_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("eval", "Measure how well a model predicts a text it has not seen");
  const auto a = std::make_shared<Arguments>();
  command
      ->add_option("--model", a->models,
                   "The model's folder, or a GGUF file; given again, all side by side")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->capture_default_str();
  command
      ->add_option("--data", a->data, "A prepared corpus (its validation split), or a file of text")
      ->capture_default_str();
  command->add_option("--reference", a->reference,
                      "Another model: print the divergence from its predictions, too");
  command->add_option("--context", a->context,
                      "Tokens in a window (default: as many as the model sees)");
  command->add_option("--batch", a->batch, "Windows in a pass, of a model in floats")
      ->capture_default_str();
  command->add_option("--tokens", a->tokens, "Tokens read at most")->capture_default_str();
  command->add_flag("--floats", a->floats,
                    "Turn a GGUF file's weights into floats (default: multiply them as generate "
                    "does, by activations in 8 bits)");
  command->add_flag("--speed", a->speed, "Let it write, too, and print tokens a second");
  command->add_flag("--json", a->json, "Print one JSON object a model");
  add_kernel_options(*command, a->kernels);
  command->callback([a] { run(*a); });
}

}  // namespace tinygpt::cli
