// What each ingredient of a step is good for.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "lessons/13-training-loop/experiments.h"
#include "lessons/13-training-loop/lab.h"
#include "lessons/support/chart.h"
#include "lessons/support/table.h"

namespace tinygpt::lessons {
namespace {

struct Trial {
  std::string name;
  Recipe recipe;
};

std::vector<Trial> trials(int steps, float rate, std::uint64_t seed) {
  Recipe all;
  all.schedule = {rate, rate / 100, steps / 10, steps};
  all.seed = seed;
  std::vector<Trial> list = {{"all ingredients", all}};
  const auto without = [&](const char* name, auto&& change) {
    Recipe recipe = all;
    change(recipe);
    list.push_back({name, recipe});
  };
  without("another seed", [](Recipe& r) { r.seed += 1; });
  without("no warm-up", [](Recipe& r) { r.schedule.warmup = 0; });
  without("no cosine", [](Recipe& r) { r.schedule.min_lr = r.schedule.lr; });
  without("no clipping", [](Recipe& r) { r.max_norm = 0; });
  without("no decay", [](Recipe& r) { r.weight_decay = 0; });
  without("decay in grad", [](Recipe& r) { r.optimizer = Optimizer::adam_l2; });
  without("no correction", [](Recipe& r) { r.optimizer = Optimizer::no_correction; });
  const auto sgd = [](float of, float max_norm) {
    return [=](Recipe& r) {
      r.optimizer = Optimizer::sgd;
      r.schedule.lr = of, r.schedule.min_lr = of / 100;
      r.max_norm = max_norm;
      r.weight_decay = 0;
    };
  };
  without("SGD, rate 1", sgd(1, 1));
  without("SGD, rate 3", sgd(3, 1));
  without("and no clipping", sgd(3, 0));
  return list;
}

std::string number(double value, int digits) {
  return std::isfinite(value) ? fmt::format("{:.{}f}", value, digits) : "-";
}

}  // namespace

void ablate(const std::vector<Option>& options) {
  const Text text = load_text();
  fmt::print("{} characters to train on\n\n", text.train.size());
  const int steps = static_cast<int>(as_number(options, "steps"));
  const int every = std::max(steps / 10, 1);
  const auto list = trials(steps, static_cast<float>(as_number(options, "rate")),
                           static_cast<std::uint64_t>(as_number(options, "seed")));
  // The others would lie on the first curve, or leave the page.
  const std::vector<std::string> drawn = {"all ingredients", "no warm-up",    "no cosine",
                                          "no decay",        "decay in grad", "SGD, rate 1"};
  std::vector<Series> curves;
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> headings = {"left out"};
  for (std::size_t i = 0; i < list.size(); ++i) {
    Training training(text, list[i].recipe);
    Series curve{list[i].name, {}};
    double worst = 0;
    for (int step = 0; step < steps; ++step) {
      const ref::StepResult result = training.step();
      worst = std::max(worst, double{result.norm});
      if ((step + 1) % every == 0) {
        curve.points.emplace_back(step + 1, training.validation_loss());
      }
      show_progress(list[i].name, static_cast<std::int64_t>(i) * steps + step + 1,
                    static_cast<std::int64_t>(list.size()) * steps);
    }
    rows.push_back({list[i].name});
    for (const std::size_t at : {0, 1, 4, 9}) {
      rows.back().push_back(number(curve.points.at(at).second, 3));
      if (i == 0) headings.push_back(fmt::format("step {:.0f}", curve.points[at].first));
    }
    rows.back().push_back(number(worst, 1));
    if (std::find(drawn.begin(), drawn.end(), list[i].name) != drawn.end()) curves.push_back(curve);
  }
  headings.emplace_back("largest norm");
  print_table(headings, rows);
  fmt::print("validation loss, nats a character; the floor is {:.3f}\n", text.floor);
  write_line_chart("lessons-out/13-ablate.svg", "Validation loss, with one ingredient left out",
                   curves, {.x = "step", .y = "nats a character"});
}

}  // namespace tinygpt::lessons
