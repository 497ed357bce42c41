#include "tinygpt/train/loss_curve.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>

#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"

namespace tinygpt {
namespace {

using nlohmann::json;

// The number of that name, or NaN.
double number_of(const json& line, const char* name) {
  const auto found = line.find(name);
  return found != line.end() && found->is_number() ? found->get<double>() : std::nan("");
}

// Adds a loss after a step. What was there about this step or later ones was taken back.
void add(CurvePoints& points, double step, double loss) {
  if (!std::isfinite(loss)) return;
  while (!points.empty() && points.back().first >= step) points.pop_back();
  points.emplace_back(step, loss);
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
    add(curve.lr, step, number_of(line, "lr"));
    add(curve.grad_norm, step, number_of(line, "grad_norm"));
    add(curve.seconds, step, number_of(line, "elapsed_s"));
    while (!curve.validation.empty() && curve.validation.back().first >= step) {
      curve.validation.pop_back();
    }
    const double validation = number_of(line, "validation_loss");
    add(curve.validation, step, validation);
    const double per_byte = number_of(line, "validation_nats_per_byte");
    if (!(per_byte > 0)) continue;
    curve.bytes_per_token = validation / per_byte;
    curve.floor = floor_per_byte * curve.bytes_per_token;
  }
  check(!curve.train.empty(), [&] { return fmt::format("{}: no step is logged there yet", log); });
  return curve;
}

CurvePoints thinned(const CurvePoints& points, int most) {
  check(most > 0, "a curve needs points");
  const std::size_t each =
      (points.size() + static_cast<std::size_t>(most) - 1) / static_cast<std::size_t>(most);
  CurvePoints out;
  for (std::size_t i = 0; i < points.size(); i += each) {
    const std::size_t end = std::min(i + each, points.size());
    double steps = 0, losses = 0;
    for (std::size_t k = i; k < end; ++k) steps += points[k].first, losses += points[k].second;
    const auto n = static_cast<double>(end - i);
    out.emplace_back(steps / n, losses / n);
  }
  return out;
}

}  // namespace tinygpt
