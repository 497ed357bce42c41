// What each head of a trained model looks at, for a sentence of the reader's.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <filesystem>

#include "lessons/08-multi-head/experiments.h"
#include "lessons/support/chart.h"
#include "lessons/support/loss_curve.h"
#include "lessons/support/picture.h"
#include "lessons/support/table.h"
#include "tinygpt/core/error.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/io/tokenizer_json.h"
#include "tinygpt/model/attention_maps.h"
#include "tinygpt/model/folder.h"
#include "tinygpt/text/tinytales.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt::lessons {
namespace {

constexpr int kMostTokens = 40;  // more would be too small to read

struct Looks {
  std::vector<std::string> tokens;
  AttentionMaps maps;
};

// A token as a label: without the space before it, and with a sign where it goes on with a word.
std::string label_of(const Tokenizer& tokenizer, int token, bool first) {
  const SpecialToken* end = find_special(tokenizer, kEndOfText);
  if (end != nullptr && token == end->id) return "start";
  const std::string bytes = tokenizer.vocabulary[static_cast<std::size_t>(token)];
  if (bytes == "\n") return "line";
  std::string text = replace_controls(replace_invalid_utf8(bytes));
  if (!text.empty() && text[0] == ' ') return text.substr(1);
  const bool letter = !text.empty() && std::isalnum(static_cast<unsigned char>(text[0])) != 0;
  return letter && !first ? "+" + text : text;
}

Looks look_at(const std::string& folder, const std::string& text) {
  check(std::filesystem::exists(std::filesystem::path(folder) / "config.json"), [&] {
    return fmt::format(
        "{}: there is no model here: ./course demo makes one in three minutes, --model names "
        "another folder",
        folder);
  });
  const GptConfig config = read_model_config(folder);
  check_has_weights(folder);
  const Tokenizer tokenizer = load_tokenizer(std::filesystem::path(folder) / "tokenizer.json");
  check(vocab_size(tokenizer) <= config.vocab_size,
        [&] { return fmt::format("{}: its tokenizer has more tokens than its model", folder); });
  std::vector<int> tokens = encode(tokenizer, text);
  check(!tokens.empty(), "--text is empty: write a sentence");
  const SpecialToken* end = find_special(tokenizer, kEndOfText);
  if (end != nullptr) tokens.insert(tokens.begin(), end->id);  // a text begins there
  const int T = static_cast<int>(tokens.size()),
            most = std::min(kMostTokens, config.context_length);
  check(T <= most, [&] {
    return fmt::format("--text has {} tokens, and there is room for {}: write a shorter sentence",
                       T, most);
  });
  Gpt<float> model = make_gpt(config, cpu::ops(), host_memory(), Purpose::training, 1, T);
  load_parameters(model, folder);
  forward(model, tokens, {}, 1, T);
  Looks looks{{}, attention_maps(model)};
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    looks.tokens.push_back(label_of(tokenizer, tokens[t], t <= 1));
  }
  return looks;
}

// What a head does with the queries that have more than the start and their neighbour to look at:
// the mean share of each kind of key, and the strongest look at another one.
std::vector<std::string> habits(const Looks& looks, int layer, int head) {
  const int T = looks.maps.time;
  const std::span<const float> p = looks.maps.map(layer, head);
  double itself = 0, before = 0, start = 0, strongest = 0;
  std::string pair = "-";
  const int queries = std::max(T - 2, 1);
  for (int t = 2; t < T; ++t) {
    const float* row = p.data() + t * T;
    itself += row[t], before += row[t - 1], start += row[0];
    for (int u = 1; u < t - 1; ++u) {
      if (row[u] <= strongest) continue;
      strongest = row[u];
      pair = fmt::format("{} -> {} {:.2f}", looks.tokens[std::size_t(t)],
                         looks.tokens[std::size_t(u)], strongest);
    }
  }
  const auto share = [&](double sum) { return fmt::format("{:.2f}", sum / queries); };
  return {fmt::format("layer {}, head {}", layer, head), share(itself), share(before), share(start),
          share(queries - itself - before - start),      pair};
}

// All heads of a layer, as many side by side as the screen is wide.
void print_layer(const Looks& looks, int layer) {
  Screen screen = this_screen();
  screen.colour = false;
  const int T = looks.maps.time, each = 2 * T + 2;
  const std::vector<std::string> none(looks.tokens.size(), "");
  int room = 0;
  for (const std::string& token : looks.tokens) room = std::max(room, display_width(token));
  const int fit = std::max((screen.width - room) / each, 1);
  screen.width = 4 * T + 20;  // of one map, which is two columns a token wide
  for (int first = 0; first < looks.maps.heads; first += fit) {
    const int last = std::min(first + fit, looks.maps.heads);
    std::string title = padded("", room);
    std::vector<std::string> lines;
    for (const std::string& token : looks.tokens) lines.push_back(padded(token, room, true));
    for (int h = first; h < last; ++h) {
      title += padded(fmt::format("  layer {}, head {}", layer, h), each);
      const std::span<const float> p = looks.maps.map(layer, h);
      const std::string map = heat_map_text(none, none, {p.begin(), p.end()}, screen);
      std::size_t at = map.find('\n') + 1;  // the line of column labels is empty
      for (std::string& line : lines) {
        const std::size_t end = map.find('\n', at);
        line += padded(end - at > 1 ? map.substr(at + 1, end - at - 1) : "", each);
        at = end + 1;
      }
    }
    fmt::print("\n{}\n", title.substr(0, title.find_last_not_of(' ') + 1));
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
  picture.line(left, top, right, bottom, "line", 0.7);
}

void write_picture(const std::string& path, const Looks& looks) {
  constexpr double kCell = 15, kTop = 58, kGap = 18, kMostWide = 1120;
  const int T = looks.maps.time, heads = looks.maps.heads;
  double room = 40;
  for (const std::string& token : looks.tokens) room = std::max(room, text_width(token) + 14);
  const double wide = T * kCell + kGap, high = T * kCell + 34;
  const int fit = std::max(1, static_cast<int>((kMostWide - room) / wide));
  const int lines = (heads + fit - 1) / fit, across = (heads + lines - 1) / lines;
  Picture picture(std::max(room + across * wide + 8, 560.0),
                  kTop + looks.maps.layers * lines * high, "Who looks at whom, by layer and head");
  picture.text(12, 22, "Who looks at whom", Anchor::start, "ink", true);
  picture.text(12, 41, "Row: the token that looks. Column: the token looked at, in the same order.",
               Anchor::start, "dim");
  for (int i = 0; i < looks.maps.layers * lines; ++i) {
    const int layer = i / lines;
    const double top = kTop + i * high + 20;
    for (int t = 0; t < T; ++t) {
      picture.text(room - 8, top + t * kCell + 12, looks.tokens[std::size_t(t)], Anchor::end);
    }
    for (int h = i % lines * across; h < std::min((i % lines + 1) * across, heads); ++h) {
      const double left = room + (h % across) * wide;
      picture.text(left, top - 6, fmt::format("layer {}, head {}", layer, h), Anchor::start, "ink",
                   true);
      draw_map(picture, looks.maps.map(layer, h), T, left, top, kCell);
    }
  }
  picture.save(path);
}

}  // namespace

void look(const std::vector<Option>& options) {
  const Looks looks = look_at(as_text(options, "model"), as_text(options, "text"));
  for (int layer = 0; layer < looks.maps.layers; ++layer) print_layer(looks, layer);
  std::vector<std::vector<std::string>> rows;
  for (int layer = 0; layer < looks.maps.layers; ++layer) {
    for (int head = 0; head < looks.maps.heads; ++head) rows.push_back(habits(looks, layer, head));
  }
  fmt::print("\nmean share of what the tokens after the first look at\n");
  print_table({"", "itself", "the one before", "start", "others", "strongest look at another"},
              rows);
  write_picture(as_text(options, "picture"), looks);
}

void pictures(const std::vector<Option>& options) {
  const std::string model = as_text(options, "model"), folder = as_text(options, "folder");
  std::string problem;
  const auto draw = [&](const auto& work) {
    try {
      work();
    } catch (const std::exception& error) {
      problem += (problem.empty() ? "" : "; ") + std::string(error.what());
    }
  };
  draw([&] {
    write_picture(folder + "/demo-attention.svg", look_at(model, as_text(options, "text")));
  });
  draw([&] {
    write_loss_curve(folder + "/demo-loss.svg", "The loss on its way to the floor",
                     read_loss_curve(model + "/log.jsonl"));
  });
  check(problem.empty(), problem.c_str());
}

}  // namespace tinygpt::lessons
