// tinygpt generate: text from a model.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "tinygpt/cli/commands.h"
#include "tinygpt/cli/kernels.h"
#include "tinygpt/cli/terminal.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/infer/generate.h"
#include "tinygpt/io/tokenizer_json.h"
#include "tinygpt/model/folder.h"
#include "tinygpt/text/tinytales.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt::cli {
namespace {

struct Arguments {
  std::string model = "models/demo";
  std::string prompt;
  std::string prompt_file;
  int samples = 1;
  bool json = false;
  GenerateSettings settings;
  KernelChoice kernels;
};

std::string prompt_text(const Arguments& a) {
  if (a.prompt_file.empty()) return a.prompt;
  if (a.prompt_file == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
  return read_file(a.prompt_file, 1 << 26);
}

// The prompt's tokens. Where it is empty, the token that texts begin after: the end of the one
// before.
std::vector<int> prompt_tokens(const Arguments& a, const Tokenizer& tokenizer) {
  std::vector<int> tokens = encode(tokenizer, prompt_text(a));
  if (tokens.empty()) {
    const SpecialToken* end = find_special(tokenizer, kEndOfText);
    check(end != nullptr, "--prompt: this model has no token to begin a text with: give a prompt");
    tokens.push_back(end->id);
  }
  return tokens;
}

void write(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  check(std::fflush(stdout) == 0, "standard output cannot be written");
}

// Writes one text as it comes, and gives the number of its tokens.
std::size_t write_sample(Gpt<float>& model, const Tokenizer& tokenizer, const Arguments& a,
                         const std::vector<int>& prompt, const GenerateSettings& settings) {
  StreamDecoder decoder;
  std::string text;
  const auto emit = [&](const std::string& part) {
    text += part;
    if (!a.json) write(part);
  };
  if (!a.json) write(prompt_text(a));
  const std::vector<int> tokens = generate(model, prompt, settings, [&](int token) {
    emit(stream_token(decoder, tokenizer, token));
    return !was_interrupted();
  });
  emit(stream_end(decoder));
  if (!a.json) write("\n");
  if (a.json) {
    const nlohmann::json line = {{"prompt", replace_invalid_utf8(prompt_text(a))},
                                 {"text", replace_invalid_utf8(text)},
                                 {"tokens", tokens.size()},
                                 {"seed", settings.seed}};
    write(line.dump() + "\n");
  }
  return tokens.size();
}

void run(Arguments& a) {
  check(a.samples >= 1, "--samples: must be at least 1");
  check(a.settings.max_tokens >= 1, "--max-tokens: must be at least 1");
  check_sampling(a.settings.sampling);
  const Ops<float> ops = choose_kernels(a.kernels);
  const GptConfig config = read_model_config(a.model);
  const Tokenizer tokenizer = load_tokenizer(std::filesystem::path(a.model) / "tokenizer.json");
  check(vocab_size(tokenizer) <= config.vocab_size, [&] {
    return fmt::format(
        "{}: the tokenizer has {} tokens and the model {}: they do not belong together", a.model,
        vocab_size(tokenizer), config.vocab_size);
  });
  const std::vector<int> prompt = prompt_tokens(a, tokenizer);
  Gpt<float> model =
      make_gpt(config, ops, host_memory(), Purpose::inference, 1, config.context_length);
  load_parameters(model, a.model);
  if (const SpecialToken* end = find_special(tokenizer, kEndOfText))
    a.settings.stop_token = end->id;
  catch_interrupts();
  const auto start = std::chrono::steady_clock::now();
  std::size_t tokens = 0;
  for (int i = 0; i < a.samples && !was_interrupted(); ++i) {
    GenerateSettings settings = a.settings;
    settings.seed += static_cast<std::uint64_t>(i);
    if (i > 0 && !a.json) write("\n");
    tokens += write_sample(model, tokenizer, a, prompt, settings);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  fmt::print(stderr, "{}\n",
             dim(fmt::format("{} tokens in {:.2f} s: {:.0f} tokens/s", tokens, took.count(),
                             static_cast<double>(tokens) / took.count())));
}

}  // namespace

void add_generate_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("generate", "Write text with a trained model");
  const auto a = std::make_shared<Arguments>();
  command->add_option("--model", a->model, "The model's folder")->capture_default_str();
  command->add_option("--prompt", a->prompt, "The beginning, which the model continues");
  command
      ->add_option("--prompt-file", a->prompt_file, "The same from a file, or - for standard input")
      ->excludes("--prompt");
  SamplingSettings& s = a->settings.sampling;
  command
      ->add_option("--temperature", s.temperature, "0: always the likeliest token; 1: as learned")
      ->capture_default_str();
  command->add_option("--top-k", s.top_k, "Draw from the k likeliest tokens only (0: all)")
      ->capture_default_str();
  command
      ->add_option("--top-p", s.top_p, "Draw from the likeliest tokens that hold this probability")
      ->capture_default_str();
  command->add_option("--max-tokens", a->settings.max_tokens, "New tokens at most")
      ->capture_default_str();
  command->add_option("--seed", a->settings.seed, "Equal seeds write equal texts")
      ->capture_default_str();
  command->add_option("--samples", a->samples, "Texts to write, with seeds from --seed on")
      ->capture_default_str();
  command->add_flag("--json", a->json, "One JSON object a text");
  add_kernel_options(*command, a->kernels);
  command->callback([a] { run(*a); });
}

}  // namespace tinygpt::cli
