// tinygpt tokenizer train|encode|decode|info
#include <fmt/format.h>
#include <omp.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tinygpt/cli/commands.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/io/tokenizer_json.h"
#include "tinygpt/text/tokenizer.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct TrainArguments {
  std::string kind = "bpe";
  int vocab_size = 4096;
  std::vector<std::string> inputs;
  std::string out;
  std::vector<std::string> special = {"<|endoftext|>"};
};

struct UseArguments {
  std::string tokenizer;
  std::string input;  // a file
  std::optional<std::string> text;
  std::vector<int> ids;
  bool no_special = false;
  bool skip_special = false;
  bool json = false;
};

// A tokenizer.json, or a model's folder that holds one.
Tokenizer load_from(const std::string& path) {
  const bool is_folder = fs::is_directory(path);
  return is_folder ? load_folder_tokenizer(path) : load_tokenizer(path);
}

std::string read_standard_input() {
  return {std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
}

void write_standard_output(std::string_view bytes) {
  const bool written = std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size();
  check(written && std::fflush(stdout) == 0, "standard output: cannot be written");
}

// On a terminal one line that is redrawn ten times a second; elsewhere a line every two seconds.
TokenizerProgress progress_lines() {
  const bool is_terminal = isatty(STDERR_FILENO) != 0;
  return [is_terminal, start = Clock::now(), shown = 0.0](int done, int wanted) mutable {
    const double now = seconds_since(start);
    const bool is_last = done == wanted && shown > 0;
    if (now - shown < (is_terminal ? 0.1 : 2.0) && !is_last) return;
    shown = now;
    fmt::print(stderr, "{}merges {} of {}, {:.1f} s{}", is_terminal ? "\r" : "", done, wanted, now,
               is_terminal && !is_last ? "" : "\n");
  };
}

Tokenizer train(const TrainArguments& a, const std::string& text) {
  if (a.kind == "byte") return byte_tokenizer(a.special);
  if (a.kind == "char") return train_char_tokenizer(text, a.special);
  return train_bpe_tokenizer(text, a.vocab_size, a.special, progress_lines());
}

// Several files are trained on as one text; no word spans two of them when a special token stands
// between.
std::string read_inputs(const TrainArguments& a) {
  check(a.kind == "byte" || !a.inputs.empty(),
        "tokenizer train: --input FILE is needed: the text to learn from");
  std::string text;
  for (const std::string& input : a.inputs) {
    if (!text.empty()) text += a.special.empty() ? "\n" : a.special[0];
    text += input == "-" ? read_standard_input() : read_file(input);
  }
  return text;
}

void run_train(const TrainArguments& a) {
  const std::string text = read_inputs(a);
  const auto start = Clock::now();
  const Tokenizer t = train(a, text);
  const double seconds = seconds_since(start);
  save_tokenizer(a.out, t);
  fmt::print("{}: {} tokenizer with {} tokens, made in {:.2f} s\n", a.out, kind_name(t.kind),
             vocab_size(t), seconds);
  if (a.kind == "bpe" && vocab_size(t) < a.vocab_size) {
    fmt::print("fewer than --vocab-size {}: no pair is left that occurs twice\n", a.vocab_size);
  }
}

std::string text_of(const UseArguments& a) {
  if (a.text) return *a.text;
  return a.input.empty() ? read_standard_input() : read_file(a.input);
}

void run_encode(const UseArguments& a) {
  const Tokenizer t = load_from(a.tokenizer);
  const std::vector<int> ids =
      encode(t, text_of(a), {.allow_special = !a.no_special, .threads = omp_get_max_threads()});
  const char* between = a.json ? "," : " ";
  const std::string line = fmt::format("{}", fmt::join(ids, between));
  write_standard_output(a.json ? "[" + line + "]\n" : line + "\n");
}

// Numbers with anything of ", [ ]" and white space between, as encode writes them.
std::vector<int> parse_ids(std::string_view text) {
  std::vector<int> ids;
  const auto is_separator = [](char c) {
    return std::string_view(" \t\r\n,[]").find(c) != std::string_view::npos;
  };
  for (std::size_t i = 0; i < text.size();) {
    if (is_separator(text[i])) {
      ++i;
      continue;
    }
    int id = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data() + i, end, id);
    check(error == std::errc() && (stop == end || is_separator(*stop)), [&] {
      return fmt::format("tokenizer decode: no token id at byte {} of the input: {}", i,
                         quote_for_message(text.substr(i, 20)));
    });
    ids.push_back(id);
    i = static_cast<std::size_t>(stop - text.data());
  }
  return ids;
}

void run_decode(const UseArguments& a) {
  const Tokenizer t = load_from(a.tokenizer);
  const std::vector<int> ids = a.ids.empty() ? parse_ids(text_of(a)) : a.ids;
  write_standard_output(decode(t, ids, {.skip_control = a.skip_special}));
}

// What a text costs with this tokenizer.
nlohmann::ordered_json measure(const Tokenizer& t, const std::string& text) {
  const auto start = Clock::now();
  const std::vector<int> ids = encode(t, text);
  const double seconds = seconds_since(start);
  const double tokens = static_cast<double>(std::max<std::size_t>(1, ids.size()));
  const double bytes = static_cast<double>(text.size());
  return {{"bytes", text.size()},
          {"tokens", ids.size()},
          {"bytes_per_token", bytes / tokens},
          {"megabytes_per_second", seconds > 0 ? bytes / seconds / 1e6 : 0.0}};
}

void print_info(const Tokenizer& t, const nlohmann::ordered_json& info) {
  fmt::print("kind            {}\ntokens          {}\nmerges          {}\n", kind_name(t.kind),
             vocab_size(t), t.merges.size());
  for (const SpecialToken& s : t.special_tokens) {
    fmt::print("special token   {} {}\n", s.id, quote_for_message(s.content));
  }
  fmt::print("longest token   {}\n", quote_for_message(info["longest_token"].get<std::string>()));
  if (!info.contains("input")) return;
  const auto& input = info["input"];
  fmt::print("input           {} bytes, {} tokens, {:.2f} bytes per token, {:.1f} MB/s\n",
             input["bytes"].get<std::size_t>(), input["tokens"].get<std::size_t>(),
             input["bytes_per_token"].get<double>(), input["megabytes_per_second"].get<double>());
}

void run_info(const UseArguments& a) {
  const Tokenizer t = load_from(a.tokenizer);
  std::string longest;
  for (const std::string& token : t.vocabulary) {
    if (token.size() > longest.size() && find_special(t, token) == nullptr) longest = token;
  }
  nlohmann::ordered_json info = {{"kind", kind_name(t.kind)},
                                 {"tokens", vocab_size(t)},
                                 {"merges", t.merges.size()},
                                 {"longest_token", replace_invalid_utf8(longest)},
                                 {"special_tokens", nlohmann::ordered_json::object()}};
  for (const SpecialToken& s : t.special_tokens) info["special_tokens"][s.content] = s.id;
  if (!a.input.empty()) info["input"] = measure(t, read_file(a.input));
  if (a.json) write_standard_output(info.dump() + "\n");
  else print_info(t, info);
}

void add_train(CLI::App& parent) {
  auto a = std::make_shared<TrainArguments>();
  CLI::App* c = parent.add_subcommand("train", "Make a tokenizer from a text");
  c->add_option("--kind", a->kind, "byte, char or bpe")
      ->check(CLI::IsMember({"byte", "char", "bpe"}))
      ->capture_default_str();
  c->add_option("--vocab-size", a->vocab_size, "bpe: how many tokens, special ones included")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  c->add_option("--input", a->inputs, "Text files to learn from; - is standard input");
  c->add_option("--special", a->special, "Special tokens")->capture_default_str();
  c->add_flag_callback(
      "--no-special", [a] { a->special.clear(); }, "No special tokens at all");
  c->add_option("--out", a->out, "The tokenizer.json to write")->required();
  c->callback([a] { run_train(*a); });
}

void add_use(CLI::App& parent, const char* name, const char* help,
             void (*run)(const UseArguments&)) {
  auto a = std::make_shared<UseArguments>();
  CLI::App* c = parent.add_subcommand(name, help);
  const std::string verb = name;
  c->add_option("--tokenizer", a->tokenizer, "A tokenizer.json, or a model's folder")->required();
  c->add_option("--input", a->input,
                verb == "info" ? "A text to measure" : "A file to read; else standard input");
  if (verb == "encode") {
    c->add_option("text", a->text, "The text itself")->excludes("--input");
    c->add_flag("--no-special", a->no_special, "Special tokens in the text are ordinary text");
  }
  if (verb == "decode") {
    c->add_option("ids", a->ids, "The ids themselves")->excludes("--input");
    c->add_flag("--skip-special", a->skip_special, "Leave special tokens out");
  }
  if (verb != "decode") c->add_flag("--json", a->json, "For programs");
  c->callback([a, run] { run(*a); });
}

}  // namespace

void add_tokenizer_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("tokenizer", "Make a tokenizer, and turn text into ids");
  command->require_subcommand(1);
  add_train(*command);
  add_use(*command, "encode", "Turn text into token ids", run_encode);
  add_use(*command, "decode", "Turn token ids into text", run_decode);
  add_use(*command, "info", "Describe a tokenizer, and measure a text with it", run_info);
}

}  // namespace tinygpt::cli
