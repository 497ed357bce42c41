#include "lessons/support/loss_curve.h"

#include "lessons/support/chart.h"

namespace tinygpt::lessons {

void write_loss_curve(const std::string& path, const std::string& title, const LossCurve& curve,
                      int points) {
  std::vector<Series> series = {{"training", thinned(curve.train, points)}};
  if (!curve.validation.empty()) series.push_back({"validation", curve.validation});
  Axes axes{.x = "steps", .y = "nats per token", .log_y = true};
  if (curve.floor > 0) axes.reference = curve.floor, axes.reference_label = "floor";
  write_line_chart(path, title, series, axes);
}

}  // namespace tinygpt::lessons
