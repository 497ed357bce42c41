// What attention can tell of the order, without training anything.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "lessons/09-position/experiments.h"
#include "lessons/09-position/model.h"
#include "lessons/support/chart.h"
#include "solutions/table.h"
#include "tinygpt/core/random.h"

namespace tinygpt::lessons {
namespace {

// Random embeddings and weights of one attention layer, in which the positions are to be tried.
struct Layer {
  int T;
  Ops<float> ops = ref::ops();
  std::vector<float> tokens, weight, places, sines, cosine, sine;

  explicit Layer(int T_) : T(T_) {
    Random random{9};
    const auto normal = [&](std::size_t n, double deviation) {
      std::vector<float> v(n);
      for (float& x : v) x = static_cast<float>(deviation * random.normal());
      return v;
    };
    const auto rows = static_cast<std::size_t>(T);
    tokens = normal(rows * kWidth, 1), weight = normal(3 * kWidth * kWidth, 1 / std::sqrt(kWidth));
    places = normal(rows * kWidth, 1), sines.resize(rows * kWidth);
    cosine.resize(rows * kHeadSize / 2), sine = cosine;
    ops.sinusoidal_positions(sines.data(), T, kWidth, kBase);
    ops.rope_table(cosine.data(), sine.data(), T, kHeadSize, kBase);
  }

  // What attention answers when token order[t] stands at place t: [T, kWidth].
  std::vector<float> attend(const std::vector<int>& order, Positions kind, bool causal) const {
    std::vector<float> x(tokens.size()), qkv(3 * tokens.size()), out(tokens.size());
    std::vector<float> lse(static_cast<std::size_t>(T) * kHeads);
    std::vector<float> scratch(
        static_cast<std::size_t>(ops.attention_scratch_size(1, T, kHeads, kHeads, kHeadSize)));
    ops.embedding_forward(x.data(), order.data(), tokens.data(), T, kWidth, T);
    if (kind == Positions::learned || kind == Positions::sinusoidal) {
      const float* table = (kind == Positions::learned ? places : sines).data();
      ops.learned_positions_forward(x.data(), x.data(), table, 1, T, kWidth, 0);
    }
    ops.linear_forward(qkv.data(), x.data(), weight.data(), nullptr, nullptr, T, kWidth,
                       3 * kWidth);
    if (kind == Positions::rotary) {
      ops.rope_forward(qkv.data(), cosine.data(), sine.data(), 1, T, 2 * kHeads, kHeadSize,
                       3 * kWidth, 0);
    }
    ops.attention_forward(out.data(), lse.data(), qkv.data(), scratch.data(), 1, T, kHeads, kHeads,
                          kHeadSize, causal);
    return out;
  }
};

std::vector<int> in_order(int T) {
  std::vector<int> order(static_cast<std::size_t>(T));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

// The largest difference between what a token gets in its own order and in the other; of the last
// place alone, or of all.
double difference(const Layer& layer, const std::vector<int>& order, Positions kind, bool causal,
                  bool last_only) {
  const auto before = layer.attend(in_order(layer.T), kind, causal);
  const auto after = layer.attend(order, kind, causal);
  double worst = 0;
  for (std::size_t t = last_only ? order.size() - 1 : 0; t < order.size(); ++t) {
    for (std::size_t c = 0; c < kWidth; ++c) {
      const double was = before[static_cast<std::size_t>(order[t]) * kWidth + c];
      worst = std::max(worst, std::abs(was - after[t * kWidth + c]));
    }
  }
  return worst;
}

}  // namespace

void permute(const std::vector<Option>&) {
  const char* words[] = {"the", "dog", "bites", "the", "man"};
  const std::vector<int> order = {0, 4, 2, 3, 1};
  Layer five(5);  // a token is a row of the table, and both "the" are the same
  std::copy_n(five.tokens.begin(), kWidth, five.tokens.begin() + 3 * kWidth);
  const auto before = five.attend(in_order(5), Positions::none, false);
  const auto after = five.attend(order, Positions::none, false);
  fmt::print(
      "attention without positions and without a mask: the first numbers of each output\n\n");
  for (std::size_t t = 0; t < 5; ++t) {
    const auto row = [&](const std::vector<float>& out, int token) {
      return fmt::format("{:>6} {:>10.6f} {:>10.6f}", words[token], out[t * kWidth],
                         out[t * kWidth + 1]);
    };
    fmt::print("{}      {}\n", row(before, static_cast<int>(t)), row(after, order[t]));
  }
  const Layer layer(64);
  std::vector<int> shuffled = in_order(64);
  Random random{5};
  for (std::size_t i = 62; i > 0; --i) std::swap(shuffled[i], shuffled[random.below(i + 1)]);
  fmt::print(
      "\n64 tokens shuffled, the last one left in its place:\n"
      "by how much does what a token gets change, at most?\n\n"
      "{:>14}{:>14}{:>24}\n",
      "positions", "no mask", "causal, last token");
  for (const Positions kind : kKinds) {
    fmt::print("{:>14}{:>14.7f}{:>24.7f}\n", name_of(kind),
               difference(layer, shuffled, kind, false, false),
               difference(layer, shuffled, kind, true, true));
  }
}

void waves(const std::vector<Option>&) {
  constexpr int T = 128, C = 64;
  std::vector<float> table(std::size_t{T} * C);
  ref::ops().sinusoidal_positions(table.data(), T, C, kBase);
  fmt::print("C = {}, base {}\n\n{:>8}{:>12}{:>14}{:>24}\n", C, kBase, "pair i", "columns",
             "wavelength", "row 0, 1, 2, 3, 4: sin");
  for (const int i : {0, 1, 2, 4, 8, 16, 24, 31}) {
    fmt::print("{:>8}{:>12}{:>14.1f}    ", i, fmt::format("{}, {}", 2 * i, 2 * i + 1),
               2 * M_PI * std::pow(kBase, 2.0 * i / C));
    for (std::size_t t = 0; t < 5; ++t) {
      fmt::print("{:>7.3f}", table[t * C + 2 * static_cast<std::size_t>(i)]);
    }
    fmt::print("\n");
  }
  Series alike{"dot product / (C / 2)", {}};
  for (int d = 0; d < T; ++d) {
    double dot = 0;
    for (std::size_t c = 0; c < C; ++c) {
      dot += table[c] * table[static_cast<std::size_t>(d) * C + c];
    }
    alike.points.emplace_back(d, dot / (C / 2));
  }
  fmt::print("\n");
  const Axes axes{.x = "distance of two places", .y = "how alike"};
  print_lines({alike}, axes);
  write_line_chart("lessons-out/09-waves.svg", "How alike the vectors of two places are", {alike},
                   axes);
}

void distance(const std::vector<Option>&) {
  constexpr int HS = 64, T = 129;
  std::vector<float> cosine(std::size_t{T} * HS / 2), sine = cosine;
  const Ops<float> ops = ref::ops();
  ops.rope_table(cosine.data(), sine.data(), T, HS, kBase);
  // Query and key are all ones; the query stands at place q, the key d places before it.
  const auto score = [&](int q, int d) {
    std::vector<float> x(HS, 1.0f), y = x;
    ops.rope_forward(x.data(), cosine.data(), sine.data(), 1, 1, 1, HS, HS, q);
    ops.rope_forward(y.data(), cosine.data(), sine.data(), 1, 1, 1, HS, HS, q - d);
    return std::inner_product(x.begin(), x.end(), y.begin(), 0.0) / HS;
  };
  fmt::print("{:>10}{:>18}{:>18}\n", "distance", "query at 64", "query at 128");
  Series line{"score / HS", {}};
  for (int d = 0; d <= 64; ++d) {
    line.points.emplace_back(d, score(64, d));
    if (d > 0 && (d & (d - 1)) != 0) continue;
    fmt::print("{:>10}{:>18.6f}{:>18.6f}\n", d, score(64, d), score(128, d));
  }
  write_line_chart("lessons-out/09-distance.svg", "Score of two equal vectors against distance",
                   {line}, {.x = "distance", .y = "score / HS"});
}

}  // namespace tinygpt::lessons
