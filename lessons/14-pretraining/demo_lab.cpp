#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "lessons/14-pretraining/lab.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/text/corpus.h"
#include "tinygpt/text/tinytales.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt::lessons {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr const char* kResults = "lessons-out/14-results.txt";

std::unique_ptr<TokenFile> as_file(const std::string& name, const std::vector<int>& tokens, int V) {
  fs::create_directories("lessons-out/14-data");
  const fs::path path = fs::path("lessons-out/14-data") / (name + ".npy");
  write_token_file(path, tokens, V);
  return std::make_unique<TokenFile>(path, V);
}

// Stories one behind the other, each with its end token.
std::vector<int> tokens_of(const Tokenizer& tokenizer, const std::vector<std::string>& stories,
                           int end) {
  std::vector<int> all;
  for (const std::string& story : stories) {
    const std::vector<int> tokens = encode(tokenizer, story);
    all.insert(all.end(), tokens.begin(), tokens.end());
    all.push_back(end);
  }
  return all;
}

// What is being trained, and "1:05 left".
class TimeLeft {
 public:
  TimeLeft(std::string what, int steps) : what_(std::move(what)), steps_(steps) {}
  void at(int step) {
    const double gone = std::chrono::duration<double>(Clock::now() - start_).count();
    if (step < steps_ && gone - shown_ < 0.5) return;
    shown_ = gone;
    const auto left = static_cast<int>(gone / std::max(step, 1) * (steps_ - step) + 0.5);
    say_on_terminal(step >= steps_ ? std::string("\r\x1b[K")
                                   : fmt::format("\r\x1b[K  {}: step {} of {}, {}:{:02} left",
                                                 what_, step, steps_, left / 60, left % 60));
  }

 private:
  std::string what_;
  int steps_;
  Clock::time_point start_ = Clock::now();
  double shown_ = 0;
};

}  // namespace

void say_on_terminal(const std::string& words) {
  if (isatty(STDERR_FILENO) == 0) return;
  fmt::print(stderr, "{}", words);
  std::fflush(stderr);
}

Corpus tinytales_corpus(int stories) {
  constexpr int kVocabulary = 768, kHeldOut = 300;
  const Grammar grammar = parse_grammar(tinytales_grammar_text(), "datasets/tinytales.grammar");
  Corpus c;
  c.name = "tinytales";
  std::string text;
  for (const std::string& story : draw_stories(grammar, 1, 0, 2000)) text += story + "\n";
  const std::vector<std::string> special = {std::string(kEndOfText)};
  c.tokenizer = train_bpe_tokenizer(text, kVocabulary, special);
  c.end = find_special(c.tokenizer, kEndOfText)->id;
  c.documents = draw_stories(grammar, 1, 0, stories);
  const std::vector<std::string> held_out = draw_stories(grammar, 1, 1'000'000, kHeldOut);
  const int V = vocab_size(c.tokenizer);
  c.train =
      as_file(fmt::format("train-{}", stories), tokens_of(c.tokenizer, c.documents, c.end), V);
  c.validation = as_file("validation", tokens_of(c.tokenizer, held_out, c.end), V);
  c.floor = stories_nats(grammar, held_out) / static_cast<double>(c.validation->size());
  return c;
}

Corpus file_corpus(const std::string& path) {
  const std::string text = read_file(path);
  const TextSplit split = split_text(text, 0.1);
  Corpus c;
  c.name = fs::path(path).filename().string();
  c.tokenizer = train_char_tokenizer(text);
  const int V = vocab_size(c.tokenizer);
  std::string train, validation;
  for (const std::string_view part : split.train) train += part;
  for (const std::string_view part : split.validation) validation += part;
  c.documents = {train};
  c.train = as_file("file-train", encode(c.tokenizer, train), V);
  c.validation = as_file("file-validation", encode(c.tokenizer, validation), V);
  check(c.validation->size() > kTime,
        "this text is too short: some thousand characters are needed");
  return c;
}

Corpus corpus_of(const std::vector<Option>& options, int stories) {
  const std::string path = as_text(options, "text");
  return path.empty() ? tinytales_corpus(stories) : file_corpus(path);
}

GptConfig small_config(const Corpus& corpus, int width, float dropout) {
  GptConfig c = named_config("demo");
  c.vocab_size = vocab_size(corpus.tokenizer);
  c.context_length = kTime;
  c.layers = 2;
  c.heads = c.kv_heads = std::max(width / 16, 1);
  c.width = width;
  c.hidden = 4 * width;
  c.dropout = dropout;
  c.bos_token = c.eos_token = corpus.end;
  return c;
}

Gpt<float> train(const Corpus& corpus, const Plan& plan, const std::string& what,
                 const Visits& visits) {
  TrainSettings s;
  s.batch = plan.batch;
  s.time = kTime;
  s.steps = plan.steps;
  s.lr = plan.lr;
  s.min_lr = plan.lr / 50;
  s.warmup = std::min(plan.steps / 10, 60);
  s.weight_decay = plan.weight_decay;
  s.seed = plan.seed;
  s.documents = corpus.end >= 0;
  Gpt<float> model = make_gpt(small_config(corpus, plan.width, plan.dropout), cpu::ops(),
                              host_memory(), Purpose::training, s.batch, s.time);
  init_parameters(model, s.seed);
  Trainer trainer = make_trainer(model, s);
  check_length(*corpus.train, s.time);
  TimeLeft progress(what, s.steps);
  double sum = 0;
  int since = 0;
  if (visits.wanted(0) && !visits.visit({0, std::nan(""), &model, &trainer})) return model;
  while (trainer.step < s.steps) {
    sum += train_step(trainer, *corpus.train).loss;
    ++since;
    progress.at(trainer.step);
    if (!visits.wanted(trainer.step)) continue;
    if (!visits.visit({trainer.step, sum / since, &model, &trainer})) break;
    sum = 0, since = 0;
  }
  return model;
}

double loss_on(Trainer& trainer, const TokenFile& data, std::int64_t tokens) {
  trainer.settings.eval_tokens = tokens;
  return validate(trainer, data, eval_starts(trainer, data, false));
}

std::string write_text(Gpt<float>& model, const Corpus& corpus, const SamplingSettings& sampling,
                       std::uint64_t seed, int most) {
  const std::vector<int> prompt = {corpus.end >= 0 ? corpus.end : (*corpus.validation)[0]};
  GenerateSettings settings;
  settings.sampling = sampling;
  settings.seed = seed;
  settings.max_tokens = most;
  settings.stop_token = corpus.end;
  return replace_invalid_utf8(decode(corpus.tokenizer, generate(model, prompt, settings)));
}

Numbers remembered(const std::string& name, const std::function<Numbers()>& compute) {
  std::ifstream file(kResults);
  for (std::string line; std::getline(file, line);) {
    const std::size_t tab = line.find('\t');
    if (tab == std::string::npos || line.substr(0, tab) != name || line.back() != ';') continue;
    say_on_terminal(fmt::format("  kept in {}: {}\n", kResults, name));
    std::istringstream words(line.substr(tab + 1));
    Numbers numbers;
    for (double value; words >> value;) numbers.push_back(value);
    return numbers;
  }
  const Numbers numbers = compute();
  std::string line = name + "\t";
  for (const double value : numbers) line += fmt::format("{} ", value);
  fs::create_directories("lessons-out");
  std::ofstream(kResults, std::ios::app) << line << ";\n";
  return numbers;
}

void forget_if_asked(const std::vector<Option>& options) {
  if (as_number(options, "again") != 0) fs::remove(kResults);
}

std::string short_count(double n) {
  if (n < 999.5) return fmt::format("{:.0f}", n);
  if (n < 99'500) return fmt::format("{:.3g}k", n / 1000);
  if (n < 999'500) return fmt::format("{:.0f}k", n / 1000);
  return fmt::format("{:.3g}M", n / 1e6);
}

}  // namespace tinygpt::lessons
