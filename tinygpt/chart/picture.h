// A drawing as SVG, readable on light and on dark pages.
#pragma once

#include <cstddef>
#include <string>

namespace tinygpt::chart {

enum class Anchor { start, middle, end };

// Classes: ink, dim and line for text and axes; s0 to s7 for series (colours that colour-blind
// readers tell apart).
class Picture {
 public:
  Picture(double width, double height, const std::string& title);
  void text(double x, double y, const std::string& words, Anchor anchor = Anchor::start,
            const std::string& css = "ink", bool bold = false);
  void line(double x1, double y1, double x2, double y2, const std::string& css = "line",
            double opacity = 1, bool dashed = false);
  void polyline(const std::string& points, const std::string& css, double opacity = 1);
  void circle(double x, double y, double radius, const std::string& css);
  void rect(double x, double y, double width, double height, const std::string& css,
            double opacity = 1);
  std::string svg() const;
  // Writes the file atomically, makes its folder where needed, and says so on standard output: PNG
  // where its name ends in .png (see png.h), SVG otherwise.
  void save(const std::string& path) const;

 private:
  double width_, height_;
  std::string title_, body_;
};

std::string series_class(std::size_t i);
std::string escape_xml(const std::string& text);
// About how many pixels a text of 13 pixels takes; rather too many than too few.
double text_width(const std::string& text);

}  // namespace tinygpt::chart
