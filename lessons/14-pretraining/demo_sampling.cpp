// The same model under several settings of sampling.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>
#include <unordered_set>

#include "lessons/14-pretraining/lab.h"
#include "lessons/support/picture.h"
#include "solutions/14-pretraining/sampling.h"
#include "tinygpt/core/error.h"
#include "tinygpt/text/tinytales.h"

namespace tinygpt::lessons {
namespace {

struct Setting {
  std::string name;
  SamplingSettings sampling;
};

const std::vector<Setting> kSettings = {
    {"temperature 0", {0.0f, 0, 1.0f}}, {"temperature 0.5", {0.5f, 0, 1.0f}},
    {"temperature 1", {1.0f, 0, 1.0f}}, {"temperature 1.5", {1.5f, 0, 1.0f}},
    {"top-k 5", {1.0f, 5, 1.0f}},       {"top-p 0.9", {1.0f, 0, 0.9f}}};

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

// Three words in a row, of all of a text.
std::vector<std::string> triples_of(const std::string& text) {
  const std::vector<std::string> words = words_of(text);
  std::vector<std::string> triples;
  for (std::size_t i = 0; i + 2 < words.size(); ++i) {
    triples.push_back(words[i] + ' ' + words[i + 1] + ' ' + words[i + 2]);
  }
  return triples;
}

// What fits into so many columns, from a word on.
std::string words_from(const std::string& text, std::size_t first, std::size_t columns) {
  std::string line;
  const std::vector<std::string> words = words_of(text);
  for (std::size_t i = first; i < words.size(); ++i) {
    if (line.size() + words[i].size() + 1 > columns) break;
    line += line.empty() ? words[i] : fmt::format(" {}", words[i]);
  }
  return line;
}

// The probabilities that a setting makes of logits.
std::vector<double> under(const SamplingSettings& s, std::span<const float> logits) {
  std::vector<double> p(logits.size());
  ref::sample_temperature(p, logits, s.temperature);
  ref::sample_top_k(p, s.top_k);
  ref::sample_top_p(p, double{s.top_p});
  return p;
}

std::vector<float> logits_after(Gpt<float>& model, const Corpus& corpus, const std::string& text) {
  std::vector<int> prompt = {corpus.end};
  const std::vector<int> tokens = encode(corpus.tokenizer, text);
  prompt.insert(prompt.end(), tokens.begin(), tokens.end());
  check(prompt.size() <= kTime, "--prompt is too long for this model");
  forward(model, std::span<const int>(prompt), {}, 1, static_cast<int>(prompt.size()));
  std::vector<float> logits(static_cast<std::size_t>(vocab_size(corpus.tokenizer)));
  copy_last_logits(model, 0, std::span<float>(logits));
  return logits;
}

// One small bar chart for each setting, side by side, with the tokens in the same order.
void draw(const std::string& path, const std::string& title, const std::vector<std::string>& tokens,
          const std::vector<std::vector<double>>& shares) {
  const double kWidth = 700, kLeft = 96, kTop = 66, kRow = 20, kGap = 8;
  const auto rows = static_cast<double>(tokens.size());
  const double each = (kWidth - kLeft - 8) / static_cast<double>(kSettings.size());
  Picture p(kWidth, kTop + kRow * rows + 12, title);
  p.text(12, 22, title, Anchor::start, "ink", true);
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    p.text(kLeft - 10, kTop + kRow * static_cast<double>(t) + 14, tokens[t], Anchor::end);
  }
  for (std::size_t s = 0; s < kSettings.size(); ++s) {
    const double x = kLeft + each * static_cast<double>(s);
    const std::string& name = kSettings[s].name;
    const std::size_t space = name.find(' ');
    p.text(x, 42, name.substr(0, space), Anchor::start, "dim");
    p.text(x, 58, name.substr(space + 1), Anchor::start, "dim");
    p.line(x, kTop, x, kTop + kRow * rows, "line", 0.6);
    for (std::size_t t = 0; t < tokens.size(); ++t) {
      const double share = shares[s][t], y = kTop + kRow * static_cast<double>(t);
      if (share == 0) continue;
      const double length = (each - kGap - 42) * share;
      p.rect(x, y + 3, std::max(length, 1.0), kRow - 6, s < 4 ? "s0" : "s1");
      p.text(x + length + 4, y + 14, fmt::format("{:.0f}%", 100 * share), Anchor::start, "dim");
    }
  }
  p.save(path);
}

}  // namespace

void settings_side_by_side(const std::vector<Option>& options) {
  const Corpus corpus = tinytales_corpus(kStories);
  const int count = static_cast<int>(as_number(options, "stories"));
  Gpt<float> model = trained_model(corpus);
  std::unordered_set<std::string> known, known_words;
  for (const std::string& story : corpus.documents) {
    for (std::string& triple : triples_of(story)) known.insert(std::move(triple));
    for (std::string& word : words_of(story)) known_words.insert(std::move(word));
  }
  const Grammar grammar = parse_grammar(tinytales_grammar_text(), "datasets/tinytales.grammar");
  fmt::print("{} texts under each setting\n\n{:<18}{:>15}{:>18}{:>20}{:>12}\n", count, "",
             "unknown words", "unknown triples", "different triples", "flawless");
  std::vector<std::string> lines;
  for (const Setting& setting : kSettings) {
    std::set<std::string> different;
    double words = 0, triples = 0, new_words = 0, new_triples = 0;
    std::vector<std::string> texts;
    for (int i = 0; i < count; ++i) {
      show_progress(setting.name, i, count);
      const std::string text =
          write_text(model, corpus, setting.sampling, 100 + static_cast<std::uint64_t>(i), kTime);
      texts.push_back(text);
      for (const std::string& word : words_of(text))
        ++words, new_words += !known_words.contains(word);
      for (const std::string& triple : triples_of(text)) {
        ++triples, new_triples += !known.contains(triple);
        different.insert(triple);
      }
    }
    show_progress(setting.name, count, count);
    const StoryReview review = review_stories(grammar, texts, {});
    fmt::print("{:<18}{:>14.1f}%{:>17.1f}%{:>19.1f}%{:>12}\n", setting.name,
               100 * new_words / words, 100 * new_triples / triples,
               100 * static_cast<double>(different.size()) / triples, review.well_formed);
    std::fflush(stdout);
    lines.push_back(fmt::format("{:<18}{}", setting.name, words_from(texts[0], 15, 78)));
  }
  fmt::print("\nthe first of each, from its sixteenth word\n\n");
  for (const std::string& line : lines) fmt::print("{}\n", line);
}

void show_distribution(const std::vector<Option>& options) {
  const Corpus corpus = tinytales_corpus(kStories);
  Gpt<float> model = trained_model(corpus);
  const std::string prompt = as_text(options, "prompt");
  const std::vector<float> logits = logits_after(model, corpus, prompt);
  const std::vector<double> plain = under({1.0f, 0, 1.0f}, logits);
  std::vector<int> order = ref::likeliest_first(plain);
  order.resize(
      std::min<std::size_t>(order.size(), static_cast<std::size_t>(as_number(options, "tokens"))));
  std::vector<std::string> tokens;
  for (const int token : order) {
    tokens.push_back(fmt::format("'{}'", token_bytes(corpus.tokenizer, token)));
  }
  tokens.emplace_back("all others");
  std::vector<std::vector<double>> shares;
  fmt::print("after \"{}\"\n\n{:<18}", prompt, "");
  for (const std::string& token : tokens) fmt::print("{:>11}", token);
  fmt::print("\n");
  for (const Setting& setting : kSettings) {
    const std::vector<double> p = under(setting.sampling, logits);
    shares.emplace_back();
    double rest = 1;
    for (const int token : order) {
      shares.back().push_back(p[static_cast<std::size_t>(token)]);
      rest -= shares.back().back();
    }
    shares.back().push_back(std::abs(rest) < 1e-9 ? 0.0 : rest);
    fmt::print("{:<18}", setting.name);
    for (const double share : shares.back()) {
      fmt::print("{:>11}", share == 0 ? "-" : fmt::format("{:.3f}", share));
    }
    fmt::print("\n");
  }
  const std::size_t from = prompt.size() <= 24 ? 0 : prompt.find(' ', prompt.size() - 24);
  const std::string end = from == 0 ? prompt : "..." + prompt.substr(std::min(from, prompt.size()));
  draw("lessons-out/14-distribution.svg",
       fmt::format("What may follow \"{}\", under each setting", end), tokens, shares);
}

}  // namespace tinygpt::lessons
