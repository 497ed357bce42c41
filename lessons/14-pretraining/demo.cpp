// The experiments of lesson 14.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "lessons/14-pretraining/lab.h"
#include "lessons/support/demo.h"
#include "solutions/14-pretraining/sampling.h"

using namespace tinygpt;
using namespace tinygpt::lessons;

namespace {

// snippet: worked
const std::vector<std::string> kWords = {"cat", "dog", "sun", "."};
const std::vector<float> kLogits = {2.0f, 1.0f, 1.5f, -1.0f};
// end of snippet

void print_row(const std::string& name, const std::vector<double>& p) {
  fmt::print("{:<24}", name);
  for (const double share : p) fmt::print("{:>8.3f}", share);
  fmt::print("\n");
}

std::vector<double> at_temperature(float temperature) {
  std::vector<double> p(kLogits.size());
  ref::sample_temperature(p, kLogits, temperature);
  return p;
}

void worked(const std::vector<Option>&) {
  fmt::print("{:<24}", "");
  for (const std::string& word : kWords) fmt::print("{:>8}", word);
  fmt::print("\n{:<24}", "logits");
  for (const float logit : kLogits) fmt::print("{:>8.1f}", logit);
  fmt::print("\n{:<24}", "exp(logit - 2)");
  double sum = 0;
  for (const float logit : kLogits) {
    fmt::print("{:>8.3f}", std::exp(logit - 2));
    sum += std::exp(logit - 2);
  }
  fmt::print("   sum {:.3f}\n", sum);
  print_row("temperature 1", at_temperature(1.0f));
  print_row("temperature 0.5", at_temperature(0.5f));
  print_row("temperature 2", at_temperature(2.0f));
  print_row("temperature 0", at_temperature(0.0f));
  const std::vector<double> plain = at_temperature(1.0f);
  std::vector<double> p = plain;
  ref::sample_top_k(p, 2);
  print_row("temperature 1, top-k 2", p);
  p = plain;
  ref::sample_top_p(p, 0.7);
  print_row("temperature 1, top-p 0.7", p);
  p = plain;
  ref::sample_top_p(p, 0.9);
  print_row("temperature 1, top-p 0.9", p);
  std::vector<double> sorted = plain;
  std::sort(sorted.begin(), sorted.end(), std::greater<>());
  fmt::print("{:<24}", "sums, likeliest first");
  sum = 0;
  for (const double share : sorted) fmt::print("{:>8.3f}", sum += share);
  fmt::print("\n");
  fmt::print("\nthe draw at temperature 1\n{:<24}", "running sums");
  sum = 0;
  for (const double share : plain) fmt::print("{:>8.3f}", sum += share);
  fmt::print("\n");
  for (const double u : {0.3, 0.6, 0.7, 0.99}) {
    const auto token = static_cast<std::size_t>(ref::draw_token(plain, u));
    fmt::print("u = {:<20.2f}{:>8}\n", u, kWords[token]);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Option again{"again", "1: forget what earlier runs have found", "0"};
  return run_demo(
      argc, argv, "Lesson 14: can it write?",
      {{"worked", "the numbers of the lesson's worked example", worked},
       {"train",
        "train a GPT; what it writes on the way, pinned to the curve",
        train_and_sample,
        {{"text", "a text file instead of tinytales", ""}, {"steps", "steps", "3000"}}},
       {"settings",
        "samples under several settings, side by side",
        settings_side_by_side,
        {{"stories", "texts under each setting", "40"}}},
       {"distribution",
        "one next token's probabilities under each setting",
        show_distribution,
        {{"prompt", "what was written so far",
          "Once upon a time, there was a shy girl named Lily. Lily liked"},
         {"tokens", "how many to show", "8"}}},
       {"parameters",
        "loss against the number of parameters, with a fitted power law",
        sweep_parameters,
        {{"steps", "steps of each training", "1600"}, again}},
       {"tokens",
        "loss against the number of tokens, with a fitted power law",
        sweep_tokens,
        {{"steps", "steps of the longest training", "3200"},
         {"width", "of the model", "64"},
         again}},
       {"overfit",
        "too little text, and what helps",
        overfit,
        {{"stories", "stories to train on", "120"}, {"steps", "steps", "800"}, again}}});
}
