#include "lessons/support/chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>

#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"

namespace tinygpt::lessons {
namespace {

constexpr double kWidth = 680, kHeight = 400, kLeft = 70, kRight = 540, kTop = 44, kBottom = 340;
// Okabe and Ito's colours: colour-blind readers tell them apart, on white and on black.
constexpr std::array kColours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"};

const char* colour(std::size_t i) { return kColours[i % kColours.size()]; }

std::string escape(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '&') out += "&amp;";
    else out += c;
  }
  return out;
}

std::string text(double x, double y, const std::string& words, const char* anchor,
                 const std::string& extra = "class=\"ink\"") {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" {}>{}</text>\n", x, y,
                     anchor, extra, escape(words));
}

void save(const std::string& path, const std::string& title, const std::string& body) {
  const std::string head = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
      "height=\"{1}\"><style>text{{font:13px system-ui,sans-serif}}.ink{{fill:#1f2328}}"
      ".dim{{fill:#59636e}}.line{{stroke:#8c959f;fill:none}}@media(prefers-color-scheme:dark){{"
      ".ink{{fill:#e6edf3}}.dim{{fill:#9198a1}}}}</style>\n",
      kWidth, kHeight);
  const std::filesystem::path target(path);
  if (target.has_parent_path()) std::filesystem::create_directories(target.parent_path());
  write_file_atomically(
      path, head + text(kLeft, 22, title, "start", "class=\"ink\" font-weight=\"600\"") + body +
                "</svg>\n");
  fmt::print("wrote {}\n", path);
}

// Maps one axis to a stretch of the page.
struct Scale {
  double low, high, from, to;
  bool log;
  double operator()(double value) const {
    const double v = log ? std::log10(value) : value;
    return from + (v - low) / (high > low ? high - low : 1) * (to - from);
  }
};

Scale scale_of(const std::vector<Series>& series, bool is_x, const Axes& axes, double from,
               double to) {
  const bool log = is_x ? axes.log_x : axes.log_y;
  double low = INFINITY, high = -INFINITY;
  const auto take = [&](double value) {
    const double v = log ? std::log10(value) : value;
    if (std::isfinite(v)) low = std::min(low, v), high = std::max(high, v);
  };
  for (const Series& s : series) {
    for (const auto& [x, y] : s.points) take(is_x ? x : y);
  }
  if (!is_x && !axes.reference_label.empty()) take(axes.reference);
  check(low <= high, "a chart needs points");
  if (!is_x && !log && low > 0 && low < 0.5 * high) low = 0;
  const double margin = is_x ? 0 : 0.05 * (high - low);
  return {low == 0 ? 0 : low - margin, high + margin, from, to, log};
}

std::vector<double> ticks_of(const Scale& scale) {
  std::vector<double> ticks;
  const double span = std::max(scale.high - scale.low, 1e-12);
  if (scale.log) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      for (double p = std::floor(scale.low); p <= scale.high; ++p) {
        const double tick = factor * std::pow(10.0, p);
        const bool inside =
            std::log10(tick) >= scale.low - 1e-9 && std::log10(tick) <= scale.high + 1e-9;
        if (inside && (factor == 1.0 || span < 2)) ticks.push_back(tick);
      }
    }
    return ticks;
  }
  double step = std::pow(10.0, std::floor(std::log10(span / 5)));
  if (span / step > 25) step *= 5;
  else if (span / step > 10) step *= 2;
  for (double tick = std::ceil(scale.low / step) * step; tick <= scale.high + 1e-9; tick += step) {
    ticks.push_back(std::abs(tick) < 1e-12 ? 0 : tick);
  }
  return ticks;
}

std::string axes_of(const Scale& x, const Scale& y, const Axes& axes) {
  std::string out;
  for (const double tick : ticks_of(y)) {
    out += fmt::format("<path class=\"line\" stroke-opacity=\"0.25\" d=\"M{} {:.1f}H{}\"/>\n",
                       kLeft, y(tick), kRight);
    out += text(kLeft - 8, y(tick) + 4, fmt::format("{:g}", tick), "end", "class=\"dim\"");
  }
  for (const double tick : ticks_of(x)) {
    out += text(x(tick), kBottom + 20, fmt::format("{:g}", tick), "middle", "class=\"dim\"");
  }
  out += fmt::format("<path class=\"line\" d=\"M{} {}H{}\"/>\n", kLeft, kBottom, kRight);
  out += text((kLeft + kRight) / 2, kBottom + 44, axes.x, "middle");
  out += text(8, kTop - 6, axes.y, "start", "class=\"dim\"");
  if (!axes.reference_label.empty()) {
    out += fmt::format("<path class=\"line\" stroke-dasharray=\"5 4\" d=\"M{} {:.1f}H{}\"/>\n",
                       kLeft, y(axes.reference), kRight);
    out += text(kRight + 8, y(axes.reference) + 4, axes.reference_label, "start", "class=\"dim\"");
  }
  return out;
}

}  // namespace

void write_line_chart(const std::string& path, const std::string& title,
                      const std::vector<Series>& series, const Axes& axes) {
  const Scale x = scale_of(series, true, axes, kLeft, kRight);
  const Scale y = scale_of(series, false, axes, kBottom, kTop + 10);
  std::string body = axes_of(x, y, axes);
  std::vector<double> used;
  for (std::size_t i = 0; i < series.size(); ++i) {
    std::string points;
    for (const auto& [px, py] : series[i].points) {
      if (std::isfinite(py)) points += fmt::format("{:.1f},{:.1f} ", x(px), y(py));
    }
    body +=
        fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n",
                    points, colour(i));
    double at = y(series[i].points.back().second) + 4;
    while (std::ranges::any_of(used, [&](double other) { return std::abs(other - at) < 15; })) {
      at += 5;
    }
    used.push_back(at);
    body += text(kRight + 8, at, series[i].label, "start",
                 fmt::format("fill=\"{}\" font-weight=\"600\"", colour(i)));
  }
  save(path, title, body);
}

void write_map(const std::string& path, const std::string& title,
               const std::vector<LabelledPoint>& points) {
  std::vector<Series> all(1);
  for (const LabelledPoint& p : points) all[0].points.emplace_back(p.x, p.y);
  Scale x = scale_of(all, true, {}, 40, kWidth - 110);
  Scale y = scale_of(all, false, {}, kHeight - 20, kTop + 10);
  std::string body;
  for (const LabelledPoint& p : points) {
    const char* c = colour(static_cast<std::size_t>(p.group));
    body += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"{}\"/>\n", x(p.x),
                        y(p.y), c);
    body += text(x(p.x) + 7, y(p.y) + 4, p.label, "start");
  }
  save(path, title, body);
}

void write_heat_map(const std::string& path, const std::string& title,
                    const std::vector<std::string>& rows, const std::vector<std::string>& columns,
                    const std::vector<double>& values) {
  check(values.size() == rows.size() * columns.size(), "a heat map needs a value for each cell");
  const double w = (kWidth - kLeft - 20) / static_cast<double>(columns.size());
  const double h = (kHeight - kTop - 40) / static_cast<double>(rows.size());
  const double largest = std::max(*std::ranges::max_element(values), 1e-12);
  std::string body;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double cx = kLeft + w * static_cast<double>(i % columns.size());
    const double cy = kTop + 20 + h * static_cast<double>(i / columns.size());
    body += fmt::format(
        "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"#0072b2\" "
        "fill-opacity=\"{:.3f}\"/>\n",
        cx, cy, w, h, std::sqrt(std::max(values[i], 0.0) / largest));
  }
  for (std::size_t c = 0; c < columns.size(); ++c) {
    body += text(kLeft + w * (static_cast<double>(c) + 0.5), kTop + 14, columns[c], "middle");
  }
  for (std::size_t r = 0; r < rows.size(); ++r) {
    body += text(kLeft - 8, kTop + 24 + h * (static_cast<double>(r) + 0.5), rows[r], "end");
  }
  save(path, title, body);
}

void print_bars(const std::vector<Bar>& bars, const std::string& unit) {
  std::size_t room = 0;
  double most = 1e-300;
  for (const Bar& bar : bars) {
    room = std::max(room, bar.label.size());
    if (std::isfinite(bar.value)) most = std::max(most, bar.value);
  }
  for (const Bar& bar : bars) {
    const bool finite = std::isfinite(bar.value);
    const auto length = static_cast<std::size_t>(finite ? 36 * std::max(bar.value, 0.0) / most : 0);
    fmt::print("  {:<{}}  {:>9}  {}{}\n", bar.label, room,
               finite ? fmt::format("{:.4g}", bar.value) : "-", std::string(length, '#'),
               bar.remark.empty() ? "" : " " + bar.remark);
  }
  fmt::print("  {:<{}}  {:>9}\n", "", room, unit);
}

void print_lines(const std::vector<Series>& series, const Axes& axes) {
  constexpr int kColumns = 60, kRows = 14;
  const Scale x = scale_of(series, true, axes, 0, kColumns - 1);
  const Scale y = scale_of(series, false, axes, kRows - 1, 0);
  std::vector<std::string> grid(kRows, std::string(kColumns, ' '));
  for (std::size_t i = 0; i < series.size(); ++i) {
    for (const auto& [px, py] : series[i].points) {
      if (!std::isfinite(py)) continue;
      char& cell = grid[static_cast<std::size_t>(std::lround(y(py)))]
                       [static_cast<std::size_t>(std::lround(x(px)))];
      cell = cell == ' ' ? static_cast<char>('a' + i) : '*';  // * where several meet
    }
  }
  fmt::print("  {}\n", axes.y);
  const auto value_at = [&](double share) {
    const double v = y.low + share * (y.high - y.low);
    return y.log ? std::pow(10.0, v) : v;
  };
  for (int r = 0; r < kRows; ++r) {
    const bool labelled = r == 0 || r == kRows - 1 || r == kRows / 2;
    const double share = 1 - static_cast<double>(r) / (kRows - 1);
    fmt::print("  {:>9} |{}\n", labelled ? fmt::format("{:.4g}", value_at(share)) : "",
               grid[static_cast<std::size_t>(r)]);
  }
  const double x_low = x.log ? std::pow(10.0, x.low) : x.low;
  const double x_high = x.log ? std::pow(10.0, x.high) : x.high;
  fmt::print("  {:>9} +{}\n  {:>9}  {:<{}}{:>9.4g}\n", "", std::string(kColumns, '-'), "",
             fmt::format("{:.4g}", x_low), kColumns - 9, x_high);
  fmt::print("  {:>9}  {}\n", "", axes.x);
  for (std::size_t i = 0; i < series.size(); ++i) {
    fmt::print("  {:>9}  {} {}\n", "", static_cast<char>('a' + i), series[i].label);
  }
}

}  // namespace tinygpt::lessons
