// The experiments of lesson 13.
#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "lessons/13-training-loop/experiments.h"
#include "lessons/support/demo.h"
#include "solutions/13-training-loop/batch.h"
#include "solutions/13-training-loop/optimizer.h"

using namespace tinygpt;
using namespace tinygpt::lessons;

namespace {

const char* const kWords[] = {"a", "cat", "sat", "."};

void worked_batch() {
  const std::vector<int> text = {0, 1, 2, 3, 0, 1, 3};
  std::vector<int> tokens(6), targets(6);
  Random random{1};
  ref::next_batch(tokens, targets, text, 2, 3, random);
  fmt::print("text: a cat sat . a cat .\n\n{:<18}targets\n", "tokens");
  for (std::size_t b = 0; b < 2; ++b) {
    std::string left, right;
    for (std::size_t t = 0; t < 3; ++t) {
      left += fmt::format("{} ", kWords[tokens[3 * b + t]]);
      right += fmt::format("{} ", kWords[targets[3 * b + t]]);
    }
    fmt::print("{:<18}{}\n", left, right.substr(0, right.size() - 1));
  }
}

void worked(const std::vector<Option>&) {
  worked_batch();
  fmt::print("\nrate 0.1, decay 0.1, beta1 0.9, beta2 0.99, all weights 0.5\n");
  std::vector<float> param(4, 0.5f), m(4, 0.0f), v(4, 0.0f);
  const std::vector<std::vector<float>> gradients = {{2, -1, 0, 2}, {0.6f, 0.8f, 0, 0}};
  const AdamwSettings settings{.lr = 0.1f, .beta1 = 0.9f, .beta2 = 0.99f, .weight_decay = 0.1f};
  for (int step = 1; step <= 2; ++step) {
    AdamwSettings s = settings;
    s.step = step;
    std::vector<float> grad = gradients[static_cast<std::size_t>(step - 1)];
    const std::vector<float> raw = grad;
    float norm = 0;
    ref::gradient_norm(&norm, grad.data(), nullptr, 4);
    ref::clip_gradients(grad.data(), &norm, 4, 1.5f);
    fmt::print("\nstep {}: norm {:.1f}, at most 1.5; mhat is m / {:.4f}, vhat is v / {:.4f}\n",
               step, norm, 1 - std::pow(0.9, step), 1 - std::pow(0.99, step));
    ref::adamw_step(param.data(), nullptr, m.data(), v.data(), grad.data(), 4, s);
    fmt::print("{:>5}{:>7}{:>9}{:>8}{:>8}{:>8}{:>8}{:>8}{:>9}\n", "", "grad", "clipped", "m", "v",
               "mhat", "vhat", "ratio", "weight");
    for (std::size_t i = 0; i < 4; ++i) {
      const double mhat = m[i] / (1 - std::pow(0.9, step));
      const double vhat = v[i] / (1 - std::pow(0.99, step));
      fmt::print("{:>5}{:>7.1f}{:>9.2f}{:>8.3f}{:>8.4f}{:>8.3f}{:>8.3f}{:>8.3f}{:>9.3f}\n",
                 kWords[i], raw[i], grad[i], m[i], v[i], mhat, vhat,
                 mhat / (std::sqrt(vhat) + 1e-8), param[i]);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  return run_demo(argc, argv, "Lesson 13: a step, taken well",
                  {{"worked", "the numbers of the lesson's worked example", worked},
                   {"accumulate", "one batch of 16 windows, and the same in pieces", accumulate},
                   {"warmup",
                    "the first steps, with and without warm-up",
                    warm_up,
                    {{"steps", "steps each", "200"}, {"rate", "learning rate", "0.01"}}},
                   {"ablate",
                    "one ingredient left out at a time",
                    ablate,
                    {{"steps", "steps each", "1500"},
                     {"rate", "learning rate", "0.01"},
                     {"seed", "of weights and batches", "1"}}},
                   {"resume",
                    "stop, load, go on: the same to the bit?",
                    resume,
                    {{"steps", "before the stop, and after it", "100"}}}});
}
