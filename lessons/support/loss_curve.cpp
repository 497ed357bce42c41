#include "lessons/support/loss_curve.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>

#include "lessons/support/chart.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"

namespace tinygpt::lessons {
namespace {

using nlohmann::json;
using Points = std::vector<std::pair<double, double>>;

// The number of that name, or NaN.
double number_of(const json& line, const char* name) {
  const auto found = line.find(name);
  return found != line.end() && found->is_number() ? found->get<double>() : std::nan("");
}

// Adds a loss after a step. What was there about this step or later ones was taken back.
void add(Points& points, double step, double loss) {
  if (!std::isfinite(loss)) return;
  while (!points.empty() && points.back().first >= step) points.pop_back();
  points.emplace_back(step, loss);
}

// Means of neighbours, so that no more than `most` are left.
Points thinned(const Points& points, int most) {
  const std::size_t each =
      (points.size() + static_cast<std::size_t>(most) - 1) / static_cast<std::size_t>(most);
  Points out;
  for (std::size_t i = 0; i < points.size(); i += each) {
    const std::size_t end = std::min(i + each, points.size());
    double steps = 0, losses = 0;
    for (std::size_t k = i; k < end; ++k) steps += points[k].first, losses += points[k].second;
    const auto n = static_cast<double>(end - i);
    out.emplace_back(steps / n, losses / n);
  }
  return out;
}

}  // namespace

LossCurve read_loss_curve(const std::string& log) {
  check(std::filesystem::exists(log), [&] {
    return fmt::format("{}: there is no such log; tinygpt train writes one beside its model", log);
  });
  const std::string text = read_file(log);
  LossCurve curve;
  double floor_per_byte = 0;
  for (std::size_t at = 0, end; at < text.size(); at = end + 1) {
    end = std::min(text.find('\n', at), text.size());
    const auto line = json::parse(text.begin() + static_cast<std::ptrdiff_t>(at),
                                  text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    if (!line.is_object()) continue;  // cut off
    const double floor = number_of(line, "floor_nats_per_byte");
    if (floor > 0) floor_per_byte = floor;
    const double step = number_of(line, "step");
    if (!std::isfinite(step)) continue;
    add(curve.train, step, number_of(line, "loss"));
    while (!curve.validation.empty() && curve.validation.back().first >= step) {
      curve.validation.pop_back();
    }
    const double validation = number_of(line, "validation_loss");
    add(curve.validation, step, validation);
    const double per_byte = number_of(line, "validation_nats_per_byte");
    if (per_byte > 0) curve.floor = floor_per_byte * validation / per_byte;
  }
  check(!curve.train.empty(), [&] { return fmt::format("{}: no step is logged there yet", log); });
  return curve;
}

void write_loss_curve(const std::string& path, const std::string& title, const LossCurve& curve,
                      int points) {
  check(points > 0, "a loss curve needs points");
  std::vector<Series> series = {{"training", thinned(curve.train, points)}};
  if (!curve.validation.empty()) series.push_back({"validation", curve.validation});
  Axes axes{.x = "steps", .y = "nats per token", .log_y = true};
  if (curve.floor > 0) axes.reference = curve.floor, axes.reference_label = "floor";
  write_line_chart(path, title, series, axes);
}

}  // namespace tinygpt::lessons
