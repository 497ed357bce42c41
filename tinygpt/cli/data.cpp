// tinygpt data NAME|FILE: prepares a corpus for training.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "tinygpt/cli/checks.h"
#include "tinygpt/cli/commands.h"
#include "tinygpt/cli/terminal.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/core/sha256.h"
#include "tinygpt/io/corpus_write.h"
#include "tinygpt/io/sources.h"
#include "tinygpt/io/tokenizer_json.h"
#include "tinygpt/text/corpus.h"
#include "tinygpt/text/tinytales.h"
#include "tinygpt/text/token_file.h"

namespace tinygpt::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string source;     // tinytales, a name from datasets/sources.json, or a file
  std::string out;        // default data/NAME
  std::string tokenizer;  // byte, char, bpe, or a tokenizer.json
  std::optional<int> vocab_size;
  std::int64_t stories = 40000;
  std::uint64_t seed = 1;
  std::string grammar;
  std::string style;
  std::string from;
  std::string sha256;
  double validation_share = 0.1;
  bool is_tinytales() const { return source == "tinytales"; }
  bool trains_tokenizer() const {
    return tokenizer == "byte" || tokenizer == "char" || tokenizer == "bpe";
  }
};

// The files that a real corpus is made from.
struct Inputs {
  fs::path train;
  fs::path validation;          // empty: a share of the other is held out
  std::string expected_sha256;  // of train; empty: any
};

// The documents of a corpus. The other members own what the split sees.
struct Documents {
  TextSplit split;
  MappedFile train_file, validation_file;
  std::vector<std::string> stories;
};

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

std::string grammar_text(const Arguments& a) {
  return a.grammar.empty() ? std::string(tinytales_style(a.style).grammar)
                           : read_file(a.grammar, 1 << 24);
}

Documents draw_tinytales(const Arguments& a, CorpusInfo& info, StatusLine& status) {
  const Grammar grammar =
      parse_grammar(grammar_text(a), a.grammar.empty() ? tinytales_style(a.style).file : a.grammar);
  Documents d;
  const std::int64_t held_out = std::clamp<std::int64_t>(a.stories / 40, 1, 1000);
  status.show(fmt::format("drawing {} stories", a.stories + held_out));
  d.stories = draw_stories(grammar, a.seed, 0, a.stories + held_out);
  const std::span<const std::string> all(d.stories);
  const auto train = all.first(static_cast<std::size_t>(a.stories));
  const auto validation = all.subspan(static_cast<std::size_t>(a.stories));
  d.split.train.assign(train.begin(), train.end());
  d.split.validation.assign(validation.begin(), validation.end());
  d.split.has_documents = true;
  status.show("computing the exact cross-entropy floor");
  const auto floor = [&](std::span<const std::string> stories) {
    return stories_nats(grammar, stories) / static_cast<double>(stories_bytes(stories));
  };
  info.train.floor_nats_per_byte = floor(train);
  info.validation.floor_nats_per_byte = floor(validation);
  const GrammarSize size = measure_grammar(grammar, find_rule(grammar, "story"));
  info.entropy_nats_per_document = size.entropy;
  info.log10_documents = size.log10_texts;
  info.seed = a.seed;
  return d;
}

Documents read_texts(const Arguments& a, const Inputs& inputs) {
  Documents d;
  d.train_file = MappedFile(inputs.train);
  const std::string_view text = text_of(d.train_file);
  check(!text.empty(), [&] {
    return fmt::format("{}: empty: there is nothing to learn from", inputs.train.string());
  });
  if (inputs.validation.empty()) {
    d.split = split_text(text, a.validation_share);
    return d;
  }
  d.validation_file = MappedFile(inputs.validation);
  d.split.train = split_documents(text);
  d.split.validation = split_documents(text_of(d.validation_file));
  d.split.has_documents = true;
  return d;
}

// A published file in the corpus's folder, downloaded where it is not there yet. What is there was
// verified when it came.
fs::path fetched(const RemoteFile& remote, const fs::path& file) {
  if (fs::exists(file)) return file;
  fmt::print(stderr, "downloading {} ({:.1f} MB)\n", remote.url,
             static_cast<double>(remote.bytes) * 1e-6);
  fs::create_directories(file.parent_path());
  download(remote, file);
  return file;
}

Inputs find_inputs(const Arguments& a, const fs::path& folder) {
  const std::vector<Source> sources = known_sources();
  const auto source = std::find_if(sources.begin(), sources.end(),
                                   [&](const Source& s) { return s.name == a.source; });
  if (source == sources.end()) {
    check(a.from.empty(), "--from: only for a corpus with a name; give the file alone");
    check(fs::exists(a.source), [&] {
      std::string known = "tinytales";
      for (const Source& s : sources) known += ", " + s.name;
      return fmt::format("{}: no such file, and no corpus of that name; there are {}", a.source,
                         known);
    });
    return {a.source, {}, a.sha256};
  }
  Inputs inputs;
  inputs.expected_sha256 = a.sha256.empty() ? source->train.sha256 : a.sha256;
  if (!a.from.empty()) {
    inputs.train = a.from;
    return inputs;
  }
  inputs.train = fetched(source->train, folder / "source.txt");
  if (source->validation) {
    inputs.validation = fetched(*source->validation, folder / "source-validation.txt");
  }
  return inputs;
}

// What changes when a file is written to.
std::string stamp(const Inputs& inputs) {
  std::string stamps;
  for (const fs::path& file : {inputs.train, inputs.validation}) {
    if (file.empty()) continue;
    check(!fs::exists(file) || fs::is_regular_file(file),
          [&] { return fmt::format("{}: not a regular file", file.string()); });
    const auto time = fs::last_write_time(file).time_since_epoch().count();
    stamps += fmt::format("{} {} {};", fs::absolute(file).string(), fs::file_size(file), time);
  }
  return stamps;
}

// The SHA-256 of what decides the text. A file that has not changed is not read again: two
// gigabytes take ten seconds.
std::string identify_text(const Arguments& a, const Inputs& inputs, const std::string& stamps,
                          const CorpusInfo* old) {
  if (a.is_tinytales()) return sha256(grammar_text(a));
  const bool known = old != nullptr && !stamps.empty() && old->source_stamp == stamps;
  const std::string digest = known ? old->text_sha256 : sha256_of_file(inputs.train);
  check(inputs.expected_sha256.empty() || digest == inputs.expected_sha256, [&] {
    const bool has_name = inputs.train != fs::path(a.source);
    return fmt::format(
        "{}: its SHA-256 is {}, not {}: this is another file than the one expected{}",
        inputs.train.string(), digest, inputs.expected_sha256,
        has_name ? "; to prepare it all the same, name it in place of " + a.source : "");
  });
  return digest;
}

// Everything that decides what the corpus holds, in one line.
std::string recipe_of(const Arguments& a, const std::string& digest, const Inputs& inputs) {
  return fmt::format("text {} seed {} stories {} tokenizer {} vocabulary {} validation {}", digest,
                     a.is_tinytales() ? a.seed : 0, a.is_tinytales() ? a.stories : 0,
                     a.trains_tokenizer() ? a.tokenizer : sha256_of_file(a.tokenizer),
                     a.tokenizer == "bpe" ? *a.vocab_size : 0,
                     a.is_tinytales() || !inputs.validation.empty() ? 0.0 : a.validation_share);
}

Tokenizer make_tokenizer(const Arguments& a, const TextSplit& split) {
  std::vector<std::string> special;
  if (split.has_documents) special.emplace_back(kEndOfText);
  if (a.tokenizer == "byte") return byte_tokenizer(special);
  if (!a.trains_tokenizer()) return load_tokenizer(a.tokenizer);
  std::string text;
  for (const std::string_view document : split.train) {
    text += document;
    if (split.has_documents) text += '\n';
    // A vocabulary of a few thousand tokens has settled long before this.
    if (a.tokenizer == "bpe" && text.size() > (std::size_t{64} << 20)) break;
  }
  if (a.tokenizer == "bpe") return train_bpe_tokenizer(text, *a.vocab_size, special);
  for (const std::string_view document : split.validation) text += document;
  return train_char_tokenizer(text, special);
}

void encode_corpus(const fs::path& folder, CorpusInfo& info, const TextSplit& split,
                   const Tokenizer& tokenizer, StatusLine& status) {
  try {
    write_corpus(folder, info, split, tokenizer, [&](std::size_t done, std::size_t documents) {
      status.show(fmt::format("encoding: {:.0f}%",
                              100.0 * static_cast<double>(done) / static_cast<double>(documents)));
    });
  } catch (...) {
    status.clear();
    throw;
  }
}

void print_summary(const CorpusInfo& info, const fs::path& folder, double seconds) {
  fmt::print(
      "{}: {} documents, {:.1f} MB, {} tokens of a {} tokenizer with {} ({:.1f} bytes a token), "
      "{:.1f} s\n",
      folder.string(), info.train.documents + info.validation.documents,
      static_cast<double>(info.train.bytes + info.validation.bytes) * 1e-6,
      info.train.tokens + info.validation.tokens, info.tokenizer, info.vocab_size,
      static_cast<double>(info.train.bytes) / static_cast<double>(info.train.tokens), seconds);
  if (!info.validation.floor_nats_per_byte) return;
  fmt::print(
      "drawn from about 10^{:.0f} possible stories; the best possible model loses {:.4f} nats per "
      "byte on the validation split\n",
      *info.log10_documents, *info.validation.floor_nats_per_byte);
}

// Whether the folder holds just this corpus, whole.
bool is_ready(const fs::path& folder, const CorpusInfo* old, const std::string& recipe) {
  if (old == nullptr || old->made_from != recipe) return false;
  try {
    load_tokenizer(folder / "tokenizer.json");
    return TokenFile(folder / "train.npy", old->vocab_size).size() == old->train.tokens &&
           TokenFile(folder / "validation.npy", old->vocab_size).size() == old->validation.tokens;
  } catch (const Error&) {
    return false;  // damaged: it is made again
  }
}

void check_arguments(Arguments& a) {
  const std::vector<Source> sources = known_sources();
  std::string tokenizer = "bpe";
  for (const Source& s : sources) {
    if (s.name == a.source) tokenizer = s.tokenizer;
  }
  if (a.tokenizer.empty()) a.tokenizer = tokenizer;
  if (!a.vocab_size) a.vocab_size = a.is_tinytales() ? 2048 : 4096;
  check(a.trains_tokenizer() || fs::exists(a.tokenizer), [&] {
    return fmt::format("--tokenizer {}: neither byte, char nor bpe, nor a tokenizer.json",
                       a.tokenizer);
  });
  check(a.validation_share > 0 && a.validation_share < 1,
        "--validation: must be between 0 and 1, such as 0.1");
  check(a.stories >= 2 && a.stories <= 100'000'000, "--stories: must be between 2 and 100,000,000");
  check(a.style.empty() || (a.is_tinytales() && a.grammar.empty()),
        "--style: only for tinytales, and not with --grammar");
  tinytales_style(a.style);
  check(!a.is_tinytales() || (a.from.empty() && a.sha256.empty()),
        "--from and --sha256: tinytales are drawn from a grammar; give another with --grammar");
  check(a.is_tinytales() || a.grammar.empty(), "--grammar: only for tinytales");
}

// The corpus that is in the folder, if one is.
std::unique_ptr<CorpusInfo> old_corpus(const fs::path& folder) {
  if (!fs::exists(folder / "corpus.json")) return nullptr;
  try {
    return std::make_unique<CorpusInfo>(load_corpus_info(folder));
  } catch (const Error&) {
    return nullptr;  // damaged: it is made again
  }
}

void run(Arguments a) {
  const auto start = std::chrono::steady_clock::now();
  check_arguments(a);
  const std::string name =
      a.is_tinytales() ? tinytales_style(a.style).corpus : fs::path(a.source).stem().string();
  const fs::path folder = a.out.empty() ? fs::path("data") / name : fs::path(a.out);
  check(!fs::exists(folder / "config.json"), [&] {
    return fmt::format("--out {}: a model is there; give another folder", folder.string());
  });
  const Inputs inputs = a.is_tinytales() ? Inputs{} : find_inputs(a, folder);
  const std::unique_ptr<CorpusInfo> old = old_corpus(folder);
  CorpusInfo info;
  info.name = name;
  info.source_stamp = stamp(inputs);
  info.text_sha256 = identify_text(a, inputs, info.source_stamp, old.get());
  info.made_from = recipe_of(a, info.text_sha256, inputs);
  if (is_ready(folder, old.get(), info.made_from)) {
    fmt::print("{}: ready, nothing to do\n", folder.string());
    return;
  }
  StatusLine status;
  const Documents d = a.is_tinytales() ? draw_tinytales(a, info, status) : read_texts(a, inputs);
  status.show("making the tokenizer");
  const Tokenizer tokenizer = make_tokenizer(a, d.split);
  encode_corpus(folder, info, d.split, tokenizer, status);
  status.clear();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  print_summary(info, folder, took.count());
  if (a.is_tinytales()) fmt::print("the first: {}\n", d.stories.front());
}

}  // namespace

void add_data_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("data", "Prepare a corpus for training");
  const auto a = std::make_shared<Arguments>();
  std::string names = "tinytales";
  for (const Source& source : known_sources()) names += ", " + source.name;
  command->add_option("source", a->source, names + ", or a text file")->required();
  command->add_option("--out", a->out, "Folder to write to (default: data/NAME)");
  command->add_option("--tokenizer", a->tokenizer,
                      "byte, char, bpe, or a tokenizer.json (default: bpe; char for shakespeare)");
  command->add_option("--vocab-size", a->vocab_size,
                      "Tokens that bpe learns (default: 4096; 2048 for tinytales)");
  command->add_option("--stories", a->stories, "tinytales: stories to train on")
      ->capture_default_str();
  add_seed_option(*command, a->seed, "tinytales: which stories");
  command->add_option("--style", a->style, "tinytales: in another voice (letters)");
  command->add_option("--grammar", a->grammar, "tinytales: another grammar file");
  command->add_option("--from", a->from, "Take the text from this file instead of the network");
  command->add_option("--sha256", a->sha256, "The digest that the text must have");
  command->add_option("--validation", a->validation_share, "Share of a text that is held out")
      ->capture_default_str();
  command->callback([a] { run(*a); });
}

}  // namespace tinygpt::cli
