#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "lessons/11-gpt/rig.h"
#include "lessons/support/chart.h"
#include "lessons/support/demo.h"
#include "lessons/support/table.h"
#include "solutions/table.h"
#include "tinygpt/core/random.h"
#include "tinygpt/cpu/table.h"

namespace tinygpt::lessons {
namespace {

std::vector<int> random_tokens(int n, int V, std::uint64_t seed) {
  Random random{seed};
  std::vector<int> tokens;
  for (int i = 0; i < n; ++i)
    tokens.push_back(static_cast<int>(random.below(static_cast<std::uint64_t>(V))));
  return tokens;
}

double deviation_of(const float* x, std::int64_t n) {
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += double{x[i]} * x[i];
  return std::sqrt(sum / static_cast<double>(n));
}

// The stream behind each block, with proj and down scaled by depth or not.
std::vector<double> stream_deviations(int L, bool scaled, std::uint64_t seed) {
  Rig rig({64, 32, L, 4, 64}, ref::ops(), 1, 32);
  ref::gpt_init(rig.parameters(), 0.1f, seed, rig.s);
  const float undo = std::sqrt(2.0f * static_cast<float>(L));
  for (const BlockParameters<float>& b : rig.parameters().blocks) {
    for (int i = 0; i < 64 * 64 && !scaled; ++i) b.proj_weight[i] *= undo;
    for (int i = 0; i < 64 * 256 && !scaled; ++i) b.down_weight[i] *= undo;
  }
  const std::vector<int> tokens = random_tokens(32, 64, seed);
  rig.loss(tokens, tokens);
  std::vector<double> deviations = {deviation_of(rig.a.embedded, 32 * 64)};
  for (const BlockActivations& b : rig.a.blocks) deviations.push_back(deviation_of(b.out, 32 * 64));
  return deviations;
}

// A hundred and twenty-eight characters of a story, as numbers in the order of their appearance.
struct OneBatch {
  std::vector<int> tokens, targets;
  int V = 0;
};
OneBatch one_batch(int B, int T) {
  const std::string text = make_stories(20).train;
  std::vector<int> number(256, -1);
  OneBatch batch;
  const auto id = [&](std::int64_t i) {
    int& n = number[static_cast<unsigned char>(text[static_cast<std::size_t>(i)])];
    if (n < 0) n = batch.V++;
    return n;
  };
  for (int i = 0; i < B * T; ++i) {
    batch.tokens.push_back(id(i));
    batch.targets.push_back(id(i + 1));
  }
  return batch;
}

}  // namespace

void start(const std::vector<Option>& options) {
  const auto seed = static_cast<std::uint64_t>(as_number(options, "seed"));
  std::vector<std::vector<std::string>> rows;
  for (const int V : {16, 64, 256, 1024}) {
    std::vector<std::string> row = {std::to_string(V), fmt::format("{:.3f}", std::log(V))};
    for (const float deviation : {0.02f, 0.2f, 1.0f}) {
      Rig rig({V, 32, 2, 4, 64}, ref::ops(), 4, 32);
      ref::gpt_init(rig.parameters(), deviation, seed, rig.s);
      const float loss = rig.loss(random_tokens(128, V, seed), random_tokens(128, V, seed + 1));
      row.push_back(fmt::format("{:.3f}", loss));
    }
    rows.push_back(row);
  }
  fmt::print("loss before the first step, on random tokens\n\n");
  print_table({"V", "ln V", "deviation 0.02", "0.2", "1"}, rows);

  std::vector<Series> lines;
  for (const bool scaled : {true, false}) {
    Series line{scaled ? "divided by sqrt(2 L)" : "not scaled", {}};
    const std::vector<double> deviations = stream_deviations(24, scaled, seed);
    for (std::size_t l = 0; l < deviations.size(); ++l)
      line.points.emplace_back(static_cast<double>(l), deviations[l]);
    lines.push_back(line);
  }
  fmt::print("\nsize of the stream in a machine of 24 blocks\n\n{:>8}{:>24}{:>16}\n", "block",
             lines[0].label, lines[1].label);
  for (const std::size_t l : {0u, 1u, 2u, 4u, 8u, 16u, 24u}) {
    fmt::print("{:>8}{:>24.3f}{:>16.3f}\n", l, lines[0].points[l].second,
               lines[1].points[l].second);
  }
  write_line_chart("lessons-out/11-stream.svg", "Size of the stream behind each block", lines,
                   {.x = "block", .y = "root of the mean square"});
}

void overfit(const std::vector<Option>& options) {
  const int steps = std::max(1, static_cast<int>(as_number(options, "steps")));
  constexpr int B = 4, T = 32;
  const OneBatch batch = one_batch(B, T);
  const Ops<float> ops = cpu::ops();
  struct Attempt {
    const char* name;
    Ops<float> ops;
  };
  const std::vector<Attempt> attempts = {{"right", ops},
                                         {"no embedding gradient", without_embedding_gradient(ops)},
                                         {"no head gradient", without_head_gradient(ops)},
                                         {"no stream gradient", without_stream_gradient(ops)}};
  std::vector<Series> lines;
  for (const Attempt& attempt : attempts) {
    Rig rig({batch.V, T, 4, 4, 64}, attempt.ops, B, T);
    ref::gpt_init(rig.parameters(), 0.05f, 1, rig.s);
    Series line{attempt.name, {}};
    for (int step = 0; step <= steps; ++step) {
      const float loss = rig.loss(batch.tokens, batch.targets);
      line.points.emplace_back(step, loss);
      rig.backward(batch.tokens, batch.targets);
      rig.adamw_step(1e-3f);
      show_progress(attempt.name, step, steps);
    }
    lines.push_back(line);
  }
  fmt::print("one batch of {} tokens, {} different ones: ln V = {:.3f}\n\n", B * T, batch.V,
             std::log(batch.V));
  std::vector<std::vector<std::string>> rows;
  for (int k = 0; k <= 5; ++k) {
    const auto at = static_cast<std::size_t>(steps * k / 5);
    std::vector<std::string> row = {std::to_string(at)};
    for (const Series& line : lines) row.push_back(fmt::format("{:.4f}", line.points[at].second));
    rows.push_back(row);
  }
  print_table({"step", lines[0].label, lines[1].label, lines[2].label, lines[3].label}, rows);
  for (Series& line : lines) {  // every tenth point is enough for a chart
    std::vector<std::pair<double, double>> points;
    for (std::size_t i = 0; i < line.points.size(); i += 10) points.push_back(line.points[i]);
    line.points = points;
  }
  write_line_chart("lessons-out/11-overfit.svg", "One batch, learned by heart", lines,
                   {.x = "steps", .y = "nats per token", .log_y = true});
}

}  // namespace tinygpt::lessons
