// The experiments of lesson 09.
#include <fmt/format.h>

#include <cstdlib>
#include <vector>

#include "lessons/09-position/experiments.h"
#include "lessons/support/demo.h"
#include "solutions/09-position/position.h"

using namespace tinygpt;
using namespace tinygpt::lessons;

namespace {

const char* const kWords[] = {"cat", "sees", "cat", "."};
const std::vector<float> kX = {1, 0, 0, 1, 1, 0, 1, 1};  // two numbers each

// The four tokens turned, the first of them at place `start`.
std::vector<float> turned_at(int start) {
  std::vector<float> cosine(static_cast<std::size_t>(start) + 4), sine = cosine, x = kX;
  ref::rope_table(cosine.data(), sine.data(), start + 4, 2, 100.0f);
  ref::rope_forward(x.data(), cosine.data(), sine.data(), 1, 4, 1, 2, 2, start);
  return x;
}

void print_scores(const char* title, const std::vector<float>& x) {
  fmt::print("\n{}\n{:>14}", title, "");
  for (const char* word : kWords) fmt::print("{:>10}", word);
  fmt::print("\n");
  for (std::size_t t = 0; t < 4; ++t) {
    fmt::print("{:>14}", kWords[t]);
    for (std::size_t u = 0; u < 4; ++u) {
      fmt::print("{:>10.3f}", x[2 * t] * x[2 * u] + x[2 * t + 1] * x[2 * u + 1]);
    }
    fmt::print("\n");
  }
}

void worked(const std::vector<Option>&) {
  std::vector<float> wave(8), sum(8);
  ref::sinusoidal_positions(wave.data(), 4, 2, 100.0f);
  ref::learned_positions_forward(sum.data(), kX.data(), wave.data(), 1, 4, 2, 0);
  const std::vector<float> turned = turned_at(0);
  fmt::print("{:>5}{:>7}{:>8}{:>18}{:>18}{:>18}\n", "place", "token", "x", "sin t, cos t", "added",
             "turned");
  for (std::size_t t = 0; t < 4; ++t) {
    const auto pair = [&](const std::vector<float>& v) {
      return fmt::format("{:.3f}, {:.3f}", v[2 * t], v[2 * t + 1]);
    };
    fmt::print("{:>5}{:>7}{:>8}{:>18}{:>18}{:>18}\n", t, kWords[t],
               fmt::format("{:.0f}, {:.0f}", kX[2 * t], kX[2 * t + 1]), pair(wave), pair(sum),
               pair(turned));
  }
  print_scores("scores of the turned vectors, row with column", turned);
  print_scores("the same text, 100 places further on", turned_at(100));
}

}  // namespace

int main(int argc, char** argv) {
  const Option text{"text", "a text file instead of tinytales", ""};
  const Option steps{"steps", "training steps of each model", "800"};
  const Option numbers{"numbers", "1 to print the chart's numbers, too", "0"};
  return run_demo(
      argc, argv, "Lesson 09: how it knows the order",
      {{"worked", "the numbers of the lesson's worked example", worked},
       {"permute", "shuffle tokens: does attention notice?", permute},
       {"waves", "the wavelengths of sinusoidal positions, and how alike places are", waves},
       {"distance", "scores of rotary positions against the distance", distance},
       {"check", "the gradient of the small model against differences of its loss", check_model},
       {"length",
        "train four models, judge them at twice the length",
        length,
        {text, steps, numbers}},
       {"wrong", "rotary positions whose gradient is turned the wrong way", wrong, {text, steps}},
       {"vectors",
        "the position vectors that a model has learned",
        vectors,
        {text, steps, numbers}}});
}
