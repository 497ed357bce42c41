// Loss against the size of the model, and against how much it reads.
#include <fmt/format.h>

#include <cmath>
#include <cstdint>

#include "lessons/14-pretraining/lab.h"
#include "lessons/support/axis.h"
#include "lessons/support/chart.h"
#include "lessons/support/picture.h"
#include "lessons/support/power_law.h"

namespace tinygpt::lessons {
namespace {

// One training, and what it comes to on all of the validation text.
double final_loss(const Corpus& corpus, const Plan& plan, const std::string& what) {
  const std::string name =
      fmt::format("{} stories, width {}, batch {}, {} steps, rate {:g}, seed {}",
                  corpus.documents.size(), plan.width, plan.batch, plan.steps, plan.lr, plan.seed);
  return remembered(name, [&]() -> Numbers {
    double loss = 0;
    const auto last = [&](int step) { return step == plan.steps; };
    train(corpus, plan, what, {last, [&](const Visit& v) {
                                 loss = loss_on(*v.trainer, *corpus.validation, 1'000'000);
                                 return true;
                               }});
    return {loss};
  })[0];
}

using Points = std::vector<std::pair<double, double>>;

// The loss above the floor in logarithmic axes, where a power law that ends there is a straight
// line; and the fit, which bends where it ends above.
void draw(const std::string& path, const std::string& title, const std::string& x_title,
          const Points& points, const PowerLaw& law, double floor) {
  constexpr double kLeft = 76, kRight = 520, kTop = 60, kBottom = 330;
  std::vector<double> xs, ys;
  for (const auto& [x, y] : points) xs.push_back(x), ys.push_back(y - floor);
  if (law.floor > floor) ys.push_back(law.floor - floor);
  const Scale x = scale_around(xs, true, false, 0.06, kLeft, kRight);
  const Scale y = scale_around(ys, true, false, 0.12, kBottom, kTop);
  Picture p(680, 400, title);
  p.text(12, 22, title, Anchor::start, "ink", true);
  p.text(12, 44, "nats per token above the floor", Anchor::start, "dim");
  for (const double tick : ticks_of(y)) {
    p.line(kLeft, y(tick), kRight, y(tick), "line", 0.25);
    p.text(kLeft - 8, y(tick) + 4, tick_label(tick), Anchor::end, "dim");
  }
  for (const auto& [size, loss] : points) {
    p.line(x(size), kBottom, x(size), kBottom + 4);
    p.text(x(size), kBottom + 20, short_count(size), Anchor::middle, "dim");
    p.circle(x(size), y(loss - floor), 4.5, "s0");
  }
  p.line(kLeft, kBottom, kRight, kBottom);
  p.text((kLeft + kRight) / 2, kBottom + 46, x_title, Anchor::middle);
  const double from = points.front().first, to = points.back().first;
  std::string curve;
  for (int i = 0; i <= 60; ++i) {
    const double size = from * std::pow(to / from, i / 60.0);
    curve += fmt::format("{:.1f},{:.1f} ", x(size), y(law(size) - floor));
  }
  p.polyline(curve, "s1");
  const double end = y(law(to) - floor);
  p.text(kRight + 10, end - 22, "the fit:", Anchor::start, "s1", true);
  p.text(kRight + 10, end - 4, fmt::format("exponent {:.2f}", law.exponent), Anchor::start, "s1",
         true);
  if (law.floor > floor) {
    p.line(kLeft, y(law.floor - floor), kRight, y(law.floor - floor), "line", 1, true);
    p.text(kRight + 10, y(law.floor - floor) + 16, fmt::format("ends at {:.3f}", law.floor),
           Anchor::start, "dim");
  }
  p.save(path);
}

void print_fits(const Points& points, double floor, char letter) {
  const PowerLaw law = fit_power_law(points, floor);
  const PowerLaw above = fit_power_law_above(points, floor);
  const auto show = [&](const char* what, const PowerLaw& fit) {
    fmt::print("{:<22}L = {:.3f} + {:.2g} {}^-{:.2f}   off by {:.0f}% in the mean\n", what,
               fit.floor, fit.scale, letter, fit.exponent, 100 * fit.error);
  };
  fmt::print("\n");
  show("fit of all three", law);
  show("fit from the floor up", above);
}

}  // namespace

void sweep_parameters(const std::vector<Option>& options) {
  forget_if_asked(options);
  const Corpus corpus = tinytales_corpus(kStories);
  const int steps = static_cast<int>(as_number(options, "steps"));
  Points points;
  fmt::print("five models, each reads {} tokens; floor {:.4f} nats per token\n\n",
             short_count(4.0 * kTime * steps), corpus.floor);
  fmt::print("{:>8}{:>14}{:>10}{:>12}\n", "width", "parameters", "loss", "above");
  for (const int width : {16, 24, 40, 64, 96}) {
    const Plan plan{.width = width, .steps = steps, .lr = width < 64 ? 8e-3f : 5e-3f};
    const auto parameters =
        static_cast<double>(parameter_ledger(small_config(corpus, width)).total);
    const double loss = final_loss(corpus, plan, fmt::format("width {}", width));
    points.emplace_back(parameters, loss);
    fmt::print("{:>8}{:>14}{:>10.4f}{:>12.4f}\n", width, short_count(parameters), loss,
               loss - corpus.floor);
    std::fflush(stdout);
  }
  print_fits(points, corpus.floor, 'N');
  draw("lessons-out/14-parameters.svg", "Loss against the number of parameters", "parameters",
       points, fit_power_law(points, corpus.floor), corpus.floor);
}

void sweep_tokens(const std::vector<Option>& options) {
  forget_if_asked(options);
  const Corpus corpus = tinytales_corpus(kStories);
  const int most = static_cast<int>(as_number(options, "steps"));
  const int width = static_cast<int>(as_number(options, "width"));
  Points points;
  fmt::print("one model of {} parameters, five trainings; floor {:.4f} nats per token\n\n",
             short_count(static_cast<double>(parameter_ledger(small_config(corpus, width)).total)),
             corpus.floor);
  fmt::print("{:>8}{:>14}{:>10}{:>12}\n", "steps", "tokens", "loss", "above");
  for (int steps = most / 16; steps <= most; steps *= 2) {
    const Plan plan{.width = width, .steps = steps, .lr = 5e-3f};
    const double tokens = 1.0 * plan.batch * kTime * steps;
    const double loss = final_loss(corpus, plan, fmt::format("{} steps", steps));
    points.emplace_back(tokens, loss);
    fmt::print("{:>8}{:>14}{:>10.4f}{:>12.4f}\n", steps, short_count(tokens), loss,
               loss - corpus.floor);
    std::fflush(stdout);
  }
  print_fits(points, corpus.floor, 'D');
  draw("lessons-out/14-tokens.svg", "Loss against the number of tokens read", "tokens", points,
       fit_power_law(points, corpus.floor), corpus.floor);
}

}  // namespace tinygpt::lessons
