// Stopping and going on; many small batches for a large one; the first steps of a training.
#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "lessons/13-training-loop/experiments.h"
#include "lessons/13-training-loop/lab.h"
#include "lessons/support/chart.h"
#include "lessons/support/table.h"

namespace tinygpt::lessons {
namespace {

double length(const std::vector<float>& x) {
  double sum = 0;
  for (const float value : x) sum += double{value} * value;
  return std::sqrt(sum);
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += std::pow(double{a[i]} - b[i], 2);
  return std::sqrt(sum);
}

// Values that are not the same to the bit.
std::size_t different(const std::vector<float>& a, const std::vector<float>& b) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < a.size(); ++i) count += std::memcmp(&a[i], &b[i], sizeof(float)) != 0;
  return count;
}

void print_sizes(const Training::State& state) {
  const auto row = [](const char* what, std::size_t bytes) {
    return std::vector<std::string>{what, fmt::format("{}", bytes)};
  };
  const std::size_t floats = state.params.size() * sizeof(float);
  print_table({"a checkpoint's part", "bytes"},
              {row("the parameters", floats), row("first moment, m", floats),
               row("second moment, v", floats), row("random state", sizeof(state.random)),
               row("number of steps", sizeof(state.steps))});
}

}  // namespace

void resume(const std::vector<Option>& options) {
  const Text text = load_text();
  const int half = static_cast<int>(as_number(options, "steps"));
  Recipe recipe;
  recipe.schedule.steps = 2 * half;
  Training straight(text, recipe);
  for (int i = 0; i < half; ++i) straight.step();
  const char* path = "lessons-out/13-checkpoint.bin";
  write_state(path, straight.state());
  const std::size_t n = straight.weights().size();
  std::vector<double> losses;
  for (int i = 0; i < half; ++i) losses.push_back(straight.step().loss);
  print_sizes(straight.state());
  fmt::print("\n{} steps in one go, against {}, stop, load, and {} more\n\n", 2 * half, half, half);

  const std::vector<float> wanted = straight.weights();
  std::vector<std::vector<std::string>> rows;
  const auto go_on = [&](const char* what, auto&& forget) {
    Training::State state = read_state(path, n);
    forget(state);
    Training training(text, recipe);
    training.set_state(state);
    double early = 0;
    for (int i = 0; i < half; ++i) {
      const double loss = training.step().loss;
      if (i < 10) early += (loss - losses[static_cast<std::size_t>(i)]) / 10;
    }
    const std::vector<float> got = training.weights();
    rows.push_back({what, fmt::format("{}", different(got, wanted)),
                    fmt::format("{:.4f}", distance(got, wanted) / length(wanted)),
                    fmt::format("{:+.4f}", early),
                    fmt::format("{:.4f}", training.validation_loss())});
  };
  go_on("everything", [](Training::State&) {});
  go_on("all but the moments", [](Training::State& s) {
    std::fill(s.m.begin(), s.m.end(), 0.0f);
    std::fill(s.v.begin(), s.v.end(), 0.0f);
  });
  go_on("all but the random state", [](Training::State& s) { s.random.counter = 0; });
  go_on("all but the step", [](Training::State& s) { s.steps = 0; });
  go_on("the parameters alone", [](Training::State& s) {
    std::fill(s.m.begin(), s.m.end(), 0.0f);
    std::fill(s.v.begin(), s.v.end(), 0.0f);
    s.random.counter = 0, s.steps = 0;
  });
  print_table({"what came back", "values that differ", "distance", "next 10 steps", "at the end"},
              rows);
  fmt::print(
      "of {} values; distance of the weights, by their length; training loss of the next 10 "
      "steps,\n"
      "more than in one go; validation loss at the end, in one go {:.4f}\n",
      n, straight.validation_loss());
}

void accumulate(const std::vector<Option>&) {
  struct Way {
    int passes, batch;
    bool summed = false;
  };
  const Text text = load_text();
  std::vector<std::vector<std::string>> rows;
  std::vector<float> whole;
  for (const Way& way : std::vector<Way>{{1, 16}, {2, 8}, {4, 4}, {16, 1}, {4, 4, true}}) {
    Recipe recipe;
    recipe.passes = way.passes, recipe.batch = way.batch;
    Training training(text, recipe);
    const ref::StepResult result =
        way.summed ? training.step([&](int, float) { return training.pass(1.0f); })
                   : training.step();
    // After one step m is a tenth of the clipped gradient.
    const std::vector<float> m = training.state().m;
    if (whole.empty()) whole = m;
    const double apart = distance(m, whole) / length(whole);
    rows.push_back({fmt::format("{} x {}{}", way.passes, way.batch, way.summed ? ", summed" : ""),
                    fmt::format("{:.4f}", result.loss), fmt::format("{:.4f}", result.norm),
                    apart < 1e-5 ? "below 1e-5" : fmt::format("{:.4f}", apart)});
  }
  print_table({"passes x windows", "loss", "norm", "gradient differs by"}, rows);
}

void warm_up(const std::vector<Option>& options) {
  const Text text = load_text();
  const int steps = static_cast<int>(as_number(options, "steps"));
  const auto rate = static_cast<float>(as_number(options, "rate"));
  std::vector<std::vector<std::string>> rows;
  std::vector<Series> curves;
  for (const int warmup : {0, steps / 4}) {
    Recipe recipe;
    recipe.schedule = {rate, rate, warmup, steps};
    Training training(text, recipe);
    Series curve{warmup == 0 ? "no warm-up" : fmt::format("{} steps of it", warmup), {}};
    std::size_t row = 0;
    for (int step = 1; step <= steps; ++step) {
      const std::vector<float> before = training.weights();
      const ref::StepResult result = training.step();
      curve.points.emplace_back(step, result.loss);
      if (step > 3 && step != 5 && step != 10 && step != 20 && step % 50 != 0) continue;
      const double share = distance(training.weights(), before) / length(before);
      if (warmup == 0) rows.push_back({fmt::format("{}", step)});
      rows.at(row).push_back(fmt::format("{:.3f}", result.loss));
      rows.at(row).push_back(fmt::format("{:.1f} %", 100 * share));
      ++row;
    }
    curves.push_back(curve);
  }
  fmt::print("learning rate {}; how far a step moves the weights, of their length\n\n", rate);
  print_table({"step", "loss", "moves", "with warm-up", "moves"}, rows);
  write_line_chart("lessons-out/13-warmup.svg", "Training loss of the first steps", curves,
                   {.x = "step", .y = "nats a character"});
}

}  // namespace tinygpt::lessons
