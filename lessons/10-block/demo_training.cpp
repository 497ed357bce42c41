#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "lessons/10-block/tower.h"
#include "lessons/10-block/training.h"
#include "lessons/support/chart.h"
#include "lessons/support/table.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"

namespace tinygpt::lessons {

namespace {

// The text as numbers of its characters, which are counted in the order of their first appearance.
struct Characters {
  std::vector<int> train, validation;
  int V = 0;
};

Characters load(const std::vector<Option>& options) {
  const std::string path = as_text(options, "text");
  std::string train, validation;
  if (path.empty()) {
    const Stories stories = make_stories(1000);
    train = stories.train, validation = stories.validation;
  } else {
    const std::string text = read_file(path);
    train = text.substr(0, text.size() * 9 / 10), validation = text.substr(train.size());
  }
  check(train.size() > 100 && validation.size() > 100,
        "this text is too short: some thousand bytes are needed");
  Characters c;
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
  return c;
}

// What a model loses on the validation text that knows how often each character occurs, and no
// more.
double loss_of_frequencies(const Characters& text) {
  std::vector<double> count(static_cast<std::size_t>(text.V), 1.0);
  double total = text.V, sum = 0;
  for (const int token : text.train) count[static_cast<std::size_t>(token)] += 1, total += 1;
  for (const int token : text.validation) {
    sum -= std::log(count[static_cast<std::size_t>(token)] / total);
  }
  return sum / static_cast<double>(text.validation.size());
}

int whole(const std::vector<Option>& options, const std::string& name) {
  const double value = as_number(options, name);
  check(value >= 1 && value <= 1e6, [&] { return "--" + name + " must be from 1 to 1000000"; });
  return static_cast<int>(value);
}

// What all three experiments take.
struct Plan {
  Characters text;
  int layers, steps;
  float rate;
  std::uint64_t seed;
};

Plan plan_of(const std::vector<Option>& options) {
  return {load(options), whole(options, "layers"), whole(options, "steps"),
          static_cast<float>(as_number(options, "rate")),
          static_cast<std::uint64_t>(as_number(options, "seed"))};
}

void print_norms(const std::vector<Series>& series, int layers) {
  std::vector<std::string> headings = {"in front of block"};
  for (const Series& s : series) headings.push_back(s.label);
  std::vector<std::vector<std::string>> rows;
  const int stride = std::max(layers / 4, 1);
  for (int l = 0; l <= layers; l += stride) {
    rows.push_back({l == layers ? std::to_string(l) + " (the end)" : std::to_string(l)});
    for (const Series& s : series) {
      rows.back().push_back(fmt::format("{:.1e}", s.points[static_cast<std::size_t>(l)].second));
    }
  }
  print_table(headings, rows);
}

}  // namespace

void depth(const std::vector<Option>& options) {
  const Plan plan = plan_of(options);
  const std::vector<Design> designs = {{"plain", false, Norm::none, plan.layers},
                                       {"norm only", false, Norm::before, plan.layers},
                                       {"residual only", true, Norm::none, plan.layers},
                                       {"pre-norm", true, Norm::before, plan.layers},
                                       {"post-norm", true, Norm::after, plan.layers}};
  std::vector<Series> first, later;
  std::vector<std::vector<std::string>> losses;
  for (std::size_t d = 0; d < designs.size(); ++d) {
    Tower tower(designs[d], plan.text.V, plan.seed);
    const auto measure = [&](std::vector<Series>& to) {
      to.push_back({designs[d].name, {}});
      for (const double norm : tower.gradient_norms(plan.text.train)) {
        to.back().points.emplace_back(to.back().points.size(), norm);
      }
      return fmt::format("{:.3f}", tower.loss(plan.text.validation));
    };
    const std::string before = measure(first);
    for (int step = 0; step < plan.steps; ++step) {
      tower.train_step(plan.text.train, plan.rate);
      show_progress(designs[d].name, step, plan.steps);
    }
    show_progress("", 1, 1);
    losses.push_back({designs[d].name, before, measure(later)});
  }
  fmt::print("norm of the loss's gradient by the stream, {} blocks, before training\n\n",
             plan.layers);
  print_norms(first, plan.layers);
  fmt::print("\nthe same after {} steps\n\n", plan.steps);
  print_norms(later, plan.layers);
  const std::string after = fmt::format("after {} steps", plan.steps);
  fmt::print("\nvalidation loss, nats per character; frequencies of characters alone: {:.3f}\n\n",
             loss_of_frequencies(plan.text));
  print_table({"", "before", after}, losses);
  const Axes axes{.x = "in front of block", .y = "gradient norm", .log_y = true};
  fmt::print("\nbefore training:\n");
  print_lines(first, axes);
  write_line_chart("lessons-out/10-depth.svg", "Gradient norm by depth, before training", first,
                   axes);
  write_line_chart("lessons-out/10-depth-later.svg", "Gradient norm by depth, " + after, later,
                   axes);
}

void orders(const std::vector<Option>& options) {
  const Plan plan = plan_of(options);
  const int warm = whole(options, "warm");
  std::vector<Series> all;
  for (const Norm norm : {Norm::before, Norm::after}) {
    for (const bool warm_up : {false, true}) {
      const std::string name =
          std::string(norm == Norm::before ? "pre" : "post") + (warm_up ? ", warm-up" : "-norm");
      Tower tower({name, true, norm, plan.layers}, plan.text.V, plan.seed);
      all.push_back({name, {}});
      for (int step = 0; step <= plan.steps; ++step) {
        if (step % std::max(plan.steps / 10, 1) == 0) {
          all.back().points.emplace_back(step, tower.loss(plan.text.validation));
        }
        const float part = static_cast<float>(step + 1) / static_cast<float>(warm);
        tower.train_step(plan.text.train, plan.rate * (warm_up ? std::min(part, 1.0f) : 1.0f));
        show_progress(name, step, plan.steps);
      }
    }
  }
  std::vector<std::string> headings = {"step"};
  for (const Series& s : all) headings.push_back(s.label);
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < all[0].points.size(); ++i) {
    rows.push_back({fmt::format("{:.0f}", all[0].points[i].first)});
    for (const Series& s : all) rows.back().push_back(fmt::format("{:.3f}", s.points[i].second));
  }
  fmt::print("validation loss of {} blocks; warm-up over {} steps\n\n", plan.layers, warm);
  print_table(headings, rows);
  const Axes axes{.x = "steps", .y = "nats per character"};
  write_line_chart("lessons-out/10-orders.svg", "Pre-norm and post-norm", all, axes);
}

void dropout(const std::vector<Option>& options) {
  Plan plan = plan_of(options);
  const auto size = static_cast<std::size_t>(whole(options, "characters"));
  plan.text.train.resize(std::min(size, plan.text.train.size()));
  check(plan.text.train.size() > 100, "--characters must be more than 100");
  std::vector<Series> all;
  std::vector<std::vector<std::string>> rows;
  for (const float p : {0.0f, 0.1f, 0.2f, 0.4f}) {
    Tower tower({"", true, Norm::before, plan.layers, p}, plan.text.V, plan.seed);
    all.push_back({fmt::format("p = {:g}", p), {}});
    double best = INFINITY;
    for (int step = 0; step <= plan.steps; ++step) {
      if (step % std::max(plan.steps / 16, 1) == 0) {
        all.back().points.emplace_back(step, tower.loss(plan.text.validation));
        best = std::min(best, all.back().points.back().second);
      }
      if (step < plan.steps) tower.train_step(plan.text.train, plan.rate);
      show_progress(all.back().label, step, plan.steps);
    }
    rows.push_back({fmt::format("{:g}", p), fmt::format("{:.3f}", tower.loss(plan.text.train)),
                    fmt::format("{:.3f}", all.back().points.back().second),
                    fmt::format("{:.3f}", best)});
  }
  fmt::print("{} characters to train on, {} steps; nats per character\n\n", plan.text.train.size(),
             plan.steps);
  print_table({"p", "training text", "validation", "its best"}, rows);
  write_line_chart("lessons-out/10-dropout.svg", "Validation loss with dropout", all,
                   {.x = "steps", .y = "nats per character"});
}

}  // namespace tinygpt::lessons
