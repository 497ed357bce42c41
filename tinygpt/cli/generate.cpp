// tinygpt generate: text from a model.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "tinygpt/cli/checks.h"
#include "tinygpt/cli/commands.h"
#include "tinygpt/cli/inference_model.h"
#include "tinygpt/cli/terminal.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/infer/generate.h"
#include "tinygpt/infer/speculative.h"
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
  std::string draft;
  int draft_tokens = 4;
  EngineOptions engine;
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

void write(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  check(std::fflush(stdout) == 0, "standard output cannot be written");
}

// Text of the prompt and the model. Programs get its bytes as they are; a terminal would obey some
// of them.
void write_text(const std::string& text) {
  write(output_is_terminal() ? replace_controls(text) : text);
}

void write_json(const std::string& prompt, const std::string& text, std::size_t tokens,
                std::uint64_t seed) {
  const nlohmann::json line = {{"prompt", replace_invalid_utf8(prompt)},
                               {"text", replace_invalid_utf8(text)},
                               {"tokens", tokens},
                               {"seed", seed}};
  write(line.dump() + "\n");
}

// The model, and the one that drafts for it, if there is one.
struct Writers {
  const Tokenizer& tokenizer;
  Engine<float>& engine;
  Engine<float>* draft = nullptr;
};

std::vector<int> continue_prompt(const Writers& w, const Arguments& a, std::span<const int> tokens,
                                 const OnToken& on_token, Timing* timing) {
  const int sequence = add_sequence(w.engine);
  std::vector<int> text;
  if (w.draft == nullptr) {
    text = generate<float>(w.engine, sequence, tokens, a.settings, on_token, timing);
  } else {
    const int drafting = add_sequence(*w.draft);
    text = generate_speculative<float>(w.engine, sequence, *w.draft, drafting, tokens, a.settings,
                                       {.draft_tokens = a.draft_tokens}, on_token, timing);
    remove_sequence(*w.draft, drafting);
  }
  remove_sequence(w.engine, sequence);
  return text;
}

// Writes one text as it comes.
Timing write_sample(const Writers& w, const Arguments& a, const std::string& prompt,
                    std::span<const int> tokens) {
  StreamDecoder decoder;
  std::string text;
  const auto emit = [&](const std::string& part) {
    text += part;
    if (!a.json) write_text(part);
  };
  if (!a.json) write_text(prompt);
  Timing timing;
  const std::vector<int> written = continue_prompt(
      w, a, tokens,
      [&](int token) {
        emit(stream_token(decoder, w.tokenizer, token));
        return !was_interrupted();
      },
      &timing);
  emit(stream_end(decoder));
  if (a.json) write_json(prompt, text, written.size(), a.settings.seed);
  else write("\n");
  return timing;
}

// A product with a matrix costs little more for so many rows than for one.
constexpr int kMostTogether = 16;

// Writes texts number `first` and on, which grow together, one behind the other when all are there.
Timing write_samples(Engine<float>& engine, const Tokenizer& tokenizer, const Arguments& a,
                     const std::string& prompt, std::span<const int> tokens, int first) {
  std::vector<TextStart> starts;
  for (int i = first; i < std::min(a.samples, first + kMostTogether); ++i) {
    starts.push_back({tokens, a.settings.seed + static_cast<std::uint64_t>(i)});
  }
  Timing timing;
  const auto texts = generate_together<float>(
      engine, starts, a.settings, [](int, int) { return !was_interrupted(); }, &timing);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    StreamDecoder decoder;
    std::string text;
    for (const int token : texts[i]) text += stream_token(decoder, tokenizer, token);
    text += stream_end(decoder);
    if (a.json) {
      write_json(prompt, text, texts[i].size(), starts[i].seed);
    } else {
      write_text((first + static_cast<int>(i) > 0 ? "\n" : "") + prompt + text);
      write("\n");
    }
  }
  return timing;
}

// One text as it comes, or several together.
Timing write_all(const Writers& w, const Arguments& a, const std::string& prompt,
                 std::span<const int> tokens) {
  if (a.samples == 1) return write_sample(w, a, prompt, tokens);
  Timing timing;
  for (int i = 0; i < a.samples && !was_interrupted(); i += kMostTogether) {
    add(timing, write_samples(w.engine, w.tokenizer, a, prompt, tokens, i));
  }
  return timing;
}

ModelSource open_draft(const Arguments& a, const ModelSource& model) {
  check(a.samples == 1, "--draft writes one text at a time: leave --samples out");
  check(a.draft_tokens >= 1 && a.draft_tokens <= 64, [&] {
    return fmt::format("--draft-tokens is {}: it must be between 1 and 64", a.draft_tokens);
  });
  ModelSource draft = open_model(a.draft);
  check(
      draft.tokenizer.vocabulary == model.tokenizer.vocabulary &&
          draft.config.vocab_size == model.config.vocab_size,
      [&] { return fmt::format("--draft {}: its tokenizer is not that of {}", a.draft, a.model); });
  return draft;
}

void run(Arguments& a) {
  check(a.samples >= 1, "--samples: must be at least 1");
  check(a.settings.max_tokens >= 1, "--max-tokens: must be at least 1");
  check_sampling(a.settings.sampling);
  const Kernels kernels = choose_kernels(a.kernels);
  const ModelSource source = open_model(a.model);
  const std::string prompt = prompt_text(a);
  // Refuses a prompt before anything is written, and gives the length of the longest text.
  const std::vector<int> tokens = prompt_tokens(a, source.tokenizer, prompt);
  const std::int64_t longest = static_cast<std::int64_t>(tokens.size()) + a.settings.max_tokens;
  EngineSettings settings;
  settings.sequences = std::min(a.samples, kMostTogether);
  settings.capacity =
      static_cast<int>(std::min<std::int64_t>(longest, source.config.context_length));
  settings.cache = cache_type(a.engine);
  std::optional<ModelSource> draft_source;
  if (!a.draft.empty()) {
    draft_source = open_draft(a, source);
    settings.capacity = std::min(settings.capacity, draft_source->config.context_length);
    settings.logit_rows = a.draft_tokens + 1;
    check_engine_memory(*draft_source, kernels, settings);
  }
  const auto room = static_cast<std::size_t>(settings.capacity);
  check(tokens.size() <= room || context_end(a.engine) == ContextEnd::slide, [&] {
    return fmt::format(
        "the prompt has {} tokens, and the context {}: shorten it, or let it slide with "
        "--context slide, which reads its end",
        tokens.size(), room);
  });
  check_engine_memory(source, kernels, settings);
  InferenceModel model = load_inference_model(source, kernels);
  load_adapters(model, a.adapters, complete_settings(settings, source.config).rows);
  Engine<float> engine = make_engine(model.weights, settings), draft_engine;
  InferenceModel draft;
  Writers writers{source.tokenizer, engine};
  if (draft_source) {
    draft = load_inference_model(*draft_source, kernels);
    settings.logit_rows = 0;
    draft_engine = make_engine(draft.weights, settings);
    writers.draft = &draft_engine;
  }
  a.settings.context_end = context_end(a.engine);
  if (const SpecialToken* end = find_special(source.tokenizer, kEndOfText))
    a.settings.stop_token = end->id;
  catch_interrupts();
  Timing timing;
  for (std::size_t i = 0; i < std::max<std::size_t>(model.adapted.size(), 1); ++i) {
    if (!model.adapted.empty()) engine.weights = model.adapted[i];
    if (i > 0 && !a.json) write("\n");
    add(timing, write_all(writers, a, prompt, tokens));
  }
  print_timing(timing);
  if (was_interrupted()) throw CLI::RuntimeError(130);
}

}  // namespace

void add_generate_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("generate", "Write text with a trained model");
  const auto a = std::make_shared<Arguments>();
  command->add_option("--model", a->model, "The model's folder, or a GGUF file")
      ->capture_default_str();
  command
      ->add_option("--adapter", a->adapters,
                   "A LoRA adapter's folder; given again, each text is written with every one")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_option("--prompt", a->prompt, "The beginning, which the model continues");
  command
      ->add_option("--prompt-file", a->prompt_file, "The same from a file, or - for standard input")
      ->excludes("--prompt");
  add_sampling_options(*command, a->settings);
  command->add_option("--max-tokens", a->settings.max_tokens, "New tokens at most")
      ->capture_default_str();
  command->add_option("--samples", a->samples, "Texts to write together, with seeds from --seed on")
      ->capture_default_str();
  command->add_flag("--raw", a->raw, "Do not put the token that parts texts before the prompt");
  command->add_flag("--json", a->json, "One JSON object a text");
  add_engine_options(*command, a->engine);
  command->add_option(
      "--draft", a->draft,
      "A smaller model with the same tokenizer, which drafts tokens that the model "
      "then reads together: texts as before, faster where the draft is often right");
  command->add_option("--draft-tokens", a->draft_tokens, "Tokens drafted at a time")
      ->capture_default_str();
  add_kernel_options(*command, a->kernels);
  command->callback([a] { run(*a); });
}

}  // namespace tinygpt::cli
