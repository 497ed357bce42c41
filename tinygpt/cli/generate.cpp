// tinygpt generate: text from a model.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "tinygpt/adapt/adapter_folder.h"
#include "tinygpt/cli/checks.h"
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
  std::vector<std::string> adapters;
  std::string prompt;
  std::string prompt_file;
  int samples = 1;
  bool raw = false;
  bool json = false;
  GenerateSettings settings;
  KernelChoice kernels;
};

std::string prompt_text(const Arguments& a) {
  if (a.prompt_file.empty()) return a.prompt;
  if (a.prompt_file == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
  return read_file(a.prompt_file, 1 << 26);
}

// The prompt's tokens, after the token that parts texts: the model has learned that a text begins
// there. Where a tokenizer has no such token, an empty prompt stands for a line feed.
std::vector<int> prompt_tokens(const Arguments& a, const Tokenizer& tokenizer,
                               const std::string& text) {
  const SpecialToken* end = find_special(tokenizer, kEndOfText);
  std::vector<int> tokens = encode(tokenizer, text);
  if (end != nullptr && !a.raw) tokens.insert(tokens.begin(), end->id);
  if (tokens.empty()) tokens = encode(tokenizer, "\n");
  return tokens;
}

// Seconds and tokens of the two parts of writing: reading the prompt, which gives the first token,
// and each token after that.
struct Timing {
  double prefill = 0, decode = 0;
  std::size_t prompt_tokens = 0, later_tokens = 0;
};

void write(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  check(std::fflush(stdout) == 0, "standard output cannot be written");
}

// Text of the prompt and the model. Programs get its bytes as they are; a terminal would obey some
// of them.
void write_text(const std::string& text) {
  write(output_is_terminal() ? replace_controls(text) : text);
}

// Writes one text as it comes.
void write_sample(Gpt<float>& model, const Tokenizer& tokenizer, const Arguments& a,
                  const std::string& prompt, const GenerateSettings& settings, Timing& timing) {
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  StreamDecoder decoder;
  std::string text;
  const auto emit = [&](const std::string& part) {
    text += part;
    if (!a.json) write_text(part);
  };
  if (!a.json) write_text(prompt);
  const std::vector<int> tokens = prompt_tokens(a, tokenizer, prompt);
  const auto start = Clock::now();
  double first = -1;  // seconds until the first token
  const std::vector<int> written = generate(model, tokens, settings, [&](int token) {
    if (first < 0) first = since(start);
    emit(stream_token(decoder, tokenizer, token));
    return !was_interrupted();
  });
  const double all = since(start);
  if (first < 0) first = all;
  timing.prefill += first;
  timing.decode += all - first;
  timing.prompt_tokens += tokens.size();
  timing.later_tokens += written.empty() ? 0 : written.size() - 1;
  emit(stream_end(decoder));
  if (!a.json) {
    write("\n");
    return;
  }
  const nlohmann::json line = {{"prompt", replace_invalid_utf8(prompt)},
                               {"text", replace_invalid_utf8(text)},
                               {"tokens", written.size()},
                               {"seed", settings.seed}};
  write(line.dump() + "\n");
}

void print_timing(const Timing& t) {
  const auto rate = [](double tokens, double seconds) {
    return short_number(tokens / std::max(seconds, 1e-9));
  };
  const std::string prefill = rate(static_cast<double>(t.prompt_tokens), t.prefill);
  std::string line = fmt::format("prompt: {} tokens, {} tokens/s", t.prompt_tokens, prefill);
  if (t.later_tokens > 0) {
    line += fmt::format("; text: {} tokens, {} tokens/s", t.later_tokens,
                        rate(static_cast<double>(t.later_tokens), t.decode));
  }
  fmt::print(stderr, "{}\n", ::isatty(STDERR_FILENO) != 0 ? dim(line) : line);
}

void run(Arguments& a) {
  check(a.samples >= 1, "--samples: must be at least 1");
  check(a.settings.max_tokens >= 1, "--max-tokens: must be at least 1");
  check_sampling(a.settings.sampling);
  const Kernels kernels = choose_kernels(a.kernels);
  const GptConfig config = read_model_config(a.model);
  check_has_weights(a.model);
  const Tokenizer tokenizer = load_folder_tokenizer(a.model);
  check_belongs(tokenizer, config, a.model);
  const std::string prompt = prompt_text(a);
  // Refuses a prompt before anything is written, and gives the length of the longest text.
  const auto longest =
      static_cast<std::int64_t>(prompt_tokens(a, tokenizer, prompt).size()) + a.settings.max_tokens;
  const int room = static_cast<int>(std::min<std::int64_t>(longest, config.context_length));
  check_memory(kernels.memory,
               memory_ledger(config, kernels.ops, Purpose::inference, 1, room).total, a.model,
               "choose a smaller model, or a shorter prompt and --max-tokens");
  Gpt<float> model = make_gpt(config, kernels.ops, kernels.memory, Purpose::inference, 1, room);
  load_parameters(model, a.model);
  std::vector<Adapter<float>> adapters;  // all beside the one base; each text chooses one
  for (const std::string& folder : a.adapters) {
    adapters.push_back(load_adapter(model, folder, room));
  }
  const int turns = std::max(1, static_cast<int>(adapters.size()));
  if (const SpecialToken* end = find_special(tokenizer, kEndOfText))
    a.settings.stop_token = end->id;
  catch_interrupts();
  Timing timing;
  for (int i = 0; i < a.samples * turns && !was_interrupted(); ++i) {
    GenerateSettings settings = a.settings;
    settings.seed += static_cast<std::uint64_t>(i / turns);
    if (!adapters.empty()) model.adapter = &adapters[static_cast<std::size_t>(i % turns)];
    if (i > 0 && !a.json) write("\n");
    write_sample(model, tokenizer, a, prompt, settings, timing);
  }
  print_timing(timing);
  if (was_interrupted()) throw CLI::RuntimeError(130);
}

}  // namespace

void add_generate_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("generate", "Write text with a trained model");
  const auto a = std::make_shared<Arguments>();
  command->add_option("--model", a->model, "The model's folder")->capture_default_str();
  command
      ->add_option("--adapter", a->adapters,
                   "A LoRA adapter's folder; given again, each text is written with every one")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
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
  add_seed_option(*command, a->settings.seed, "Equal seeds write equal texts");
  command->add_option("--samples", a->samples, "Texts to write, with seeds from --seed on")
      ->capture_default_str();
  command->add_flag("--raw", a->raw, "Do not put the token that parts texts before the prompt");
  command->add_flag("--json", a->json, "One JSON object a text");
  add_kernel_options(*command, a->kernels);
  command->callback([a] { run(*a); });
}

}  // namespace tinygpt::cli
