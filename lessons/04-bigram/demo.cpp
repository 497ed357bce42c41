// The experiments of lesson 04.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "lessons/support/chart.h"
#include "lessons/support/demo.h"
#include "solutions/04-bigram/bigram.h"
#include "solutions/04-bigram/softmax.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/core/random.h"

using namespace tinygpt;
using namespace tinygpt::lessons;

namespace {

constexpr int kBytes = 256;  // the vocabulary of these experiments: every token is a byte

// snippet: worked
const std::vector<std::string> kWords = {"a", "cat", "sat", "."};
const std::vector<int> kText = {0, 1, 2, 3, 0, 1, 3};  // a cat sat . a cat .
// end of snippet

void print_matrix(const char* name, const std::vector<float>& values, const char* form) {
  fmt::print("{}\n{:>8}", name, "");
  for (const std::string& word : kWords) fmt::print("{:>8}", word);
  fmt::print("\n");
  for (std::size_t v = 0; v < kWords.size(); ++v) {
    fmt::print("{:>8}", kWords[v]);
    for (std::size_t w = 0; w < kWords.size(); ++w) {
      fmt::print("{:>8}", fmt::format(fmt::runtime(form), values[v * kWords.size() + w]));
    }
    fmt::print("\n");
  }
}

void worked(const std::vector<Option>&) {
  std::vector<float> counts(16), table(16);
  for (std::size_t i = 0; i + 1 < kText.size(); ++i) {
    counts[static_cast<std::size_t>(kText[i] * 4 + kText[i + 1])] += 1;
  }
  print_matrix("counts", counts, "{:.0f}");
  ref::bigram_fit(table.data(), kText.data(), static_cast<std::int64_t>(kText.size()), 4, 1.0f);
  std::vector<float> shares(table);
  for (float& share : shares) share = std::exp(share);
  print_matrix("probabilities, every pair counted once in advance", shares, "{:.3f}");
  const double loss = ref::bigram_loss(table.data(), kText.data(), 0, 5, 4);
  fmt::print("\nloss of the six pairs: {:.3f} nats a token, perplexity {:.2f}\n", loss,
             std::exp(loss));

  const std::vector<float> logits = {2.0f, 1.0f, 0.0f, -1.0f};
  std::vector<float> probabilities(4), gradient(4);
  const std::vector<int> target = {1};
  float of_row = 0, lse = 0;
  ref::softmax_forward(probabilities.data(), logits.data(), 1, 4);
  ref::cross_entropy_forward(&of_row, &lse, logits.data(), target.data(), 1, 4);
  ref::softmax_cross_entropy_backward(gradient.data(), logits.data(), &lse, target.data(), 1, 4, 1);
  fmt::print("\n{:>12}{:>8}{:>14}{:>10}\n", "logit", "exp", "probability", "gradient");
  double sum = 0;
  for (std::size_t v = 0; v < 4; ++v) {
    sum += std::exp(logits[v]);
    fmt::print("{:>4}{:>8.1f}{:>8.3f}{:>14.3f}{:>10.3f}\n", kWords[v], logits[v],
               std::exp(logits[v]), probabilities[v], gradient[v]);
  }
  fmt::print("{:>4}{:>8}{:>8.3f}\n", "sum", "", sum);
  fmt::print("log-sum-exp {:.3f}, loss when '{}' comes: {:.3f} - {:.1f} = {:.3f}\n", lse, kWords[1],
             lse, logits[1], of_row);
}

std::vector<int> bytes_of(const std::string& text) {
  std::vector<int> tokens;
  for (const char c : text) tokens.push_back(static_cast<unsigned char>(c));
  return tokens;
}

struct Text {
  std::vector<int> tokens;  // training part first
  std::int64_t train_size = 0;
  double floor = 0;  // nats per byte; 0: unknown
  std::int64_t pairs() const { return static_cast<std::int64_t>(tokens.size()) - 1; }
};

Text load(const std::vector<Option>& options) {
  const std::string path = as_text(options, "text");
  Text text;
  if (path.empty()) {
    const Stories stories = make_stories(static_cast<int>(as_number(options, "stories")));
    text.tokens = bytes_of(stories.train + stories.validation);
    text.train_size = static_cast<std::int64_t>(stories.train.size());
    text.floor = stories.floor_nats_per_byte;
  } else {
    text.tokens = bytes_of(read_file(path));
    text.train_size = static_cast<std::int64_t>(text.tokens.size()) * 9 / 10;
  }
  check(text.train_size > 1 && text.pairs() > text.train_size,
        "this text is too short: some hundred bytes are needed");
  return text;
}

std::vector<float> fit(const Text& text, std::int64_t train_size, float smoothing) {
  std::vector<float> table(kBytes * kBytes);
  ref::bigram_fit(table.data(), text.tokens.data(), train_size, kBytes, smoothing);
  return table;
}

double loss_of(const std::vector<float>& table, const Text& text, bool validation) {
  const std::int64_t first = validation ? text.train_size : 0;
  const std::int64_t last = validation ? text.pairs() - 1 : text.train_size - 2;
  return ref::bigram_loss(table.data(), text.tokens.data(), first, last, kBytes);
}

std::string write_text(const std::vector<float>& table, int length) {
  Random random{1};
  std::string out;
  int token = '\n';
  while (static_cast<int>(out.size()) < length) {
    double rest = random.uniform();
    int next = 0;
    while (next + 1 < kBytes) {
      rest -= std::exp(double{table[static_cast<std::size_t>(token * kBytes + next)]});
      if (rest < 0) break;
      ++next;
    }
    token = next;
    const bool printable = token == '\n' || (token >= 0x20 && token < 0x7f);
    out += printable ? static_cast<char>(token) : '?';
  }
  return out;
}

void show_heat_map(const std::vector<float>& table) {
  std::vector<std::string> letters;
  for (char c = 'a'; c <= 'z'; ++c) letters.emplace_back(1, c);
  letters.emplace_back("_");
  const auto code = [&](std::size_t i) { return i == 26 ? int{' '} : static_cast<int>('a' + i); };
  std::vector<double> values;
  for (std::size_t v = 0; v < letters.size(); ++v) {
    for (std::size_t w = 0; w < letters.size(); ++w) {
      values.push_back(std::exp(table[static_cast<std::size_t>(code(v) * kBytes + code(w))]));
    }
  }
  write_heat_map("lessons-out/04-letters.svg",
                 "Which letter follows (column) which (row); _ is a space", letters, letters,
                 values);
}

void bigram(const std::vector<Option>& options) {
  const Text text = load(options);
  const std::vector<float> table = fit(text, text.train_size, 0.1f);
  const double train = loss_of(table, text, false), validation = loss_of(table, text, true);
  fmt::print("{} bytes to train on, {} to validate\n\n", text.train_size,
             text.pairs() + 1 - text.train_size);
  fmt::print("{:<34}{:>12}{:>15}{:>12}\n", "validation loss of", "nats/byte", "bits per byte",
             "perplexity");
  const auto row = [](const char* name, double nats) {
    fmt::print("{:<34}{:>12.4f}{:>15.4f}{:>12.2f}\n", name, nats, nats / std::log(2.0),
               std::exp(nats));
  };
  row("knowing nothing: 256 bytes alike", std::log(256.0));
  row("the bigram table", validation);
  if (text.floor > 0) row("the floor: the best possible model", text.floor);
  fmt::print("\non its training text the table loses {:.4f} nats a byte\n", train);
  fmt::print("\nit writes:\n  ");
  for (const char c : write_text(table, 240))
    fmt::print("{}", c == '\n' ? std::string("\n  ") : std::string(1, c));
  fmt::print("\n\n");
  show_heat_map(table);
}

void splits(const std::vector<Option>& options) {
  const Text text = load(options);
  fmt::print("{:>14}{:>14}{:>14}{:>20}\n", "bytes seen", "train", "validation",
             "validation, leaked");
  Series train{"training text", {}}, honest{"validation", {}}, leaked{"validation, seen", {}};
  for (std::int64_t seen = 300; seen <= text.train_size; seen *= 3) {
    Text part = text;
    part.tokens.assign(text.tokens.begin(), text.tokens.begin() + seen);
    part.train_size = seen;
    const auto size = static_cast<double>(seen);
    part.tokens.insert(part.tokens.end(), text.tokens.begin() + text.train_size,
                       text.tokens.begin() + text.train_size +
                           std::min<std::int64_t>(3000, text.pairs() - text.train_size));
    const std::vector<float> table = fit(part, seen, 0.1f);
    const std::vector<float> cheat = fit(part, part.pairs() + 1, 0.1f);
    train.points.emplace_back(size, loss_of(table, part, false));
    honest.points.emplace_back(size, loss_of(table, part, true));
    leaked.points.emplace_back(size, loss_of(cheat, part, true));
    fmt::print("{:>14}{:>14.4f}{:>14.4f}{:>20.4f}\n", seen, train.points.back().second,
               honest.points.back().second, leaked.points.back().second);
  }
  const Axes axes{.x = "bytes of training text", .y = "nats per byte", .log_x = true};
  fmt::print("\n");
  print_lines({train, honest, leaked}, axes);
  write_line_chart("lessons-out/04-splits.svg", "What validation text is for",
                   {train, honest, leaked}, axes);
}

void smoothing(const std::vector<Option>& options) {
  const Text text = load(options);
  Text small = text;
  small.train_size = std::min<std::int64_t>(text.train_size, 20'000);
  small.tokens.resize(static_cast<std::size_t>(small.train_size));
  small.tokens.insert(small.tokens.end(), text.tokens.begin() + text.train_size, text.tokens.end());
  fmt::print("{} bytes to train on\n\n{:>12}{:>14}{:>14}\n", small.train_size, "smoothing", "train",
             "validation");
  Series train{"training text", {}}, validation{"validation", {}};
  for (const double s : {0.0001, 0.001, 0.01, 0.1, 1.0, 10.0}) {
    const std::vector<float> table = fit(small, small.train_size, static_cast<float>(s));
    train.points.emplace_back(s, loss_of(table, small, false));
    validation.points.emplace_back(s, loss_of(table, small, true));
    fmt::print("{:>12}{:>14.4f}{:>14.4f}\n", s, train.points.back().second,
               validation.points.back().second);
  }
  write_line_chart("lessons-out/04-smoothing.svg", "How much to count in advance",
                   {train, validation}, {.x = "smoothing", .y = "nats per byte", .log_x = true});
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<Option> text = {{"text", "a text file instead of tinytales", ""},
                                    {"stories", "tinytales: stories to train on", "4000"}};
  return run_demo(
      argc, argv, "Lesson 04: the simplest language model",
      {{"worked", "the numbers of the lesson's worked example", worked},
       {"bigram", "fit a bigram table, judge it, let it write", bigram, text},
       {"splits", "loss against size, with honest and with leaked validation", splits, text},
       {"smoothing", "loss against smoothing, on a short text", smoothing, text}});
}
