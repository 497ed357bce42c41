// tinygpt plot RUN...: the curves of trainings as a picture, SVG or PNG.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "tinygpt/chart/chart.h"
#include "tinygpt/cli/commands.h"
#include "tinygpt/core/error.h"
#include "tinygpt/train/loss_curve.h"

namespace tinygpt::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::vector<std::string> runs;  // models' folders, or logs
  std::string out = "plot.svg";
  std::string y = "loss", x = "steps", unit = "auto";
  std::string title;
  int points = 150;
};

struct Run {
  std::string name;
  LossCurve curve;
};

constexpr std::size_t kMostRuns = 8;  // as many as there are colours

// A folder stands for the log in it, and gives the run its name.
Run read_run(const std::string& given) {
  const fs::path path = fs::path(given).lexically_normal();
  const bool is_folder = fs::is_directory(path);
  const fs::path log = is_folder ? path / "log.jsonl" : path;
  const fs::path folder = is_folder ? path : path.parent_path();
  std::string name = (folder.has_filename() ? folder : folder.parent_path()).filename().string();
  if (!is_folder && path.filename() != "log.jsonl") name = path.stem().string();
  return {name.empty() || name == "." ? given : name, read_loss_curve(log.string())};
}

std::vector<Run> read_runs(const Arguments& a) {
  check(a.runs.size() <= kMostRuns, [&] {
    return fmt::format("{} runs: at most {} can be told apart by their colours", a.runs.size(),
                       kMostRuns);
  });
  std::vector<Run> runs;
  for (const std::string& given : a.runs) runs.push_back(read_run(given));
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const auto same = std::ranges::count(runs, runs[i].name, &Run::name);
    if (same > 1) runs[i].name = a.runs[i];  // the path tells them apart
  }
  return runs;
}

// Losses of runs with different tokenizers can be compared per byte alone.
bool per_byte(const Arguments& a, const std::vector<Run>& runs) {
  const auto unknown =
      std::ranges::find_if(runs, [](const Run& r) { return r.curve.bytes_per_token == 0; });
  const bool known = unknown == runs.end();
  check(a.unit != "byte" || known, [&] {
    return fmt::format(
        "--unit byte: the log of {} has no validation, which would say how many "
        "bytes a token has",
        unknown->name);
  });
  return a.unit == "byte" || (a.unit == "auto" && runs.size() > 1 && known);
}

// Steps become seconds of training; what stands between two logged steps is left out.
CurvePoints over_time(const CurvePoints& points, const LossCurve& curve) {
  CurvePoints out;
  for (const auto& [step, value] : points) {
    const auto at =
        std::ranges::lower_bound(curve.seconds, step, {}, &std::pair<double, double>::first);
    if (at != curve.seconds.end()) out.emplace_back(at->second, value);
  }
  return out;
}

// A curve as it is drawn: on the chosen axis, and divided by the bytes of a token.
CurvePoints drawn(const Arguments& a, const Run& run, const CurvePoints& points, double divisor,
                  int most) {
  CurvePoints out = a.x == "time" ? over_time(points, run.curve) : points;
  for (auto& point : out) point.second /= divisor;
  return most > 0 ? thinned(out, most) : out;
}

// Of one run both losses; of several the validation losses, with the training losses faint behind.
std::vector<chart::Series> loss_series(const Arguments& a, const std::vector<Run>& runs,
                                       bool bytes) {
  std::vector<chart::Series> front, behind;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const LossCurve& c = runs[i].curve;
    const double divisor = bytes ? c.bytes_per_token : 1;
    const auto train = drawn(a, runs[i], c.train, divisor, a.points);
    const auto validation = drawn(a, runs[i], c.validation, divisor, 0);
    if (runs.size() == 1) {
      front.push_back({"training", train});
      if (!validation.empty()) front.push_back({"validation", validation});
      continue;
    }
    const bool has_curve = validation.size() > 1;
    front.push_back({runs[i].name, has_curve ? validation : train, static_cast<int>(i)});
    if (has_curve) behind.push_back({"", train, static_cast<int>(i), true});
  }
  behind.insert(behind.end(), front.begin(), front.end());
  return behind;
}

std::vector<chart::Series> other_series(const Arguments& a, const std::vector<Run>& runs) {
  std::vector<chart::Series> all;
  for (const Run& run : runs) {
    const CurvePoints& points = a.y == "lr" ? run.curve.lr : run.curve.grad_norm;
    check(!points.empty(), [&] { return fmt::format("{}: its log has no {}", run.name, a.y); });
    all.push_back({run.name, drawn(a, run, points, 1, a.points)});
  }
  return all;
}

// One line for all runs; none where their floors differ.
void add_floor(chart::Axes& axes, const std::vector<Run>& runs, bool bytes) {
  double floor = 0;
  for (const Run& run : runs) {
    const LossCurve& c = run.curve;
    const double own = bytes && c.bytes_per_token > 0 ? c.floor / c.bytes_per_token : c.floor;
    if (own > 0 && floor > 0 && std::abs(own / floor - 1) > 1e-3) {
      fmt::print("the runs have different floors: none is drawn\n");
      return;
    }
    floor = std::max(floor, own);
  }
  if (floor > 0) axes.reference = floor, axes.reference_label = "floor";
}

void check_out(const Arguments& a) {
  const fs::path kind = fs::path(a.out).extension();
  check(kind == ".svg" || kind == ".png",
        [&] { return fmt::format("--out {}: a picture's name ends in .svg or in .png", a.out); });
  check(a.points >= 2 && a.points <= 100'000, "--points: must be between 2 and 100,000");
}

void run(const Arguments& a) {
  check_out(a);
  const std::vector<Run> runs = read_runs(a);
  chart::Axes axes{.x = a.x == "time" ? "seconds of training" : "steps", .y = ""};
  std::vector<chart::Series> series;
  std::string title = a.title;
  if (a.y == "loss") {
    const bool bytes = per_byte(a, runs);
    axes.y = bytes ? "loss, nats per byte" : "loss, nats per token";
    axes.log_y = true;
    series = loss_series(a, runs, bytes);
    add_floor(axes, runs, bytes);
    if (title.empty()) title = runs.size() == 1 ? "Loss of " + runs[0].name : "Validation losses";
  } else {
    axes.y = a.y == "lr" ? "learning rate" : "gradient's norm before clipping";
    series = other_series(a, runs);
    if (title.empty()) title = a.y == "lr" ? "Learning rate" : "Gradient's norm";
  }
  chart::write_line_chart(a.out, title, series, axes);
}

}  // namespace

void add_plot_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("plot", "Draw the curves of trainings as SVG or PNG");
  const auto a = std::make_shared<Arguments>();
  command->add_option("runs", a->runs, "Models' folders with a log.jsonl, or such logs")
      ->required();
  command->add_option("--out", a->out, "The picture: .svg, or .png, which needs rsvg-convert")
      ->capture_default_str();
  command->add_option("--y", a->y, "loss, lr or grad_norm")
      ->check(CLI::IsMember({"loss", "lr", "grad_norm"}))
      ->capture_default_str();
  command->add_option("--x", a->x, "steps or time")
      ->check(CLI::IsMember({"steps", "time"}))
      ->capture_default_str();
  command
      ->add_option("--unit", a->unit,
                   "Losses per token or per byte (auto: per byte where runs are compared)")
      ->check(CLI::IsMember({"auto", "token", "byte"}))
      ->capture_default_str();
  command->add_option("--title", a->title, "Above the picture");
  command->add_option("--points", a->points, "Training losses are means of so many stretches")
      ->capture_default_str();
  command->callback([a] { run(*a); });
}

}  // namespace tinygpt::cli
