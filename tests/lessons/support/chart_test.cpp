#include "lessons/support/chart.h"

#include <fmt/format.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "lessons/support/axis.h"
#include "lessons/support/picture.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"

using namespace tinygpt;
using namespace tinygpt::lessons;
using tinygpt::test::TemporaryFolder;

namespace {

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines(1);
  for (const char c : text) {
    if (c == '\n') lines.emplace_back();
    else lines.back() += c;
  }
  lines.pop_back();
  return lines;
}

}  // namespace

TEST_CASE("ticks are round numbers inside the scale", "[lessons]") {
  const std::vector<double> values = {0.3, 97.0};
  const Scale scale = scale_around(values, false, true, 0, 0, 1);
  CHECK(ticks_of(scale, 5) == std::vector<double>{0, 20, 40, 60, 80});
  for (const double high : {1e-7, 0.013, 0.99, 3.0, 7.7, 1234567.0}) {
    const Scale any = scale_around({-0.3 * high, high}, false, false, 0, 0, 1);
    const std::vector<double> ticks = ticks_of(any, 6);
    CHECK(ticks.size() >= 2);
    CHECK(ticks.size() <= 7);
    for (const double tick : ticks) {
      CHECK(tick >= any.low - 1e-9 * high);
      CHECK(tick <= any.high + 1e-9 * high);
    }
  }
}

TEST_CASE("ticks of a logarithmic scale are powers of ten, with 2 and 5 where it is short",
          "[lessons]") {
  const Scale wide = scale_around({1, 1e6}, true, false, 0, 0, 600);
  CHECK(ticks_of(wide) == std::vector<double>{1, 10, 100, 1000, 1e4, 1e5, 1e6});
  CHECK(wide(1000) == Approx(300));
  CHECK(ticks_of(scale_around({1, 30}, true, false, 0, 0, 1)) ==
        std::vector<double>{1, 2, 5, 10, 20});
}

TEST_CASE("a scale keeps out what is not finite, and needs something that is", "[lessons]") {
  const Scale scale = scale_around({NAN, 1, INFINITY, 3}, false, false, 0, 0, 10);
  CHECK(scale(1) == Approx(0));
  CHECK(scale(3) == Approx(10));
  CHECK(scale_around({5}, false, false, 0, 0, 10)(5) == Approx(5));
  CHECK_THROWS_AS(scale_around({NAN}, false, false, 0, 0, 1), Error);
  CHECK_THROWS_AS(scale_around({-1, 0}, true, false, 0, 0, 1), Error);
}

TEST_CASE("labels of ticks are short", "[lessons]") {
  CHECK(tick_label(0) == "0");
  CHECK(tick_label(0.25) == "0.25");
  CHECK(tick_label(1500) == "1500");
  CHECK(tick_label(20'000) == "20k");
  CHECK(tick_label(2.5e6) == "2.5M");
}

TEST_CASE("an SVG escapes what XML takes for its own, and knows both themes", "[lessons]") {
  Picture picture(10, 10, "a < b");
  picture.text(1, 1, "\"x\" & <y>\x01");
  const std::string svg = picture.svg();
  CHECK(svg.find("<title>a &lt; b</title>") != svg.npos);
  CHECK(svg.find(">&quot;x&quot; &amp; &lt;y&gt; </text>") != svg.npos);
  CHECK(svg.find("prefers-color-scheme:dark") != svg.npos);
  CHECK(count(svg, "<svg") == count(svg, "</svg>"));
}

TEST_CASE("a line chart has one line for each series and leaves out what is not finite",
          "[lessons]") {
  const TemporaryFolder folder;
  const std::string path = (folder / "deep/er/chart.svg").string();
  write_line_chart(path, "Loss", {{"one", {{1, 2}, {2, NAN}, {3, 1}}}, {"two", {{1, 1}, {3, 4}}}},
                   {.x = "steps", .y = "nats", .reference = 0.5, .reference_label = "floor"});
  const std::string svg = read_file(path);
  CHECK(count(svg, "<polyline") == 2);
  CHECK(count(svg, "<circle") == 4);
  CHECK(count(svg, "nan") == 0);
  for (const char* words : {">one<", ">two<", ">steps<", ">nats<", ">floor<", ">Loss<"}) {
    CHECK(svg.find(words) != svg.npos);
  }
}

TEST_CASE("labels of points that lie close together do not lie on each other", "[lessons]") {
  const TemporaryFolder folder;
  const std::string path = (folder / "map.svg").string();
  std::vector<LabelledPoint> points = {{"tractor", 1, 1, 1}};
  for (int i = 0; i < 20; ++i) points.push_back({fmt::format("kitten{}", i), 0.001 * i, 0});
  write_map(path, "Words", points);
  const std::string svg = read_file(path);
  CHECK(svg.find("class=\"s1\"") != svg.npos);
  std::vector<std::pair<double, double>> places;
  for (const LabelledPoint& p : points) {
    const std::size_t end = svg.find(">" + p.label + "<");
    REQUIRE(end != svg.npos);
    const std::size_t begin = svg.rfind("<text x=\"", end) + 9;
    const double x = std::stod(svg.substr(begin));
    places.emplace_back(x, std::stod(svg.substr(svg.find(" y=\"", begin) + 4)));
  }
  for (std::size_t i = 0; i < places.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const double dx = std::abs(places[i].first - places[j].first);
      const double dy = std::abs(places[i].second - places[j].second);
      CHECK((dx > 40 || dy > 13));
    }
  }
  CHECK_THROWS_AS(write_map(path, "Words", {{"nowhere", NAN, 0}}), Error);
}

TEST_CASE("a heat map has a cell for each value, and another colour for negative ones",
          "[lessons]") {
  const TemporaryFolder folder;
  const std::string path = (folder / "heat.svg").string();
  write_heat_map(path, "Heat", {"r0", "r1"}, {"c0", "c1"}, {1, -1, NAN, 0.25});
  const std::string svg = read_file(path);
  CHECK(count(svg, "<rect") == 3);
  CHECK(count(svg, "class=\"s1\"") == 1);
  CHECK(svg.find("fill-opacity=\"0.350\"") != svg.npos);  // half of 0.7: the root of a quarter
  CHECK_THROWS_AS(write_heat_map(path, "Heat", {"r0"}, {"c0"}, {1, 2}), Error);
}

TEST_CASE("bars in a bar chart are as long as their values say", "[lessons]") {
  const TemporaryFolder folder;
  const std::string path = (folder / "bars.svg").string();
  write_bar_chart(path, "Speed", {{"naive", 5}, {"tiled", 10}}, "GFLOP/s");
  const std::string svg = read_file(path);
  std::vector<double> widths;
  for (std::size_t at = svg.find("<rect"); at != svg.npos; at = svg.find("<rect", at + 1)) {
    const std::size_t begin = svg.find(" width=\"", at) + 8;
    widths.push_back(std::stod(svg.substr(begin)));
  }
  REQUIRE(widths.size() == 2);
  CHECK(widths[1] == Approx(2 * widths[0]).epsilon(0.01));
}

TEST_CASE("bars in the terminal fit its width", "[lessons]") {
  const std::vector<Bar> bars = {{"naïve", 5, "slow"}, {"tiled", 10}, {"broken", NAN}};
  for (const int width : {40, 74, 110}) {
    for (const std::string& line : lines_of(bars_text(bars, "GFLOP/s", {.width = width}))) {
      CHECK(static_cast<int>(line.size()) <= width + 1);  // ï takes two bytes
    }
  }
  const auto lines = lines_of(bars_text(bars, "GFLOP/s", {}));
  REQUIRE(lines.size() == 4);
  CHECK(count(lines[1], "#") == 2 * count(lines[0], "#"));
  CHECK(count(lines[2], "#") == 0);
  CHECK(lines[0].find("# slow") != lines[0].npos);
  CHECK(bars_text(bars, "x", {.unicode = true}).find("█") != std::string::npos);
}

TEST_CASE("lines in the terminal rise where the series rises", "[lessons]") {
  const std::vector<Series> series = {{"up", {{0, 0}, {1, 1}}}, {"down", {{0, 1}, {1, 0}}}};
  const auto lines = lines_of(lines_text(series, {.x = "time", .y = "height"}, {.width = 40}));
  CHECK(lines[0] == "  height");
  CHECK(lines[1].find('b') < lines[1].find('a'));
  CHECK(lines[14].find('a') < lines[14].find('b'));
  CHECK(lines.back().find("b down") != std::string::npos);
  const std::string braille = lines_text(series, {}, {.width = 40, .unicode = true});
  CHECK(count(braille, "\xe2\xa0") + count(braille, "\xe2\xa1") + count(braille, "\xe2\xa2") > 20);
}

TEST_CASE("words of a map stand where their points are", "[lessons]") {
  const auto lines = lines_of(map_text({{"cat", 0, 0}, {"kitten", 0, 1}, {"tractor", 1, 0}}, {}));
  CHECK(lines.front() == "  kitten");
  CHECK(lines.back().find("cat") == 2);
  CHECK(lines.back().find("tractor") > 50);
  CHECK(lines.back().size() <= 74);
}

TEST_CASE("a heat map in the terminal is darkest where the value is largest", "[lessons]") {
  const auto lines = lines_of(heat_map_text({"r0", "r1"}, {"c0", "c1"}, {0, 1, 0.25, 0}, {}));
  REQUIRE(lines.size() == 3);
  CHECK(lines[0] == "     c0 c1");
  CHECK(lines[1] == "  r0    @@");
  CHECK(lines[2].size() == 7);
  CHECK(lines[2].substr(0, 5) == "  r1 ");
}
