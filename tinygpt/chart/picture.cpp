#include "tinygpt/chart/picture.h"

#include <fmt/format.h>

#include <array>
#include <filesystem>

#include "tinygpt/chart/png.h"
#include "tinygpt/core/file.h"
#include "tinygpt/text/display_width.h"

namespace tinygpt::chart {
namespace {

struct Colour {
  const char *light, *dark;
};
// Okabe and Ito's, and lighter ones of the same hues for dark pages.
constexpr std::array kSeries = {Colour{"#0072b2", "#56b4e9"}, Colour{"#d55e00", "#ff9d57"},
                                Colour{"#009e73", "#3fd0a4"}, Colour{"#b4538a", "#e79ac4"},
                                Colour{"#946300", "#f0c04a"}, Colour{"#5b4fc4", "#b3abf7"},
                                Colour{"#59636e", "#9198a1"}, Colour{"#1f2328", "#e6edf3"}};

std::string style() {
  std::string light =
      "text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif}.ink{fill:#1f2328}"
      ".dim{fill:#59636e}.line{stroke:#8c959f}";
  std::string dark = ".ink{fill:#e6edf3}.dim{fill:#9198a1}.line{stroke:#6e7681}";
  for (std::size_t i = 0; i < kSeries.size(); ++i) {
    const char* form = ".s{0}{{fill:{1}}}.l{0}{{stroke:{1};fill:none}}";
    light += fmt::format(fmt::runtime(form), i, kSeries[i].light);
    dark += fmt::format(fmt::runtime(form), i, kSeries[i].dark);
  }
  return light + "@media(prefers-color-scheme:dark){" + dark + "}";
}

}  // namespace

std::string series_class(std::size_t i) { return fmt::format("s{}", i % kSeries.size()); }

std::string escape_xml(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '&') out += "&amp;";
    else if (c == '"') out += "&quot;";
    else if (static_cast<unsigned char>(c) < 0x20) out += ' ';  // XML forbids control characters
    else out += c;
  }
  return out;
}

double text_width(const std::string& text) { return 7.4 * display_width(text); }

Picture::Picture(double width, double height, const std::string& title)
    : width_(width), height_(height), title_(title) {}

void Picture::text(double x, double y, const std::string& words, Anchor anchor,
                   const std::string& css, bool bold) {
  constexpr std::array kNames = {"start", "middle", "end"};
  body_ +=
      fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" class=\"{}\"{}>{}</text>\n",
                  x, y, kNames[static_cast<std::size_t>(anchor)], css,
                  bold ? " style=\"font-weight:600\"" : "", escape_xml(words));
}

void Picture::line(double x1, double y1, double x2, double y2, const std::string& css,
                   double opacity, bool dashed) {
  body_ += fmt::format(
      "<path class=\"{}\" d=\"M{:.1f} {:.1f}L{:.1f} {:.1f}\" stroke-opacity=\"{:g}\"{}/>\n", css,
      x1, y1, x2, y2, opacity, dashed ? " stroke-dasharray=\"5 4\"" : "");
}

void Picture::polyline(const std::string& points, const std::string& css, double opacity) {
  const std::string faint =
      opacity < 1 ? fmt::format(" stroke-opacity=\"{:g}\"", opacity) : std::string();
  body_ += fmt::format("<polyline class=\"l{}\" stroke-width=\"2\"{} points=\"{}\"/>\n",
                       css.substr(1), faint, points);
}

void Picture::circle(double x, double y, double radius, const std::string& css) {
  body_ += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:g}\" class=\"{}\"/>\n", x, y,
                       radius, css);
}

void Picture::rect(double x, double y, double width, double height, const std::string& css,
                   double opacity) {
  body_ += fmt::format(
      "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" class=\"{}\" "
      "fill-opacity=\"{:.3f}\"/>\n",
      x, y, width, height, css, opacity);
}

std::string Picture::svg() const {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:g} {1:g}\" width=\"{0:g}\" "
      "height=\"{1:g}\" role=\"img\"><title>{2}</title><style>{3}</style>\n{4}</svg>\n",
      width_, height_, escape_xml(title_), style(), body_);
}

void Picture::save(const std::string& path) const {
  const std::filesystem::path target(path);
  if (target.has_parent_path()) std::filesystem::create_directories(target.parent_path());
  write_file_atomically(path, target.extension() == ".png" ? png_of_svg(svg()) : svg());
  fmt::print("wrote {}\n", path);
}

}  // namespace tinygpt::chart
