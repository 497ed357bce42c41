// Attention maps in the terminal and as a picture.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "lessons/08-multi-head/experiments.h"
#include "lessons/support/chart.h"
#include "lessons/support/picture.h"
#include "lessons/support/table.h"

namespace tinygpt::lessons {
namespace {

// What a head does with the queries that have more than the start and their neighbour to look at:
// the mean share of each kind of key, and the strongest look at another one.
std::vector<std::string> habits(const std::vector<std::string>& tokens, const AttentionMaps& maps,
                                int layer, int head) {
  const int T = maps.time;
  const std::span<const float> p = maps.map(layer, head);
  double itself = 0, before = 0, start = 0, strongest = 0;
  std::string pair = "-";
  const int queries = std::max(T - 2, 1);
  for (int t = 2; t < T; ++t) {
    const float* row = p.data() + t * T;
    itself += row[t], before += row[t - 1], start += row[0];
    for (int u = 1; u < t - 1; ++u) {
      if (row[u] <= strongest) continue;
      strongest = row[u];
      pair =
          fmt::format("{} -> {} {:.2f}", tokens[std::size_t(t)], tokens[std::size_t(u)], strongest);
    }
  }
  const auto share = [&](double sum) { return fmt::format("{:.2f}", sum / queries); };
  return {fmt::format("layer {}, head {}", layer, head), share(itself), share(before), share(start),
          share(queries - itself - before - start),      pair};
}

// All heads of a layer, as many side by side as the screen is wide.
void print_layer(const std::vector<std::string>& tokens, const AttentionMaps& maps, int layer) {
  Screen screen = this_screen();
  screen.colour = false;
  const int T = maps.time, each = 2 * T + 2;
  const std::vector<std::string> none(tokens.size(), "");
  int room = 0;
  for (const std::string& token : tokens) room = std::max(room, display_width(token));
  const int fit = std::max((screen.width - room) / each, 1);
  screen.width = 4 * T + 20;  // of one map, which is two columns a token wide
  for (int first = 0; first < maps.heads; first += fit) {
    const int last = std::min(first + fit, maps.heads);
    std::string title = padded("", room);
    std::vector<std::string> lines;
    for (const std::string& token : tokens) lines.push_back(padded(token, room, true));
    for (int h = first; h < last; ++h) {
      title += padded(fmt::format("  layer {}, head {}", layer, h), each);
      const std::span<const float> p = maps.map(layer, h);
      const std::string map = heat_map_text(none, none, {p.begin(), p.end()}, screen);
      std::size_t at = map.find('\n') + 1;  // the line of column labels is empty
      for (std::string& line : lines) {
        const std::size_t end = map.find('\n', at);
        line += padded(end - at > 1 ? map.substr(at + 1, end - at - 1) : "", each);
        at = end + 1;
      }
    }
    if (layer > 0 || first > 0) fmt::print("\n");
    fmt::print("{}\n", title.substr(0, title.find_last_not_of(' ') + 1));
    for (const std::string& line : lines) {
      fmt::print("{}\n", line.substr(0, line.find_last_not_of(' ') + 1));
    }
  }
}

void draw_map(Picture& picture, std::span<const float> p, int T, double left, double top,
              double cell) {
  for (int t = 0; t < T; ++t) {
    for (int u = 0; u <= t; ++u) {
      const double strength = 0.9 * std::sqrt(std::max(p[std::size_t(t * T + u)], 0.0f));
      if (strength < 0.02) continue;
      picture.rect(left + u * cell, top + t * cell, cell, cell, "s0", strength);
    }
  }
  const double right = left + T * cell, bottom = top + T * cell;
  picture.line(left, top, left, bottom, "line", 0.7);
  picture.line(left, bottom, right, bottom, "line", 0.7);
  picture.line(left + cell, top, right, bottom - cell, "line", 0.7);
}

}  // namespace

void print_maps(const std::vector<std::string>& tokens, const AttentionMaps& maps) {
  for (int layer = 0; layer < maps.layers; ++layer) print_layer(tokens, maps, layer);
  fmt::print("\n");
}

void print_habits(const std::vector<std::string>& tokens, const AttentionMaps& maps) {
  std::vector<std::vector<std::string>> rows;
  for (int layer = 0; layer < maps.layers; ++layer) {
    for (int head = 0; head < maps.heads; ++head) {
      rows.push_back(habits(tokens, maps, layer, head));
    }
  }
  fmt::print("mean share of what each looks at, from the third on\n");
  print_table({"", "itself", "one before", "the first", "others", "strongest look at another"},
              rows);
}

void write_maps(const std::string& path, const std::vector<std::string>& tokens,
                const AttentionMaps& maps) {
  constexpr double kCell = 14, kTop = 58, kGap = 16, kMostWide = 700;
  const int T = maps.time, heads = maps.heads;
  double room = 40;
  for (const std::string& token : tokens) room = std::max(room, text_width(token) + 14);
  const double wide = T * kCell + kGap, high = T * kCell + 34;
  const int fit = std::max(1, static_cast<int>((kMostWide - room) / wide));
  const int lines = (heads + fit - 1) / fit, across = (heads + lines - 1) / lines;
  Picture picture(std::max(room + across * wide + 8, 560.0), kTop + maps.layers * lines * high,
                  "Who looks at whom, by layer and head");
  picture.text(12, 22, "Who looks at whom", Anchor::start, "ink", true);
  picture.text(12, 41, "Row: the token that looks. Column: the token looked at, in the same order.",
               Anchor::start, "dim");
  for (int i = 0; i < maps.layers * lines; ++i) {
    const int layer = i / lines;
    const double top = kTop + i * high + 20;
    for (int t = 0; t < T; ++t) {
      picture.text(room - 8, top + t * kCell + 12, tokens[std::size_t(t)], Anchor::end);
    }
    for (int h = i % lines * across; h < std::min((i % lines + 1) * across, heads); ++h) {
      const double left = room + (h % across) * wide;
      picture.text(left, top - 6, fmt::format("layer {}, head {}", layer, h), Anchor::start, "ink",
                   true);
      draw_map(picture, maps.map(layer, h), T, left, top, kCell);
    }
  }
  picture.save(path);
}

}  // namespace tinygpt::lessons
