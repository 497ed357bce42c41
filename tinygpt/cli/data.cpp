// tinygpt data NAME|FILE: prepares a corpus for training.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <span>

#include "tinygpt/cli/commands.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/core/sha256.h"
#include "tinygpt/io/corpus_json.h"
#include "tinygpt/io/tokenizer_json.h"
#include "tinygpt/text/download.h"
#include "tinygpt/text/tinytales.h"
#include "tinygpt/text/token_file.h"

namespace tinygpt::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string source;     // tinytales, shakespeare, tinystories, or a file
  std::string out;        // default data/NAME
  std::string tokenizer;  // byte, char, bpe, or a tokenizer.json
  int vocab_size = 0;
  std::int64_t stories = 40000;
  std::uint64_t seed = 1;
  std::string grammar;
  std::string from;
  std::string sha256;
  double validation_share = 0.1;
};

// The text of a corpus as documents, train and validation apart. `text` owns what the others see.
struct Documents {
  std::string text;
  std::vector<std::string> stories;  // tinytales
  std::vector<std::string_view> train, validation;
  bool end_tokens = false;  // each document is followed by <|endoftext|>
  CorpusInfo info;
};

Documents tinytales(const Arguments& a) {
  check(a.stories >= 2 && a.stories <= 100'000'000, "--stories: must be between 2 and 100,000,000");
  const std::string text =
      a.grammar.empty() ? std::string(tinytales_grammar_text()) : read_file(a.grammar, 1 << 24);
  const Grammar grammar =
      parse_grammar(text, a.grammar.empty() ? "datasets/tinytales.grammar" : a.grammar);
  Documents d;
  const std::int64_t held_out = std::clamp<std::int64_t>(a.stories / 40, 1, 1000);
  d.stories = draw_stories(grammar, a.seed, 0, a.stories + held_out);
  const std::span<const std::string> all(d.stories);
  const auto train = all.first(static_cast<std::size_t>(a.stories));
  const auto validation = all.subspan(static_cast<std::size_t>(a.stories));
  d.train.assign(train.begin(), train.end());
  d.validation.assign(validation.begin(), validation.end());
  d.end_tokens = true;
  const auto floor = [&](std::span<const std::string> stories) {
    return stories_nats(grammar, stories) / static_cast<double>(stories_bytes(stories));
  };
  d.info.train.floor_nats_per_byte = floor(train);
  d.info.validation.floor_nats_per_byte = floor(validation);
  d.info.seed = a.seed;
  return d;
}

// Whole documents where the text has end-of-text marks, else the last tenth by position.
void split_text(Documents& d, double validation_share) {
  check(!d.text.empty(), "the text is empty: there is nothing to learn from");
  const std::string_view text = d.text;
  if (text.find(kEndOfText) == std::string_view::npos) {
    auto cut = static_cast<std::size_t>(static_cast<double>(text.size()) * (1 - validation_share));
    while (cut > 0 && cut < text.size() && (text[cut] & 0xC0) == 0x80)
      --cut;  // not inside a character
    d.train = {text.substr(0, cut)};
    d.validation = {text.substr(cut)};
    return;
  }
  d.end_tokens = true;
  std::vector<std::string_view> all;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(kEndOfText, at), text.size());
    std::string_view document = text.substr(at, end - at);
    while (!document.empty() && document.front() == '\n') document.remove_prefix(1);
    while (!document.empty() && document.back() == '\n') document.remove_suffix(1);
    if (!document.empty()) all.push_back(document);
    at = end + kEndOfText.size();
  }
  check(all.size() >= 2, "fewer than two documents: nothing could be held out for validation");
  const auto held_out = std::clamp<std::size_t>(
      static_cast<std::size_t>(static_cast<double>(all.size()) * validation_share), 1, 20000);
  d.train.assign(all.begin(), all.end() - static_cast<std::ptrdiff_t>(held_out));
  d.validation.assign(all.end() - static_cast<std::ptrdiff_t>(held_out), all.end());
}

// The file that a real corpus is made from, downloaded where need be.
fs::path source_file(const Arguments& a, const fs::path& folder) {
  const Source* source = find_source(a.source);
  const std::string digest =
      !a.sha256.empty() ? a.sha256 : std::string(source ? source->sha256 : "");
  if (!a.from.empty() || source == nullptr) {
    const fs::path file = a.from.empty() ? a.source : a.from;
    check(source != nullptr || fs::exists(file), [&] {
      return fmt::format(
          "{}: neither a file nor a corpus that is known; those are tinytales, "
          "shakespeare and tinystories",
          a.source);
    });
    if (!digest.empty()) check_digest(file, digest);
    return file;
  }
  const fs::path file = folder / "source.txt";
  if (fs::exists(file)) return file;
  check(!digest.empty(), [&] {
    return fmt::format(
        "{}: no SHA-256 is pinned for {}: give the one that its page shows with "
        "--sha256, or a file of yours with --from",
        a.source, source->url);
  });
  fs::create_directories(folder);
  download(source->url, digest, file);
  return file;
}

Tokenizer make_tokenizer(const Arguments& a, const Documents& d) {
  const std::vector<std::string> special =
      d.end_tokens ? std::vector<std::string>{std::string(kEndOfText)} : std::vector<std::string>{};
  if (a.tokenizer == "byte") return byte_tokenizer(special);
  if (a.tokenizer != "char" && a.tokenizer != "bpe") return load_tokenizer(a.tokenizer);
  std::string text;
  for (const std::string_view document : d.train) {
    text += document;
    if (d.end_tokens) text += '\n';
    // A vocabulary of a few thousand tokens has settled long before this.
    if (a.tokenizer == "bpe" && text.size() > (std::size_t{64} << 20)) break;
  }
  if (a.tokenizer == "char") {
    for (const std::string_view document : d.validation) text += document;
    return train_char_tokenizer(text, special);
  }
  return train_bpe_tokenizer(text, a.vocab_size, special);
}

void write_split(const fs::path& path, SplitInfo& split,
                 const std::vector<std::string_view>& documents, const Tokenizer& tokenizer,
                 bool end_tokens) {
  const SpecialToken* end = find_special(tokenizer, kEndOfText);
  check(!end_tokens || end != nullptr, [&] {
    return fmt::format("--tokenizer: it has no {} token, which parts this corpus's documents",
                       kEndOfText);
  });
  std::vector<int> ids;
  for (const std::string_view document : documents) {
    const std::vector<int> part = encode(tokenizer, document, {.allow_special = false});
    ids.insert(ids.end(), part.begin(), part.end());
    if (end_tokens) ids.push_back(end->id);
    split.bytes += static_cast<std::int64_t>(document.size()) + (end_tokens ? 1 : 0);
  }
  split.documents = static_cast<std::int64_t>(documents.size());
  split.tokens = static_cast<std::int64_t>(ids.size());
  write_token_file(path, ids, vocab_size(tokenizer));
}

void print_summary(const CorpusInfo& info, const fs::path& folder, double seconds) {
  fmt::print(
      "{}: {} documents, {:.1f} MB, {} tokens of a {} tokenizer with {} ({:.1f} bytes a "
      "token), {:.1f} s\n",
      folder.string(), info.train.documents + info.validation.documents,
      static_cast<double>(info.train.bytes + info.validation.bytes) * 1e-6,
      info.train.tokens + info.validation.tokens, info.tokenizer, info.vocab_size,
      static_cast<double>(info.train.bytes) / static_cast<double>(info.train.tokens), seconds);
  if (info.validation.floor_nats_per_byte) {
    fmt::print("the best possible model loses {:.4f} nats per byte on its validation split\n",
               *info.validation.floor_nats_per_byte);
  }
}

// Everything that decides what the corpus holds, in one line.
std::string made_from(const Arguments& a, const fs::path& file) {
  const std::string content =
      a.source == "tinytales"
          ? (a.grammar.empty() ? sha256(tinytales_grammar_text()) : sha256_of_file(a.grammar))
          : sha256_of_file(file);
  const bool loaded = a.tokenizer != "byte" && a.tokenizer != "char" && a.tokenizer != "bpe";
  return fmt::format("text {} seed {} stories {} tokenizer {} vocabulary {} validation {}", content,
                     a.source == "tinytales" ? a.seed : 0, a.source == "tinytales" ? a.stories : 0,
                     loaded ? sha256_of_file(a.tokenizer) : a.tokenizer,
                     a.tokenizer == "bpe" ? a.vocab_size : 0, a.validation_share);
}

void run(Arguments a) {
  const auto start = std::chrono::steady_clock::now();
  const bool tales = a.source == "tinytales";
  if (a.tokenizer.empty()) a.tokenizer = a.source == "shakespeare" ? "char" : "bpe";
  if (a.vocab_size == 0) a.vocab_size = tales ? 1024 : 4096;
  check(a.validation_share > 0 && a.validation_share < 1,
        "--validation: must be between 0 and 1, such as 0.1");
  const std::string name = fs::path(a.source).stem().string();
  const fs::path folder = a.out.empty() ? fs::path("data") / name : fs::path(a.out);
  const fs::path file = tales ? fs::path() : source_file(a, folder);
  const std::string recipe = made_from(a, file);
  if (fs::exists(folder / "corpus.json") && load_corpus_info(folder).made_from == recipe) {
    fmt::print("{}: ready, nothing to do\n", folder.string());
    return;
  }
  Documents d;
  if (tales) {
    d = tinytales(a);
  } else {
    d.text = read_file(file, std::uint64_t{1} << 36);
    split_text(d, a.validation_share);
  }
  const Tokenizer tokenizer = make_tokenizer(a, d);
  fs::create_directories(folder);
  fs::remove(folder / "corpus.json");  // until the new parts are all there
  write_split(folder / "train.npy", d.info.train, d.train, tokenizer, d.end_tokens);
  write_split(folder / "validation.npy", d.info.validation, d.validation, tokenizer, d.end_tokens);
  save_tokenizer(folder / "tokenizer.json", tokenizer);
  d.info.name = name;
  d.info.made_from = recipe;
  d.info.tokenizer = kind_name(tokenizer.kind);
  d.info.vocab_size = vocab_size(tokenizer);
  save_corpus_info(folder, d.info);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  print_summary(d.info, folder, took.count());
}

}  // namespace

void add_data_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("data", "Prepare a corpus for training");
  const auto a = std::make_shared<Arguments>();
  command->add_option("source", a->source, "tinytales, shakespeare, tinystories, or a text file")
      ->required();
  command->add_option("--out", a->out, "Folder to write to (default: data/NAME)");
  command->add_option("--tokenizer", a->tokenizer,
                      "byte, char, bpe, or a tokenizer.json (default: bpe; char for shakespeare)");
  command->add_option("--vocab-size", a->vocab_size,
                      "Tokens that bpe learns (default: 4096; 1024 for tinytales)");
  command->add_option("--stories", a->stories, "tinytales: stories to train on")
      ->capture_default_str();
  command->add_option("--seed", a->seed, "tinytales: which stories")->capture_default_str();
  command->add_option("--grammar", a->grammar, "tinytales: another grammar file");
  command->add_option("--from", a->from, "Take the text from this file instead of the network");
  command->add_option("--sha256", a->sha256, "The digest that the text must have");
  command->add_option("--validation", a->validation_share, "Share of a text that is held out")
      ->capture_default_str();
  command->callback([a] { run(*a); });
}

}  // namespace tinygpt::cli
