// tinygpt eval: how well a model predicts a text.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <numbers>

#include "tinygpt/cli/checks.h"
#include "tinygpt/cli/commands.h"
#include "tinygpt/cli/kernels.h"
#include "tinygpt/cli/model_source.h"
#include "tinygpt/cli/terminal.h"
#include "tinygpt/core/error.h"
#include "tinygpt/infer/evaluate.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt::cli {
namespace {

struct Arguments {
  std::string model = "models/demo";
  std::string data = "data/tinytales";
  std::string reference;
  int context = 0;  // 0: the model's
  int batch = 8;
  std::int64_t tokens = 200'000;
  bool json = false;
  KernelChoice kernels;
};

void print_result(const Arguments& a, const TokenText& text, const Evaluation& result) {
  const double per_byte = result.loss / text.bytes_per_token;
  const double bits = per_byte / std::numbers::ln2;
  if (a.json) {
    nlohmann::ordered_json line = {{"model", replace_invalid_utf8(a.model)},
                                   {"data", replace_invalid_utf8(a.data)},
                                   {"tokens", result.tokens},
                                   {"loss", result.loss},
                                   {"perplexity", std::exp(result.loss)},
                                   {"bits_per_byte", bits}};
    if (!a.reference.empty()) line["divergence"] = result.divergence;
    if (text.floor) line["floor_bits_per_byte"] = *text.floor / std::numbers::ln2;
    fmt::print("{}\n", line.dump());
    return;
  }
  fmt::print("tokens          {}\n", result.tokens);
  fmt::print("loss            {:.5f} nats per token\n", result.loss);
  fmt::print("perplexity      {:.5f}\n", std::exp(result.loss));
  fmt::print("bits per byte   {:.5f}\n", bits);
  if (!a.reference.empty()) {
    fmt::print("divergence      {:.6f} nats per token from {}\n", result.divergence,
               replace_controls(a.reference));
  }
  if (text.floor) {
    fmt::print("floor           {:.5f} bits per byte, which no model can pass\n",
               *text.floor / std::numbers::ln2);
  }
}

void run(Arguments& a) {
  check(a.context >= 0, "--context: must be at least 1");
  check(a.batch >= 1, "--batch: must be at least 1");
  check(a.tokens >= 1, "--tokens: must be at least 1");
  const Kernels kernels = choose_kernels(a.kernels);
  const ModelSource source = open_model(a.model);
  const int T = a.context > 0 ? a.context : source.config.context_length;
  check(T <= source.config.context_length, [&] {
    return fmt::format("--context {}: the model sees {} tokens at most", T,
                       source.config.context_length);
  });
  const TokenText text = open_text(a.data, Split::validation, source.tokenizer);
  check_memory(kernels.memory,
               memory_ledger(source.config, kernels.ops, Purpose::inference, a.batch, T).total *
                   (a.reference.empty() ? 1 : 2),
               a.model, "choose a smaller --batch or --context");
  Gpt<float> model =
      make_gpt(source.config, kernels.ops, kernels.memory, Purpose::inference, a.batch, T);
  load_weights(model, source);
  Gpt<float> reference;
  if (!a.reference.empty()) {
    const ModelSource other = open_model(a.reference);
    check(other.config.vocab_size == source.config.vocab_size && T <= other.config.context_length,
          [&] { return fmt::format("--reference {}: is a model of other tokens", a.reference); });
    reference = make_gpt(other.config, kernels.ops, kernels.memory, Purpose::inference, a.batch, T);
    load_weights(reference, other);
  }
  catch_interrupts();
  StatusLine status;
  const ValidationPlan plan{T, 0, text.boundary_for(T)};
  const auto show = [&](double done) {
    status.show(fmt::format("reading {:.0f}%", 100 * done));
    return !was_interrupted();
  };
  const std::int64_t most = std::max<std::int64_t>(a.tokens / T, 1);
  const Evaluation result =
      evaluate(model, *text.tokens, plan, most, show, a.reference.empty() ? nullptr : &reference);
  status.clear();
  if (was_interrupted()) throw CLI::RuntimeError(130);
  print_result(a, text, result);
}

}  // namespace

void add_eval_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("eval", "Measure how well a model predicts a text it has not seen");
  const auto a = std::make_shared<Arguments>();
  command->add_option("--model", a->model, "The model's folder, or a GGUF file")
      ->capture_default_str();
  command
      ->add_option("--data", a->data, "A prepared corpus (its validation split), or a file of text")
      ->capture_default_str();
  command->add_option("--reference", a->reference,
                      "Another model: print the divergence from its predictions, too");
  command->add_option("--context", a->context,
                      "Tokens in a window (default: as many as the model sees)");
  command->add_option("--batch", a->batch, "Windows in a pass")->capture_default_str();
  command->add_option("--tokens", a->tokens, "Tokens read at most")->capture_default_str();
  command->add_flag("--json", a->json, "Print one JSON object");
  add_kernel_options(*command, a->kernels);
  command->callback([a] { run(*a); });
}

}  // namespace tinygpt::cli
