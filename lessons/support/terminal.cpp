#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "lessons/support/axis.h"
#include "lessons/support/chart.h"
#include "lessons/support/table.h"
#include "tinygpt/core/error.h"

namespace tinygpt::lessons {
namespace {

constexpr std::array kColours = {"34", "33", "32",
                                 "35", "36", "31"};  // ANSI's, told apart by letter, too

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string painted(const std::string& text, std::size_t i, const Screen& screen) {
  if (!screen.colour) return text;
  return fmt::format("\x1b[{}m{}\x1b[0m", kColours[i % kColours.size()], text);
}

std::string utf8(char32_t c) {  // of the basic plane above 0x7ff: blocks and braille
  return {static_cast<char>(0xe0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 0x3f)),
          static_cast<char>(0x80 | (c & 0x3f))};
}

std::string bar(double share, int columns, const Screen& screen) {
  const double length = share * columns;
  if (!screen.unicode) return std::string(static_cast<std::size_t>(length), '#');
  std::string out;
  const int eighths = static_cast<int>(std::lround(8 * length));
  for (int i = 0; i < eighths / 8; ++i) out += utf8(0x2588);
  if (eighths % 8 > 0) out += utf8(static_cast<char32_t>(0x2590 - eighths % 8));
  return painted(out, 0, screen);
}

// A grid of characters; with braille, each holds two by four dots.
struct Canvas {
  int columns, rows;
  bool braille;
  struct Cell {
    unsigned dots = 0;
    char letter = ' ';
    std::size_t series = 0;
  };
  std::vector<Cell> cells;

  Canvas(int columns_, int rows_, bool braille_)
      : columns(columns_),
        rows(rows_),
        braille(braille_),
        cells(static_cast<std::size_t>(columns_) * static_cast<std::size_t>(rows_)) {}
  int wide() const { return braille ? 2 * columns : columns; }
  int high() const { return braille ? 4 * rows : rows; }

  void put(int x, int y, std::size_t series) {
    constexpr std::array<unsigned, 8> kDots = {0x01, 0x08, 0x02, 0x10, 0x04, 0x20, 0x40, 0x80};
    const int c = braille ? x / 2 : x, r = braille ? y / 4 : y;
    Cell& cell = cells[static_cast<std::size_t>(r) * static_cast<std::size_t>(columns) +
                       static_cast<std::size_t>(c)];
    cell.dots |= kDots[static_cast<std::size_t>(y % 4 * 2 + x % 2)];
    const char letter = static_cast<char>('a' + series % 26);
    cell.letter = cell.letter == ' ' || cell.letter == letter ? letter : '*';  // several meet
    cell.series = series;
  }
  void line(int x0, int y0, int x1, int y1, std::size_t series) {
    const int steps = std::max({std::abs(x1 - x0), std::abs(y1 - y0), 1});
    for (int k = 0; k <= steps; ++k) {
      put(x0 + static_cast<int>(std::lround(double(x1 - x0) * k / steps)),
          y0 + static_cast<int>(std::lround(double(y1 - y0) * k / steps)), series);
    }
  }
  std::string row(int r, const Screen& screen) const {
    std::string out;
    for (int c = 0; c < columns; ++c) {
      const Cell& cell = cells[static_cast<std::size_t>(r) * static_cast<std::size_t>(columns) +
                               static_cast<std::size_t>(c)];
      if (cell.dots == 0) out += ' ';
      else if (braille) out += painted(utf8(0x2800 + cell.dots), cell.series, screen);
      else out += cell.letter;
    }
    return out.substr(0, out.find_last_not_of(' ') + 1);
  }
};

Scale scale_of(const std::vector<Series>& series, bool is_x, const Axes& axes, double from,
               double to) {
  std::vector<double> values;
  for (const Series& s : series) {
    for (const auto& [x, y] : s.points) values.push_back(is_x ? x : y);
  }
  if (!is_x && !axes.reference_label.empty()) values.push_back(axes.reference);
  return scale_around(values, is_x ? axes.log_x : axes.log_y, false, 0, from, to);
}

double value_at(const Scale& scale, double share) {
  const double v = scale.low + share * (scale.high - scale.low);
  return scale.log ? std::pow(10.0, v) : v;
}

void draw(Canvas& canvas, const Series& series, std::size_t i, const Scale& x, const Scale& y) {
  bool begun = false;
  int last_x = 0, last_y = 0;
  for (const auto& [px, py] : series.points) {
    const double sx = x(px), sy = y(py);
    if (!std::isfinite(sx) || !std::isfinite(sy)) continue;
    const int at_x = static_cast<int>(std::lround(sx)), at_y = static_cast<int>(std::lround(sy));
    if (begun && canvas.braille) canvas.line(last_x, last_y, at_x, at_y, i);
    canvas.put(at_x, at_y, i);
    begun = true;
    last_x = at_x;
    last_y = at_y;
  }
}

}  // namespace

Screen this_screen() {
  if (isatty(STDOUT_FILENO) == 0) return {};
  Screen screen;
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) screen.width = size.ws_col;
  screen.width = std::clamp(screen.width, 40, 110);
  std::string_view locale;
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    if (locale.empty()) locale = variable(name);
  }
  const auto says = [&](std::string_view word) { return locale.find(word) != locale.npos; };
  screen.unicode = says("UTF-8") || says("utf8") || says("UTF8") || says("utf-8");
  screen.colour = variable("NO_COLOR").empty() && variable("TERM") != "dumb";
  return screen;
}

std::string bars_text(const std::vector<Bar>& bars, const std::string& unit, const Screen& screen) {
  int room = 0, remarks = 0;
  double most = 1e-300;
  for (const Bar& b : bars) {
    room = std::max(room, display_width(b.label));
    remarks = std::max(remarks, display_width(b.remark) + (b.remark.empty() ? 0 : 1));
    if (std::isfinite(b.value)) most = std::max(most, b.value);
  }
  const int columns = std::clamp(screen.width - room - 15 - remarks, 8, 36);
  std::string out;
  for (const Bar& b : bars) {
    const double share = std::isfinite(b.value) ? std::max(b.value, 0.0) / most : 0;
    const std::string line = fmt::format(
        "  {}  {:>9}  {}{}", padded(b.label, room),
        std::isfinite(b.value) ? fmt::format("{:.4g}", b.value) : "-", bar(share, columns, screen),
        b.remark.empty() ? "" : fmt::format(" {}", b.remark));
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return out + fmt::format("  {}  {:>9}\n", padded("", room), unit);
}

std::string lines_text(const std::vector<Series>& series, const Axes& axes, const Screen& screen) {
  constexpr int kRows = 14;
  Canvas canvas(std::max(screen.width - 14, 20), kRows, screen.unicode);
  const Scale x = scale_of(series, true, axes, 0, canvas.wide() - 1);
  const Scale y = scale_of(series, false, axes, canvas.high() - 1, 0);
  const int reference = static_cast<int>(std::lround(y(axes.reference))) / (screen.unicode ? 4 : 1);
  for (std::size_t i = 0; i < series.size(); ++i) draw(canvas, series[i], i, x, y);
  std::string out = "  " + axes.y + "\n";
  for (int r = 0; r < kRows; ++r) {
    const bool labelled = r == 0 || r == kRows - 1 || r == kRows / 2;
    const double share = 1 - static_cast<double>(r) / (kRows - 1);
    std::string line = canvas.row(r, screen);
    if (!axes.reference_label.empty() && r == reference && line.empty()) {
      line = std::string(static_cast<std::size_t>(canvas.columns), '.');
    }
    out += fmt::format("  {:>9} |{}\n", labelled ? fmt::format("{:.4g}", value_at(y, share)) : "",
                       line);
  }
  out +=
      fmt::format("  {:>9} +{}\n", "", std::string(static_cast<std::size_t>(canvas.columns), '-'));
  out += fmt::format("  {:>9}  {:<{}}{:>9.4g}\n", "", fmt::format("{:.4g}", value_at(x, 0)),
                     canvas.columns - 9, value_at(x, 1));
  out += fmt::format("  {:>9}  {}\n", "", axes.x);
  for (std::size_t i = 0; i < series.size(); ++i) {
    const std::string mark = screen.unicode && screen.colour
                                 ? painted(utf8(0x2588), i, screen)
                                 : std::string(1, static_cast<char>('a' + i % 26));
    out += fmt::format("  {:>9}  {} {}\n", "", mark, series[i].label);
  }
  if (!axes.reference_label.empty()) {
    out += fmt::format("  {:>9}  . {} ({:.4g})\n", "", axes.reference_label, axes.reference);
  }
  return out;
}

std::string map_text(const std::vector<LabelledPoint>& points, const Screen& screen) {
  constexpr int kRows = 20;
  Series all;
  int longest = 1;
  for (const LabelledPoint& p : points) {
    all.points.emplace_back(p.x, p.y);
    longest = std::max(longest, display_width(p.label));
  }
  const int columns = screen.width - 2;
  const Scale x = scale_of({all}, true, {}, 0, std::max(columns - 1 - longest, 1));
  const Scale y = scale_of({all}, false, {}, kRows - 1, 0);
  struct Placed {
    int column;
    std::string words;
    std::size_t group;
  };
  std::array<std::vector<Placed>, kRows> rows;
  for (const LabelledPoint& p : points) {
    rows[static_cast<std::size_t>(std::lround(y(p.y)))].push_back(
        {static_cast<int>(std::lround(x(p.x))), p.label, static_cast<std::size_t>(p.group)});
  }
  std::string out;
  for (auto& row : rows) {
    std::ranges::sort(row, {}, &Placed::column);
    std::string line = "  ";
    int at = 0;
    for (const Placed& p : row) {  // a word that meets the one before it moves to the right
      const int column = at == 0 ? p.column : std::max(p.column, at + 1);
      line += std::string(static_cast<std::size_t>(column - at), ' ') +
              painted(p.words, p.group, screen);
      at = column + display_width(p.words);
    }
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return out;
}

std::string heat_map_text(const std::vector<std::string>& rows,
                          const std::vector<std::string>& columns,
                          const std::vector<double>& values, const Screen& screen) {
  check(!values.empty() && values.size() == rows.size() * columns.size(),
        "a heat map needs a value for each cell");
  double largest = 1e-300;
  for (const double v : values) {
    if (std::isfinite(v)) largest = std::max(largest, std::abs(v));
  }
  int room = 0, cell = 1;
  for (const std::string& row : rows) room = std::max(room, display_width(row));
  for (const std::string& column : columns) cell = std::max(cell, display_width(column));
  const int most = std::max((screen.width - room - 3) / static_cast<int>(columns.size()) - 1, 1);
  cell = std::min(cell, most);
  std::string out = "  " + padded("", room);
  for (const std::string& column : columns) {
    out += ' ';
    out += padded(display_width(column) > cell ? "" : column, cell, true);
  }
  out = out.substr(0, out.find_last_not_of(' ') + 1) + "\n";
  constexpr std::string_view kAscii = " .:-=+*#%@";
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::string line = "  " + padded(rows[r], room, true);
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const double v = values[r * columns.size() + c];
      const double share = std::isfinite(v) ? std::sqrt(std::abs(v) / largest) : 0;
      const auto shade = [&](int steps) { return static_cast<int>(std::lround(share * steps)); };
      std::string one = screen.unicode ? (shade(4) == 0 ? "." : utf8(0x2590u + char32_t(shade(4))))
                                       : std::string(1, kAscii[static_cast<std::size_t>(shade(9))]);
      if (screen.unicode && shade(4) == 4) one = utf8(0x2588);
      std::string block;
      for (int k = 0; k < cell; ++k) block += one;
      line += ' ';
      line += painted(block, v < 0 ? 1 : 0, screen);
    }
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return out;
}

void print_bars(const std::vector<Bar>& bars, const std::string& unit) {
  fmt::print("{}", bars_text(bars, unit, this_screen()));
}
void print_lines(const std::vector<Series>& series, const Axes& axes) {
  fmt::print("{}", lines_text(series, axes, this_screen()));
}
void print_map(const std::vector<LabelledPoint>& points) {
  fmt::print("{}", map_text(points, this_screen()));
}
void print_heat_map(const std::vector<std::string>& rows, const std::vector<std::string>& columns,
                    const std::vector<double>& values) {
  fmt::print("{}", heat_map_text(rows, columns, values, this_screen()));
}

}  // namespace tinygpt::lessons
