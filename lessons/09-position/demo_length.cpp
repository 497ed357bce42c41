// What four trained models do, within their training length and beyond.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "lessons/09-position/experiments.h"
#include "lessons/09-position/model.h"
#include "lessons/support/chart.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"

namespace tinygpt::lessons {
namespace {

// The text as numbers of its characters, which are counted in the order of their first appearance.
struct Characters {
  std::vector<int> train, validation;
  int V = 0;
  double floor = 0;
};

Characters load(const std::string& path) {
  std::string train, validation;
  Characters c;
  if (path.empty()) {
    const Stories stories = make_stories(1000);
    train = stories.train, validation = stories.validation, c.floor = stories.floor_nats_per_byte;
  } else {
    const std::string text = read_file(path);
    train = text.substr(0, text.size() * 9 / 10), validation = text.substr(train.size());
  }
  check(train.size() > 1000 && validation.size() > 2 * kLongest,
        "this text is too short: some thousand bytes are needed");
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
  c.validation.resize(std::min<std::size_t>(c.validation.size(), 300 * kLongest));
  return c;
}

SmallGpt trained(Positions kind, const Characters& text, int steps, bool wrongly = false) {
  SmallGpt model(kind, text.V, 1);
  if (wrongly) model.turn_gradient_wrongly();
  for (int step = 0; step < steps; ++step) {
    model.train_step(text.train, step, steps);
    show_progress(name_of(kind), step + 1, steps);
  }
  return model;
}

double mean_of(const std::vector<double>& values, int from, int to) {
  return std::accumulate(values.begin() + from, values.begin() + to, 0.0) / (to - from);
}

}  // namespace

void check_model(const std::vector<Option>&) {
  std::vector<int> text;
  for (int i = 0; i < 40; ++i) text.push_back(i * i % 7);
  for (const Positions kind : kKinds) {
    fmt::print("{:>12}: largest relative error of its gradient {:.1e}\n", name_of(kind),
               SmallGpt(kind, 7, 3).gradient_error(text));
  }
}

void length(const std::vector<Option>& options) {
  const Characters text = load(as_text(options, "text"));
  const int steps = static_cast<int>(as_number(options, "steps"));
  fmt::print(
      "four models of two blocks, trained on texts of {} characters, {} steps of {} texts\n\n"
      "mean loss           texts of 128 characters, at places          texts of 64\n"
      "                  0-31     32-63     64-95    96-127      at 0-63   at 64-127\n",
      kTrained, steps, kBatch);
  std::vector<Series> lines;
  for (const Positions kind : kKinds) {
    SmallGpt model = trained(kind, text, steps);
    const std::vector<double> loss = model.loss_by_place(text.validation, kLongest);
    fmt::print("{:>12}", name_of(kind));
    for (int from = 0; from < kLongest; from += 32) {
      fmt::print("{:>10.3f}", mean_of(loss, from, from + 32));
    }
    for (const int start : {0, kTrained}) {
      fmt::print("{:>{}.3f}",
                 mean_of(model.loss_by_place(text.validation, kTrained, start), 0, kTrained),
                 start == 0 ? 13 : 12);
    }
    fmt::print("\n");
    Series line{name_of(kind), {}};
    for (int from = 0; from < kLongest; from += 4) {
      line.points.emplace_back(from + 1.5, mean_of(loss, from, from + 4));
    }
    lines.push_back(line);
  }
  if (as_number(options, "numbers") != 0) {
    for (const Series& line : lines) {
      fmt::print("\n{}:", line.label);
      for (const auto& point : line.points) fmt::print(" {:.3f}", point.second);
    }
    fmt::print("\n");
  }
  fmt::print("\n");
  const Axes axes{.x = "place in the text; trained on 0 to 63", .y = "nats per character"};
  print_lines(lines, axes);
  write_line_chart("lessons-out/09-length.svg", "Loss by place, up to twice the training length",
                   lines, axes);
}

void wrong(const std::vector<Option>& options) {
  const Characters text = load(as_text(options, "text"));
  const int steps = static_cast<int>(as_number(options, "steps"));
  for (const bool wrongly : {false, true}) {
    SmallGpt model = trained(Positions::rotary, text, steps, wrongly);
    const std::vector<double> loss = model.loss_by_place(text.validation, kTrained);
    fmt::print("rotary, gradient turned {}: {:.3f} nats per character after {} steps\n",
               wrongly ? "as x was" : "back    ", mean_of(loss, 0, kTrained), steps);
  }
}

void vectors(const std::vector<Option>& options) {
  const Characters text = load(as_text(options, "text"));
  const SmallGpt model =
      trained(Positions::learned, text, static_cast<int>(as_number(options, "steps")));
  const std::span<const float> places = model.places();
  const auto alike = [&](int s, int t) {
    const auto a = places.subspan(static_cast<std::size_t>(s) * kWidth, kWidth);
    const auto b = places.subspan(static_cast<std::size_t>(t) * kWidth, kWidth);
    const auto dot = [](auto u, auto v) {
      return std::inner_product(u.begin(), u.end(), v.begin(), 0.0);
    };
    return dot(a, b) / std::sqrt(dot(a, a) * dot(b, b));
  };
  fmt::print("mean cosine of the vectors of two places\n{:>10}{:>22}{:>22}\n", "distance",
             "both trained", "both beyond");
  for (const int d : {0, 1, 2, 4, 8, 16, 32}) {
    double in = 0, beyond = 0;
    for (int t = 0; t + d < kTrained; ++t) {
      in += alike(t, t + d), beyond += alike(kTrained + t, kTrained + t + d);
    }
    fmt::print("{:>10}{:>22.3f}{:>22.3f}\n", d, in / (kTrained - d), beyond / (kTrained - d));
  }
  std::vector<std::string> names;
  std::vector<double> grid;
  for (int s = 0; s < kLongest; s += 4) {
    names.push_back(std::to_string(s));
    for (int t = 0; t < kLongest; t += 4) grid.push_back(alike(s, t));
    if (as_number(options, "numbers") == 0) continue;
    for (std::size_t i = grid.size() - kLongest / 4; i < grid.size(); ++i) {
      fmt::print("{:.2f}{}", grid[i], i + 1 < grid.size() ? " " : "\n");
    }
  }
  write_heat_map("lessons-out/09-vectors.svg", "How alike learned vectors are: cosine", names,
                 names, grid);
}

}  // namespace tinygpt::lessons
