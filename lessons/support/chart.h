// Charts for the lessons' experiments: as SVG in a file (tinygpt/chart/chart.h), and as far as that
// goes in the terminal.
//
//   const Axes axes{.x = "bytes of text", .y = "nats per byte", .log_x = true};
//   print_lines({train, validation}, axes);
//   write_line_chart("lessons-out/04-splits.svg", "What validation text is for", {train,
//   validation}, axes);
#pragma once

#include <string>
#include <vector>

#include "tinygpt/chart/chart.h"

namespace tinygpt::lessons {

using namespace tinygpt::chart;

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
