// Charts as SVG files, readable on light and on dark pages; as PNG where the path ends in .png.
//
//   const Axes axes{.x = "bytes of text", .y = "nats per byte", .log_x = true};
//   write_line_chart("splits.svg", "What validation text is for", {train, validation}, axes);
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace tinygpt::chart {

struct Series {
  std::string label;
  std::vector<std::pair<double, double>> points;  // those that are not finite are left out
  int colour = -1;                                // of the series; -1: by its place among them
  bool is_faint = false;                          // behind the others, without a label
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

}  // namespace tinygpt::chart
