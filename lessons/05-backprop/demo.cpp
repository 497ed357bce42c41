// The experiments of lesson 05.
#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "lessons/05-backprop/mlp.h"
#include "lessons/support/chart.h"
#include "lessons/support/demo.h"
#include "solutions/05-backprop/backprop.h"
#include "solutions/05-backprop/descent.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"

using namespace tinygpt;
using namespace tinygpt::lessons;

namespace {

const std::vector<double> kX = {1, 0, 0, 1, 1, 1, 2, -1};  // four tokens, two numbers each
const std::vector<double> kWanted = {1, 0, 1, 0};

// The mean over four tokens of half the squared error of w . x + b.
double line_loss(std::span<const double> p) {
  double sum = 0;
  for (std::size_t n = 0; n < 4; ++n) {
    const double error = p[0] * kX[2 * n] + p[1] * kX[2 * n + 1] + p[2] - kWanted[n];
    sum += error * error / 2;
  }
  return sum / 4;
}

void worked(const std::vector<Option>&) {
  const std::vector<float> x(kX.begin(), kX.end());
  std::vector<float> params = {0.5f, -0.25f, 0.1f}, gradient(3, 0.0f), dout(4);
  const char* names[] = {"a", "cat", "sat", "."};
  fmt::print("{:>6}{:>12}{:>10}{:>10}{:>12}\n", "token", "x", "out", "wanted", "dout");
  for (std::size_t n = 0; n < 4; ++n) {
    const float out = params[0] * x[2 * n] + params[1] * x[2 * n + 1] + params[2];
    dout[n] = (out - static_cast<float>(kWanted[n])) / 4;
    fmt::print("{:>6}{:>12}{:>10.2f}{:>10.0f}{:>12.4f}\n", names[n],
               fmt::format("{:.0f}, {:.0f}", x[2 * n], x[2 * n + 1]), out, kWanted[n], dout[n]);
  }
  ref::linear_backward(nullptr, gradient.data(), gradient.data() + 2, dout.data(), x.data(),
                       params.data(), nullptr, 4, 2, 1);
  std::vector<double> at(params.begin(), params.end()), claimed(gradient.begin(), gradient.end());
  const double before = line_loss(at);
  fmt::print("\n{:>10}{:>10}{:>12}{:>26}\n", "", "value", "gradient", "by central differences");
  const char* of[] = {"w[0]", "w[1]", "b"};
  for (std::size_t i = 0; i < 3; ++i) {
    std::vector<double> one(at);
    one[i] += 1e-4;
    const double above = line_loss(one);
    one[i] -= 2e-4;
    fmt::print("{:>10}{:>10.2f}{:>12.4f}{:>26.4f}\n", of[i], params[i], gradient[i],
               (above - line_loss(one)) / 2e-4);
  }
  const ref::GradientError worst = ref::gradient_check(line_loss, at, claimed, 1e-4);
  fmt::print("largest relative difference: below 1e-5: {}\n", worst.error < 1e-5 ? "yes" : "no");
  ref::sgd_step(params.data(), gradient.data(), 0.5f, 3);
  const std::vector<double> after(params.begin(), params.end());
  fmt::print("\nafter one step with learning rate 0.5: w = {:.4f}, {:.4f}, b = {:.4f}\n", params[0],
             params[1], params[2]);
  fmt::print("loss {:.4f} before, {:.4f} after\n", before, line_loss(after));
}

// The text as numbers of its characters, which are counted in the order of their first appearance.
struct Characters {
  std::vector<int> train, validation;
  int V = 0;
  double floor = 0;
};

Characters load(const std::vector<Option>& options, std::size_t most) {
  const std::string path = as_text(options, "text");
  std::string train, validation;
  Characters c;
  if (path.empty()) {
    const Stories stories = make_stories(1000);
    train = stories.train, validation = stories.validation, c.floor = stories.floor_nats_per_byte;
  } else {
    const std::string text = read_file(path);
    train = text.substr(0, text.size() * 9 / 10), validation = text.substr(train.size());
  }
  check(train.size() > 100 && validation.size() > 10,
        "this text is too short: some hundred bytes are needed");
  std::vector<int> number(256, -1);
  const auto encode = [&](const std::string& text) {
    std::vector<int> tokens;
    for (const char byte : text) {
      int& n = number[static_cast<unsigned char>(byte)];
      if (n < 0) n = c.V++;
      tokens.push_back(n);
    }
    return tokens;
  };
  c.train = encode(train), c.validation = encode(validation);
  c.train.resize(std::min(c.train.size(), most));
  c.validation.resize(std::min<std::size_t>(c.validation.size(), 4000));
  return c;
}

void sweep(const std::vector<Option>& options) {
  const Characters text = load(options, 1'000'000);
  const int steps = static_cast<int>(as_number(options, "steps"));
  fmt::print("an MLP that looks at {} characters; {} steps of {} places each\n\n", kPlaces, steps,
             kBatch);
  Series line{"after training", {}};
  std::vector<Bar> bars;
  for (const float rate : {0.003f, 0.01f, 0.03f, 0.1f, 0.3f, 1.0f, 3.0f, 10.0f}) {
    Mlp model(text.V, 1);
    for (int step = 0; step < steps; ++step) model.train_step(text.train, rate);
    const double loss = model.loss(text.validation);
    const bool diverged = !std::isfinite(loss) || loss > std::log(text.V);
    bars.push_back({fmt::format("learning rate {:g}", rate), std::isnan(loss) ? INFINITY : loss,
                    diverged ? "diverged: worse than knowing nothing" : ""});
    if (!diverged) line.points.emplace_back(rate, loss);
  }
  bars.push_back({"knowing nothing", std::log(text.V)});
  if (text.floor > 0) bars.push_back({"floor", text.floor});
  print_bars(bars, "nats per character, validation text");
  write_line_chart("lessons-out/05-sweep.svg", "Validation loss against learning rate", {line},
                   {.x = "learning rate", .y = "nats per character", .log_x = true});
}

void overfit(const std::vector<Option>& options) {
  const int size = static_cast<int>(as_number(options, "characters"));
  const Characters text = load(options, static_cast<std::size_t>(size));
  const int steps = static_cast<int>(as_number(options, "steps"));
  Mlp model(text.V, 1);
  Series train{"training text", {}}, validation{"validation", {}};
  fmt::print("{} characters to train on, seen again and again\n\n{:>8}{:>14}{:>14}\n",
             text.train.size(), "step", "train", "validation");
  for (int step = 0; step <= steps; ++step) {
    if (step % (steps / 8) == 0) {
      train.points.emplace_back(step, model.loss(text.train));
      validation.points.emplace_back(step, model.loss(text.validation));
      fmt::print("{:>8}{:>14.4f}{:>14.4f}\n", step, train.points.back().second,
                 validation.points.back().second);
    }
    if (step < steps) model.train_step(text.train, 0.3f);
  }
  fmt::print("\n");
  const Axes axes{.x = "steps", .y = "nats per character"};
  print_lines({train, validation}, axes);
  write_line_chart("lessons-out/05-overfit.svg", "Learning by heart", {train, validation}, axes);
}

void check_mlp(const std::vector<Option>&) {
  Mlp model(5, 3);
  const std::vector<int> text = {0, 1, 2, 3, 4, 0, 2, 4, 1, 3, 0, 1, 2, 3, 4, 4, 3, 2, 1, 0};
  fmt::print("largest relative error of {} gradients of the whole MLP: {:.1e}\n",
             model.parameters(), model.gradient_error(text));
}

}  // namespace

int main(int argc, char** argv) {
  const Option text{"text", "a text file instead of tinytales", ""};
  return run_demo(
      argc, argv, "Lesson 05: how weights learn",
      {{"worked", "the numbers of the lesson's worked example", worked},
       {"check", "the gradient of the whole MLP against differences of its loss", check_mlp},
       {"sweep", "train with eight learning rates", sweep, {text, {"steps", "steps each", "1500"}}},
       {"overfit",
        "train on a short text for long",
        overfit,
        {text, {"steps", "steps", "4000"}, {"characters", "of the training text", "1500"}}}});
}
