// Charts for the lessons' experiments: as SVG in a file, and as far as that goes in the terminal.
//
//   const Axes axes{.x = "bytes of text", .y = "nats per byte", .log_x = true};
//   print_lines({train, validation}, axes);
//   write_line_chart("lessons-out/04-splits.svg", "What validation text is for", {train,
//   validation}, axes);
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace tinygpt::lessons {

struct Series {
  std::string label;
  std::vector<std::pair<double, double>> points;  // those that are not finite are left out
};

struct Axes {
  std::string x, y;  // what is measured, with its unit
  bool log_x = false, log_y = false;
  double reference = 0;  // a dashed line across, where its label is not empty
  std::string reference_label = "";
};

// Lines with their labels at their ends.
void write_line_chart(const std::string& path, const std::string& title,
                      const std::vector<Series>& series, const Axes& axes);

struct LabelledPoint {
  std::string label;
  double x, y;
  int group = 0;  // chooses the colour
};
// Points with labels, without ticks: for maps, whose axes have no unit.
void write_map(const std::string& path, const std::string& title,
               const std::vector<LabelledPoint>& points);
// Points with labels (which may be empty) between axes.
void write_scatter(const std::string& path, const std::string& title,
                   const std::vector<LabelledPoint>& points, const Axes& axes);

// A grid of values, stronger where larger; negative ones in another colour.
void write_heat_map(const std::string& path, const std::string& title,
                    const std::vector<std::string>& rows, const std::vector<std::string>& columns,
                    const std::vector<double>& values);

struct Bar {
  std::string label;
  double value;
  std::string remark = "";
};
// Horizontal bars from zero, with their values at their ends.
void write_bar_chart(const std::string& path, const std::string& title,
                     const std::vector<Bar>& bars, const std::string& unit);

// The same in the terminal. On a terminal that shows UTF-8, blocks and braille dots; elsewhere
// letters and '#'.
struct Screen {
  int width = 74;  // columns
  bool unicode = false, colour = false;
};
// Standard output: its width, LC_ALL, LC_CTYPE, LANG, TERM, NO_COLOR. Plain where it is no
// terminal.
Screen this_screen();

std::string bars_text(const std::vector<Bar>& bars, const std::string& unit, const Screen& screen);
std::string lines_text(const std::vector<Series>& series, const Axes& axes, const Screen& screen);
std::string map_text(const std::vector<LabelledPoint>& points, const Screen& screen);
std::string heat_map_text(const std::vector<std::string>& rows,
                          const std::vector<std::string>& columns,
                          const std::vector<double>& values, const Screen& screen);

void print_bars(const std::vector<Bar>& bars, const std::string& unit);
void print_lines(const std::vector<Series>& series, const Axes& axes);
void print_map(const std::vector<LabelledPoint>& points);
void print_heat_map(const std::vector<std::string>& rows, const std::vector<std::string>& columns,
                    const std::vector<double>& values);

}  // namespace tinygpt::lessons
