// Charts for the lessons' experiments: as SVG in a file, and as far as that goes in the terminal.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace tinygpt::lessons {

struct Series {
  std::string label;
  std::vector<std::pair<double, double>> points;
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

// A grid of values between 0 and the largest, darker where larger.
void write_heat_map(const std::string& path, const std::string& title,
                    const std::vector<std::string>& rows, const std::vector<std::string>& columns,
                    const std::vector<double>& values);

// "name   12.3  ########": one line for each bar, to standard output.
struct Bar {
  std::string label;
  double value;
  std::string remark = "";
};
void print_bars(const std::vector<Bar>& bars, const std::string& unit);

// A chart of one or more lines in 72 columns of text, to standard output.
void print_lines(const std::vector<Series>& series, const Axes& axes);

}  // namespace tinygpt::lessons
