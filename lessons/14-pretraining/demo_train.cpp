// A training whose samples are pinned to its curve; and one that goes wrong on purpose.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <sstream>

#include "lessons/14-pretraining/lab.h"
#include "lessons/support/axis.h"
#include "lessons/support/chart.h"
#include "lessons/support/picture.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/model/folder.h"

namespace tinygpt::lessons {
namespace {

using Points = std::vector<std::pair<double, double>>;

struct Sample {
  int step;
  double loss;
  std::string text;
};

// The words that fit into so many columns, line feeds as spaces.
std::string beginning(const std::string& text, std::size_t columns) {
  std::string line;
  for (const char c : text) line += c == '\n' ? ' ' : c;
  if (line.size() <= columns) return line;
  const std::size_t space = line.rfind(' ', columns - 4);
  return line.substr(0, space == std::string::npos ? columns - 4 : space) + " ...";
}

// The same on up to `most` lines, each with two spaces in front.
std::string lines_of(const std::string& text, std::size_t columns, int most) {
  std::istringstream words(text);
  std::string out, line, word;
  while (words >> word) {
    if (!line.empty() && line.size() + word.size() + 3 > columns) {
      out += fmt::format("  {}\n", line);
      line.clear();
      if (--most == 0) return out;
    }
    line += line.empty() ? word : fmt::format(" {}", word);
  }
  return line.empty() ? out : out + fmt::format("  {}\n", line);
}

// The curve, with a number at each step that has a sample, and the samples underneath.
void draw(const std::string& path, const std::string& title, const Points& curve,
          const std::vector<Sample>& samples, double floor) {
  constexpr double kWidth = 700, kLeft = 56, kRight = 600, kTop = 56, kBottom = 280;
  const double height = kBottom + 62 + 22 * static_cast<double>(samples.size());
  std::vector<double> xs, ys = {floor, 0};
  for (const auto& [step, loss] : curve) xs.push_back(step), ys.push_back(loss);
  const Scale x = scale_around(xs, true, false, 0.02, kLeft, kRight);
  const Scale y = scale_around(ys, false, true, 0.05, kBottom, kTop);
  Picture p(kWidth, height, title);
  p.text(12, 22, title, Anchor::start, "ink", true);
  p.text(12, 42, "validation loss, nats per token", Anchor::start, "dim");
  for (const double tick : ticks_of(y)) {
    p.line(kLeft, y(tick), kRight, y(tick), "line", 0.25);
    p.text(kLeft - 8, y(tick) + 4, tick_label(tick), Anchor::end, "dim");
  }
  if (floor > 0) {
    p.line(kLeft, y(floor), kRight, y(floor), "line", 1, true);
    p.text(kRight + 8, y(floor) + 4, "floor", Anchor::start, "dim");
  }
  std::string line;
  for (const auto& [step, loss] : curve) line += fmt::format("{:.1f},{:.1f} ", x(step), y(loss));
  p.polyline(line, "s0");
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const Sample& s = samples[i];
    const std::string number = fmt::format("{}", i + 1);
    p.circle(x(s.step), y(s.loss), 4.5, "s1");
    p.text(x(s.step) + 6, y(s.loss) - 8, number, Anchor::start, "s1", true);
    p.line(x(s.step), kBottom, x(s.step), kBottom + 4);
    p.text(x(s.step), kBottom + 20, fmt::format("{}", s.step), Anchor::middle, "dim");
    const double row = kBottom + 66 + 22 * static_cast<double>(i);
    p.text(12, row, number, Anchor::start, "s1", true);
    p.text(30, row, beginning(s.text, 86));
  }
  p.line(kLeft, kBottom, kRight, kBottom);
  p.text(kRight + 24, kBottom + 20, "steps", Anchor::start, "dim");
  p.save(path);
}

// 1, 3, 10, 30, ...
bool is_round(int step) {
  while (step >= 10 && step % 10 == 0) step /= 10;
  return step == 1 || step == 3;
}

Plan plan_of(int steps) { return {.width = 96, .steps = steps, .lr = 5e-3f}; }

constexpr int kSteps = 3000;

}  // namespace

void train_and_sample(const std::vector<Option>& options) {
  const Corpus corpus = corpus_of(options, kStories);
  const int steps = static_cast<int>(as_number(options, "steps"));
  const SamplingSettings sampling{.temperature = 0.8f};
  const Plan plan = plan_of(steps);
  fmt::print(
      "{}: {} tokens to train on, {} to validate; a model of {} parameters\n\n", corpus.name,
      short_count(static_cast<double>(corpus.train->size())),
      short_count(static_cast<double>(corpus.validation->size())),
      short_count(static_cast<double>(parameter_ledger(small_config(corpus, plan.width)).total)));
  Points curve;
  std::vector<Sample> samples;
  const auto sampled = [&](int step) {
    return (step >= 10 && is_round(step) && 2 * step < steps) || step == steps;
  };
  const auto wanted = [&](int step) {
    // Ten points to a factor of ten are enough for a curve.
    const double tenths = 10 * std::log10(std::max(step, 1));
    return step >= 10 &&
           (sampled(step) || std::floor(tenths) > std::floor(10 * std::log10(step - 1)));
  };
  Gpt<float> model =
      train(corpus, plan, "training",
            {wanted, [&](const Visit& v) {
               const double loss =
                   loss_on(*v.trainer, *corpus.validation, v.step == steps ? 1'000'000 : 8000);
               curve.emplace_back(v.step, loss);
               if (!sampled(v.step)) return true;
               samples.push_back({v.step, loss, write_text(*v.model, corpus, sampling, 7, kTime)});
               fmt::print("step {}, validation loss {:.3f}:\n{}\n", v.step, loss,
                          lines_of(samples.back().text, 96, v.step == steps ? 9 : 2));
               std::fflush(stdout);
               return true;
             }});
  if (corpus.floor > 0) {
    fmt::print("floor {:.3f}\n", corpus.floor);
    save_model(model, kModelFolder);
    fmt::print("the model is in {}\n", kModelFolder);
  }
  draw("lessons-out/14-samples.svg", "What it writes on the way down", curve, samples,
       corpus.floor);
}

Gpt<float> trained_model(const Corpus& corpus) {
  const GptConfig config = small_config(corpus, plan_of(kSteps).width);
  Gpt<float> model = make_gpt(config, cpu::ops(), host_memory(), Purpose::inference, 1, kTime);
  if (!std::filesystem::exists(std::filesystem::path(kModelFolder) / "model.safetensors")) {
    say_on_terminal(
        fmt::format("no model in {} yet: training one, as `lesson-14 train` does\n", kModelFolder));
    save_model(train(corpus, plan_of(kSteps), "training"), kModelFolder);
  }
  load_parameters(model, kModelFolder);
  return model;
}

namespace {

struct Course {
  std::string name;
  Points train, validation;
  std::pair<double, double> best() const {
    return *std::ranges::min_element(validation, {}, &std::pair<double, double>::second);
  }
};

Course run_course(const std::string& name, const Corpus& corpus, const Plan& plan, int every) {
  const std::string key = fmt::format(
      "overfit on {} stories, width {}, {} steps, rate {:g}, dropout {:g}, looked at every {}",
      corpus.documents.size(), plan.width, plan.steps, plan.lr, plan.dropout, every);
  const Numbers numbers = remembered(key, [&] {
    Numbers all;
    const auto wanted = [&](int step) { return step > 0 && step % every == 0; };
    train(corpus, plan, name, {wanted, [&](const Visit& v) {
                                 all.push_back(v.step);
                                 all.push_back(loss_on(*v.trainer, *corpus.train, 8000));
                                 all.push_back(loss_on(*v.trainer, *corpus.validation, 8000));
                                 return true;
                               }});
    return all;
  });
  Course course{name, {}, {}};
  for (std::size_t i = 0; i + 2 < numbers.size(); i += 3) {
    course.train.emplace_back(numbers[i], numbers[i + 1]);
    course.validation.emplace_back(numbers[i], numbers[i + 2]);
  }
  return course;
}

}  // namespace

void overfit(const std::vector<Option>& options) {
  forget_if_asked(options);
  const int stories = static_cast<int>(as_number(options, "stories"));
  const int steps = static_cast<int>(as_number(options, "steps"));
  const Corpus tiny = tinytales_corpus(stories), more = tinytales_corpus(20 * stories);
  const Plan plan{.width = 64, .steps = steps, .lr = 4e-3f};
  Plan with_dropout = plan;
  with_dropout.dropout = 0.2f;
  const int every = std::max(steps / 25, 1);
  fmt::print("{} stories, read again and again; floor {:.3f} nats per token\n\n", stories,
             tiny.floor);
  fmt::print("{:<28}{:>14}{:>14}{:>12}{:>10}\n", "", "train, end", "validation", "best", "at step");
  std::vector<Course> courses;
  const auto show = [&](Course course) {
    const auto [at, best] = course.best();
    fmt::print("{:<28}{:>14.3f}{:>14.3f}{:>12.3f}{:>10.0f}\n", course.name,
               course.train.back().second, course.validation.back().second, best, at);
    std::fflush(stdout);
    courses.push_back(std::move(course));
  };
  show(run_course(fmt::format("{} stories", stories), tiny, plan, every));
  show(run_course("the same with dropout 0.2", tiny, with_dropout, every));
  show(run_course(fmt::format("{} stories", 20 * stories), more, plan, every));
  const std::vector<Series> lines = {{"training", courses[0].train},
                                     {courses[0].name, courses[0].validation},
                                     {"with dropout", courses[1].validation},
                                     {courses[2].name, courses[2].validation}};
  fmt::print("\n");
  write_line_chart(
      "lessons-out/14-overfit.svg", "Learning by heart: training loss, and validation losses",
      lines,
      {.x = "steps", .y = "nats per token", .reference = tiny.floor, .reference_label = "floor"});
}

}  // namespace tinygpt::lessons
