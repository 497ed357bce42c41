// tinygpt chat: a conversation in turns, over a cache that keeps what was said.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <string>

#include "tinygpt/cli/checks.h"
#include "tinygpt/cli/commands.h"
#include "tinygpt/cli/inference_model.h"
#include "tinygpt/cli/terminal.h"
#include "tinygpt/core/error.h"
#include "tinygpt/text/tinytales.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt::cli {
namespace {

struct Arguments {
  std::string model = "models/demo";
  std::string turn;  // the template
  GenerateSettings settings;
  EngineOptions engine;
  KernelChoice kernels;
};

// A turn as the model has learned to read it: "User: {user}\nAssistant: {assistant}\n".
struct Turn {
  std::string before_user, before_answer, after_answer;
};

// "\n" and "\t" in an option are two letters each.
std::string unescape(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '\\' && i + 1 < text.size();
    if (escape && text[i + 1] == 'n') out += '\n';
    else if (escape && text[i + 1] == 't') out += '\t';
    else if (escape && text[i + 1] == '\\') out += '\\';
    else {
      out += text[i];
      continue;
    }
    ++i;
  }
  return out;
}

Turn parse_turn(const std::string& option) {
  if (option.empty()) return {};
  const std::string text = unescape(option), user = "{user}", answer = "{assistant}";
  const std::size_t u = text.find(user), a = text.find(answer);
  check(u != std::string::npos && a != std::string::npos && u < a, [&] {
    return fmt::format(
        "--template is {}: it must have {{user}} and, after it, {{assistant}}, as in "
        "'User: {{user}}\\nAssistant: {{assistant}}\\n'",
        quote_for_message(option));
  });
  return {text.substr(0, u), text.substr(u + user.size(), a - u - user.size()),
          text.substr(a + answer.size())};
}

struct Conversation {
  Engine<float>& engine;
  const Tokenizer& tokenizer;
  const Turn& turn;
  GenerateSettings settings;
  int sequence = 0;
  std::vector<int> unread{};  // tokens of the text that are not yet in the cache
};

void append(std::vector<int>& to, const std::vector<int>& tokens) {
  to.insert(to.end(), tokens.begin(), tokens.end());
}

void start_anew(Conversation& c) {
  truncate(c.engine, c.sequence, 0);
  c.unread.clear();
  if (const SpecialToken* end = find_special(c.tokenizer, kEndOfText)) c.unread = {end->id};
}

void print_part(const std::string& text) {
  fmt::print("{}", output_is_terminal() ? replace_controls(text) : text);
  std::fflush(stdout);
}

// Writes the answer as it comes, up to what ends a turn in the template.
Timing answer(Conversation& c, const std::string& said) {
  // The template's own words may be special tokens; a person's may not.
  append(c.unread, encode(c.tokenizer, c.turn.before_user));
  append(c.unread, encode(c.tokenizer, said, {.allow_special = false}));
  append(c.unread, encode(c.tokenizer, c.turn.before_answer));
  StreamDecoder decoder;
  std::string text;
  const std::string& end = c.turn.after_answer;
  Timing timing;
  const std::vector<int> written = generate<float>(
      c.engine, c.sequence, c.unread, c.settings,
      [&](int token) {
        const std::string part = stream_token(decoder, c.tokenizer, token);
        text += part;
        print_part(part);
        return !was_interrupted() && (end.empty() || !text.ends_with(end));
      },
      &timing);
  print_part(stream_end(decoder));
  if (!text.ends_with('\n')) print_part("\n");
  c.unread.assign(written.end() - unread_tokens(written, timing), written.end());
  if (!end.empty() && !text.ends_with(end)) append(c.unread, encode(c.tokenizer, end));
  c.settings.seed += 1;
  return timing;
}

void explain(const Arguments& a) {
  if (!a.turn.empty()) return;
  fmt::print(stderr,
             "{} has no chat template: it goes on with your words, and does not answer them. "
             "--template 'User: {{user}}\\nAssistant: {{assistant}}\\n' puts them into turns.\n",
             replace_controls(a.model));
}

void talk(Conversation& c) {
  fmt::print(stderr, "/new forgets what was said, /quit or Ctrl-D ends.\n");
  std::string said;
  while (!was_interrupted()) {
    if (output_is_terminal()) print_part("> ");
    if (!std::getline(std::cin, said) || said == "/quit") break;
    if (said.empty()) continue;
    if (said == "/new") {
      start_anew(c);
      continue;
    }
    print_timing(answer(c, replace_invalid_utf8(said)));
  }
}

void run(Arguments& a) {
  check(a.settings.max_tokens >= 1, "--max-tokens: must be at least 1");
  check_sampling(a.settings.sampling);
  const Turn turn = parse_turn(a.turn);
  const Kernels kernels = choose_kernels(a.kernels);
  const ModelSource source = open_model(a.model);
  EngineSettings settings;
  settings.cache = cache_type(a.engine);
  check_engine_memory(source, kernels, settings);
  const InferenceModel model = load_inference_model(source, kernels);
  Engine<float> engine = make_engine(model.weights, settings);
  a.settings.context_end = context_end(a.engine);
  if (const SpecialToken* end = find_special(source.tokenizer, kEndOfText))
    a.settings.stop_token = end->id;
  catch_interrupts();
  explain(a);
  Conversation conversation{engine, source.tokenizer, turn, a.settings, add_sequence(engine)};
  start_anew(conversation);
  talk(conversation);
  if (was_interrupted()) throw CLI::RuntimeError(130);
}

}  // namespace

void add_chat_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("chat", "Talk with a trained model, turn by turn");
  const auto a = std::make_shared<Arguments>();
  command->add_option("--model", a->model, "The model's folder, or a GGUF file")
      ->capture_default_str();
  command->add_option("--template", a->turn,
                      "A turn as the model knows it, with {user} and {assistant}; \\n is a new "
                      "line (default: none, the model goes on with your words)");
  add_sampling_options(*command, a->settings);
  command->add_option("--max-tokens", a->settings.max_tokens, "New tokens at most, in each turn")
      ->capture_default_str();
  add_engine_options(*command, a->engine);
  add_kernel_options(*command, a->kernels);
  command->callback([a] { run(*a); });
}

}  // namespace tinygpt::cli
