#include "tinygpt/chart/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <utility>

#include "tinygpt/chart/axis.h"
#include "tinygpt/chart/picture.h"
#include "tinygpt/core/error.h"

namespace tinygpt::chart {
namespace {

constexpr double kWidth = 680, kHeight = 400, kLeft = 70, kTop = 44, kBottom = 340;

Picture titled(double height, const std::string& title) {
  Picture picture(kWidth, height, title);
  picture.text(12, 22, title, Anchor::start, "ink", true);
  return picture;
}

std::vector<double> coordinates(const std::vector<Series>& series, bool x) {
  std::vector<double> out;
  for (const Series& s : series) {
    for (const auto& point : s.points) out.push_back(x ? point.first : point.second);
  }
  return out;
}

// From zero, unless the values are all far from it.
bool wants_zero(const std::vector<double>& values) {
  double low = INFINITY, high = -INFINITY;
  for (const double v : values) {
    if (std::isfinite(v)) low = std::min(low, v), high = std::max(high, v);
  }
  return low > 0 && low < 0.5 * high;
}

void draw_axes(Picture& picture, const Scale& x, const Scale& y, const Axes& axes) {
  for (const double tick : ticks_of(y)) {
    picture.line(x.from, y(tick), x.to, y(tick), "line", 0.25);
    picture.text(x.from - 8, y(tick) + 4, tick_label(tick), Anchor::end, "dim");
  }
  double used = -INFINITY;
  for (const double tick : ticks_of(x, 8)) {
    const std::string label = tick_label(tick);
    const double half = text_width(label) / 2;
    picture.line(x(tick), kBottom, x(tick), kBottom + 4);
    if (x(tick) - half < used + 6) continue;
    picture.text(x(tick), kBottom + 20, label, Anchor::middle, "dim");
    used = x(tick) + half;
  }
  picture.line(x.from, kBottom, x.to, kBottom);
  picture.text((x.from + x.to) / 2, kBottom + 44, axes.x, Anchor::middle);
  picture.text(12, kTop, axes.y, Anchor::start, "dim");
}

// Labels at the right-hand ends of lines, moved apart where they would meet, and kept on the page.
struct EndLabel {
  double y;
  std::string words, css;
};

void draw_end_labels(Picture& picture, double x, std::vector<EndLabel> labels) {
  constexpr double kGap = 15;
  std::ranges::sort(labels, {}, &EndLabel::y);
  for (std::size_t i = 1; i < labels.size(); ++i) {
    labels[i].y = std::max(labels[i].y, labels[i - 1].y + kGap);
  }
  double limit = kBottom + 8;
  for (std::size_t i = labels.size(); i-- > 0; limit = labels[i].y - kGap) {
    labels[i].y = std::min(labels[i].y, limit);
  }
  for (const EndLabel& label : labels) {
    picture.text(x, label.y, label.words, Anchor::start, label.css, label.css != "dim");
  }
}

struct Box {
  double left, top, right, bottom;
};

bool overlap(const Box& a, const Box& b) {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

// Where a label of this width may stand: around its point, then farther and farther away.
std::vector<Box> places_around(double x, double y, double width) {
  std::vector<Box> places;
  constexpr int kDirections = 16;
  for (double away = 0; away < 170; away += 14) {
    for (const int k : {0, 8, 12, 4, 14, 10, 2, 6, 15, 9, 13, 11, 1, 7, 3,
                        5}) {  // right, left, above, below, ...
      const double angle = 2 * std::numbers::pi * k / kDirections;
      const double cx = x + std::cos(angle) * (7 + away + width / 2);
      const double cy = y + std::sin(angle) * (14 + away);
      places.push_back({cx - width / 2, cy - 7.5, cx + width / 2, cy + 7.5});
    }
  }
  return places;
}

// A thin line from a point to the label that could not stay beside it.
void draw_leader(Picture& picture, double x, double y, const Box& box) {
  const double to_x = std::clamp(x, box.left, box.right);
  const double to_y = std::clamp(y, box.top + 2, box.bottom - 2);
  if (std::hypot(to_x - x, to_y - y) > 12) picture.line(x, y, to_x, to_y, "line", 0.6);
}

// Each label where the page is still free, as near to its point as that goes.
void draw_points(Picture& picture, const std::vector<LabelledPoint>& points, const Scale& x,
                 const Scale& y) {
  std::vector<Box> taken;
  for (const LabelledPoint& p : points) {
    const double cx = x(p.x), cy = y(p.y);
    taken.push_back({cx - 4, cy - 4, cx + 4, cy + 4});
    picture.circle(cx, cy, 4, series_class(static_cast<std::size_t>(p.group)));
  }
  for (const LabelledPoint& p : points) {
    if (p.label.empty()) continue;
    const double cx = x(p.x), cy = y(p.y);
    const auto free = [&](const Box& box) {
      return box.left >= 0 && box.right <= kWidth && box.top >= 26 && box.bottom <= kHeight &&
             std::ranges::none_of(taken, [&](const Box& other) { return overlap(box, other); });
    };
    const std::vector<Box> places = places_around(cx, cy, text_width(p.label));
    const auto found = std::ranges::find_if(places, free);
    const Box& box = found == places.end() ? places[0] : *found;
    taken.push_back(box);
    draw_leader(picture, cx, cy, box);
    picture.text((box.left + box.right) / 2, box.bottom - 4, p.label, Anchor::middle);
  }
}

std::vector<Series> as_series(const std::vector<LabelledPoint>& points) {
  std::vector<Series> all(1);
  for (const LabelledPoint& p : points) {
    check(p.group >= 0, "a point's group must not be negative");
    check(std::isfinite(p.x) && std::isfinite(p.y),
          [&] { return fmt::format("the point '{}' has no place: ({}, {})", p.label, p.x, p.y); });
    all[0].points.emplace_back(p.x, p.y);
  }
  return all;
}

}  // namespace

void write_line_chart(const std::string& path, const std::string& title,
                      const std::vector<Series>& series, const Axes& axes) {
  double room = axes.reference_label.empty() ? 0 : text_width(axes.reference_label);
  for (const Series& s : series) {
    if (!s.is_faint) room = std::max(room, 1.08 * text_width(s.label));  // bold
  }
  const double right = kWidth - std::clamp(room + 16, 40.0, 0.4 * kWidth);
  std::vector<double> ys = coordinates(series, false);
  if (!axes.reference_label.empty()) ys.push_back(axes.reference);
  const Scale x = scale_around(coordinates(series, true), axes.log_x, false, 0, kLeft, right);
  const Scale y = scale_around(ys, axes.log_y, wants_zero(ys), 0.05, kBottom, kTop + 16);
  Picture picture = titled(kHeight, title);
  draw_axes(picture, x, y, axes);
  std::vector<EndLabel> labels;
  if (!axes.reference_label.empty()) {
    picture.line(kLeft, y(axes.reference), right, y(axes.reference), "line", 1, true);
    labels.push_back({y(axes.reference) + 4, axes.reference_label, "dim"});
  }
  for (std::size_t i = 0; i < series.size(); ++i) {
    const Series& s = series[i];
    const std::string css = series_class(s.colour < 0 ? i : static_cast<std::size_t>(s.colour));
    std::string points;
    double last = kBottom;
    for (const auto& [px, py] : s.points) {
      const double sx = x(px), sy = y(py);
      if (!std::isfinite(sx) || !std::isfinite(sy)) continue;
      points += fmt::format("{:.1f},{:.1f} ", sx, sy);
      last = sy;
      if (s.points.size() <= 30 && !s.is_faint) picture.circle(sx, sy, 3, css);
    }
    picture.polyline(points, css, s.is_faint ? 0.35 : 1);
    if (!s.is_faint) labels.push_back({last + 4, s.label, css});
  }
  draw_end_labels(picture, right + 8, labels);
  picture.save(path);
}

void write_map(const std::string& path, const std::string& title,
               const std::vector<LabelledPoint>& points) {
  const std::vector<Series> all = as_series(points);
  const Scale x = scale_around(coordinates(all, true), false, false, 0.02, 60, kWidth - 80);
  const Scale y = scale_around(coordinates(all, false), false, false, 0.02, kHeight - 20, kTop + 8);
  Picture picture = titled(kHeight, title);
  draw_points(picture, points, x, y);
  picture.save(path);
}

void write_scatter(const std::string& path, const std::string& title,
                   const std::vector<LabelledPoint>& points, const Axes& axes) {
  const std::vector<Series> all = as_series(points);
  std::vector<double> ys = coordinates(all, false);
  if (!axes.reference_label.empty()) ys.push_back(axes.reference);
  const Scale x = scale_around(coordinates(all, true), axes.log_x, false, 0.04, kLeft, 590);
  const Scale y = scale_around(ys, axes.log_y, wants_zero(ys), 0.05, kBottom, kTop + 16);
  Picture picture = titled(kHeight, title);
  draw_axes(picture, x, y, axes);
  if (!axes.reference_label.empty()) {
    picture.line(kLeft, y(axes.reference), 590, y(axes.reference), "line", 1, true);
    picture.text(598, y(axes.reference) + 4, axes.reference_label, Anchor::start, "dim");
  }
  draw_points(picture, points, x, y);
  picture.save(path);
}

void write_heat_map(const std::string& path, const std::string& title,
                    const std::vector<std::string>& rows, const std::vector<std::string>& columns,
                    const std::vector<double>& values) {
  check(!values.empty() && values.size() == rows.size() * columns.size(),
        "a heat map needs a value for each cell");
  double left = 20, largest = 1e-300, wide = 0;
  for (const std::string& row : rows) left = std::max(left, text_width(row) + 20);
  for (const std::string& column : columns) wide = std::max(wide, text_width(column));
  for (const double v : values) {
    if (std::isfinite(v)) largest = std::max(largest, std::abs(v));
  }
  const double w = std::min((kWidth - left - 20) / static_cast<double>(columns.size()), 80.0);
  const double h = std::min((kHeight - kTop - 40) / static_cast<double>(rows.size()), 40.0);
  Picture picture = titled(kTop + 40 + h * static_cast<double>(rows.size()), title);
  const auto at_x = [&](std::size_t c) { return left + w * static_cast<double>(c); };
  const auto at_y = [&](std::size_t r) { return kTop + 20 + h * static_cast<double>(r); };
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double cx = at_x(i % columns.size()), cy = at_y(i / columns.size());
    if (!std::isfinite(values[i])) {
      picture.text(cx + w / 2, cy + h / 2 + 4, "-", Anchor::middle, "dim");
      continue;
    }
    // Never quite opaque: numbers stay readable on it in both themes. The root lifts small values.
    const double strength = 0.7 * std::sqrt(std::abs(values[i]) / largest);
    picture.rect(cx, cy, w - 1, h - 1, values[i] < 0 ? "s1" : "s0", strength);
    if (w >= 44 && h >= 18) {
      picture.text(cx + w / 2, cy + h / 2 + 4, fmt::format("{:.2g}", values[i]), Anchor::middle);
    }
  }
  const std::size_t every = wide <= w ? 1 : static_cast<std::size_t>(std::ceil((wide + 4) / w));
  for (std::size_t c = 0; c < columns.size(); c += every) {
    picture.text(at_x(c) + w / 2, kTop + 14, columns[c], Anchor::middle);
  }
  for (std::size_t r = 0; r < rows.size(); ++r) {
    picture.text(left - 8, at_y(r) + h / 2 + 4, rows[r], Anchor::end);
  }
  picture.save(path);
}

void write_bar_chart(const std::string& path, const std::string& title,
                     const std::vector<Bar>& bars, const std::string& unit) {
  check(!bars.empty(), "a chart needs bars");
  double left = 20, room = 0, most = 1e-300;
  for (const Bar& bar : bars) {
    left = std::max(left, text_width(bar.label) + 24);
    room = std::max(room, text_width(fmt::format("{:.4g} {}", bar.value, bar.remark)) + 12);
    if (std::isfinite(bar.value)) most = std::max(most, bar.value);
  }
  Picture picture = titled(kTop + 26 * static_cast<double>(bars.size()) + 32, title);
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const double y = kTop + 26 * static_cast<double>(i);
    const double share = std::isfinite(bars[i].value) ? std::max(bars[i].value, 0.0) / most : 0;
    const double length = share * std::max(kWidth - left - room, 60.0);
    picture.text(left - 8, y + 14, bars[i].label, Anchor::end);
    picture.rect(left, y, std::max(length, 1.0), 18, "s0");
    picture.text(left + length + 6, y + 14,
                 fmt::format("{:.4g} {}", bars[i].value, bars[i].remark));
  }
  picture.text(left, kTop + 26 * static_cast<double>(bars.size()) + 16, unit, Anchor::start, "dim");
  picture.save(path);
}

}  // namespace tinygpt::chart
