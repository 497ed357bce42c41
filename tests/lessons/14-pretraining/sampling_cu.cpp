// Grades exercises/14-pretraining/sampling.cu.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "solutions/14-pretraining/sampling.cuh"
#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {
namespace {

constexpr int kBlock = 256;

// Runs a kernel that writes one int, and reads it.
template <class Launch>
int token_of(Exam& exam, Sandbox& s, const Launch& launch) {
  float* const place = s.output(1);  // an int of the device, in the place of a float
  launch(reinterpret_cast<int*>(place));
  int token = 0;
  exam.memory().copy_out(&token, place, sizeof(token));
  return token;
}

// ---- argmax

void expect_argmax(Exam& exam, const std::string& what, const Values& logits, int expected) {
  const auto V = static_cast<int>(logits.size());
  Sandbox& s = exam.call(fmt::format("argmax(V={}), {}", V, what));
  const float* x = s.input(logits);
  const int token = token_of(exam, s, [&](int* to) { ref_cuda::argmax<float>(to, x, V); });
  const double largest = *std::max_element(logits.begin(), logits.end());
  int last = -1, of_tile = 0;
  for (int v = 0; v < V; ++v) {
    if (logits[static_cast<std::size_t>(v)] == largest) last = v;
    if (v < kBlock &&
        logits[static_cast<std::size_t>(v)] > logits[static_cast<std::size_t>(of_tile)])
      of_tile = v;
  }
  const bool a_tie = token >= 0 && token < V && logits[static_cast<std::size_t>(token)] == largest;
  std::vector<Exam::Slip<std::int64_t>> slips = {
      {expected > 0 ? 0 : -2,
       "These logits are all negative, and you find none of them: start the largest at -INFINITY, "
       "not at 0."},
      {last, "Of equals, the first: you take the last."},
      {-1 - (expected == -1),
       "-1 stands for broken logits, and these are sound. Where a thread has no logits, does it "
       "still name a place inside the vocabulary?"},
      {of_tile,
       "This is the largest of the first 256: with more tokens than threads, each thread "
       "has several."}};
  if (a_tie)
    slips = {{token,
              "A tie: of equal logits the first wins, in the thread's own loop and "
              "where two threads' finds are compared."}};
  exam.expect_equal("token", token, expected, slips);
}

void examine_argmax(Exam& exam) {
  for (const int V : {4, 1, 2, 31, 33, 255, 256, 257, 1000}) {
    for (const int at : {V / 2, V - 1, 0, std::min(V - 1, 255), V * 2 / 3}) {
      Values logits = random_values(V, 1, 2.0, -40);
      logits[static_cast<std::size_t>(at)] = -20;
      expect_argmax(exam, fmt::format("the largest at {}", at), logits, at);
    }
  }
  struct Tie {
    int V, first, second;
  };
  for (const auto& [V, first, second] : std::vector<Tie>{{4, 1, 2},
                                                         {300, 10, 266},
                                                         {300, 5, 260},
                                                         {300, 100, 260},
                                                         {513, 255, 256},
                                                         {64, 3, 35}}) {
    Values logits = random_values(V, 2);
    logits[static_cast<std::size_t>(first)] = logits[static_cast<std::size_t>(second)] = 50;
    expect_argmax(exam, fmt::format("the largest twice: at {} and {}", first, second), logits,
                  first);
  }
  Values masked(300, -INFINITY);
  expect_argmax(exam, "all of them -inf", masked, -1);
  masked[290] = -1e30;
  expect_argmax(exam, "all but one of them -inf", masked, 290);
}

// ---- scan

void examine_scan(Exam& exam) {
  for (const int n : {4, 1, 2, 31, 32, 33, 64, 255, 256, 257, 1000, 0}) {
    const Values in = random_values(n, 3, 1.0, 0.5);
    Values sums, exclusive, warps, tiles, steps;
    double sum = 0, warp = 0, tile = 0;
    for (int i = 0; i < n; ++i) {
      const double value = in[static_cast<std::size_t>(i)];
      if (i % 32 == 0) warp = 0;
      if (i % kBlock == 0) tile = 0;
      exclusive.push_back(sum);
      sum += value, warp += value, tile += value;
      sums.push_back(sum), warps.push_back(sum - tile + warp), tiles.push_back(tile);
      steps.push_back(value + sum - tile +
                      (i % kBlock > 0 ? in[static_cast<std::size_t>(i) - 1] : 0));
    }
    const auto windows = [&](int width) {  // the last values, as many at most, of this tile
      Values out;
      for (int i = 0; i < n; ++i) {
        const int from = i - std::min(i % kBlock, width - 1);
        const int tile_start = i - i % kBlock;
        out.push_back(tile_start > 0 ? sums[static_cast<std::size_t>(tile_start) - 1] : 0);
        for (int j = from; j <= i; ++j) out.back() += in[static_cast<std::size_t>(j)];
      }
      return out;
    };
    Sandbox& s = exam.call(fmt::format("cumulative_sum(n={})", n));
    float* out = s.output(n);
    const float* x = s.input(in);
    ref_cuda::cumulative_sum(out, x, n);
    exam.expect(
        "out", out, sums, {{"i", n}}, {.terms = 16, .scale = 2.0 * n},
        {gives(exclusive,
               "Each thread gets the sum of the values in front of it. Its own value "
               "belongs to its sum."),
         gives(warps,
               "The sums start anew every 32 threads. A scan of the block goes across "
               "warps."),
         gives(windows(kBlock / 2),
               "Each thread has the sum of 128 values at most: a step is missing. The distance "
               "doubles up to half of the block, 128, and that step is the last."),
         gives(windows(32),
               "Each thread has the sum of 32 values at most. The distance doubles up to half of "
               "the block, not of a warp."),
         gives(steps,
               "Each thread has added its neighbour only. The distance doubles: 1, 2, 4, up "
               "to half of the block."),
         gives(tiles,
               "The sums start anew every 256 values: what block_scan leaves in shared "
               "memory must not matter to its next call.")});
  }
}

// ---- sampling

struct Draw {
  double temperature = 1;
  bool multiplied = false, whole_vocabulary = true, greedy = false, in_front = false;
  bool tile_alone = false, tile_twice = false, share_of_one = false;
};

// The token in whose share u falls, by what one may make of it.
int expected_token(const Values& logits, double u, const Draw& draw) {
  const auto at = std::max_element(logits.begin(), logits.end());
  if (draw.greedy) return static_cast<int>(at - logits.begin());
  Values sums;
  double sum = 0;
  const std::size_t n =
      draw.whole_vocabulary ? logits.size() : std::min<std::size_t>(logits.size(), kBlock);
  for (std::size_t v = 0; v < n; ++v) {
    const double above = logits[v] - *at;
    sum += std::exp(draw.multiplied ? above * draw.temperature : above / draw.temperature);
    sums.push_back(sum);
  }
  const double wanted = draw.share_of_one ? u : u * sum;
  int token = 0;
  while (token + 1 < static_cast<int>(n) && sums[static_cast<std::size_t>(token)] <= wanted)
    ++token;
  if (draw.tile_twice) return token / kBlock * kBlock;
  if (draw.tile_alone && token >= kBlock) {  // its sum begins at 0 again
    const int first = token / kBlock * kBlock;
    const double before = sums[static_cast<std::size_t>(first) - 1];
    const int end = std::min(first + kBlock, static_cast<int>(n));
    token = first;
    while (token + 1 < end && sums[static_cast<std::size_t>(token)] - before <= u * sum) ++token;
  }
  return std::max(token - (draw.in_front ? 1 : 0), 0);
}

void expect_drawn(Exam& exam, const std::string& what, const Values& logits, double temperature,
                  const std::vector<double>& us) {
  const auto V = static_cast<int>(logits.size());
  std::vector<int> tokens;
  for (const double u : us) {
    Sandbox& s = exam.call(
        fmt::format("sample(V={}, temperature={}, u={:.6f}), {}", V, temperature, u, what));
    const float* x = s.input(logits);
    tokens.push_back(token_of(exam, s, [&](int* to) {
      ref_cuda::sample<float>(to, x, V, static_cast<float>(temperature), u);
    }));
  }
  const auto with = [&](const Draw& draw) {
    std::vector<int> expected;
    for (const double u : us) expected.push_back(expected_token(logits, u, draw));
    return expected;
  };
  exam.call(fmt::format("sample(V={}, temperature={}), {}, for {} values of u", V, temperature,
                        what, us.size()));
  const std::vector<int> expected = with({temperature});
  std::vector<int> empty_scan;
  for (const int token : expected)
    empty_scan.push_back(std::min(token / kBlock * kBlock + kBlock, V) - 1);
  exam.expect_equal(
      "the list of tokens", tokens, expected,
      {{with({.temperature = temperature, .multiplied = true}),
        "You multiply by the temperature; it divides."},
       {with({}), "The temperature has no effect."},
       {with({.temperature = temperature, .whole_vocabulary = false}),
        "Only the first 256 tokens are ever drawn: go on, tile by tile."},
       {with({.temperature = temperature, .greedy = true}),
        "This is always the likeliest token. Are the weights those of logit - largest, divided by "
        "the temperature?"},
       {with({.temperature = temperature, .share_of_one = true}),
        "You compare the sums with u. They are sums of weights, which end at the total and not at "
        "1: compare them with u times the total."},
       {with({.temperature = temperature, .in_front = true}),
        "It is the first token whose sum is greater than what is wanted, its own weight included; "
        "you are one in front of it."},
       {with({.temperature = temperature, .tile_alone = true}),
        "Right in the first tile only. In the others the sum goes on from what the tiles in front "
        "hold."},
       {std::abs(logits[0]) < 80 ? with({.temperature = temperature, .tile_twice = true})
                                 : std::vector<int>{},
        "Always the first token of a tile. In front of the tile that is scanned lie the tiles "
        "before it: is its own sum in there, too?"},
       {std::vector<int>(us.size(), 0),
        "Always token 0: are the sums infinite, or NaN? exp(89) is infinite in float. Take the "
        "largest logit off first."},
       {empty_scan,
        "The right tile, but always its last token: does block_scan give each thread "
        "its sum, and do you take the smallest token whose sum is greater than what "
        "is wanted?"}});
}

void examine_sample(Exam& exam) {
  struct Case {
    int V;
    double temperature, scale, mean;
  };
  for (const auto& [V, temperature, scale, mean] : std::vector<Case>{{9, 1, 0.1, 0},
                                                                     {4, 1, 1, 0},
                                                                     {1, 1, 1, 0},
                                                                     {31, 0.5, 2, 0},
                                                                     {33, 2, 2, 0},
                                                                     {256, 1, 2, 0},
                                                                     {257, 1, 1, 0},
                                                                     {611, 1.5, 2, 0},
                                                                     {40, 1, 3, 500},
                                                                     {40, 1, 3, -500}}) {
    const Values logits = random_values(V, 4, scale, mean);
    const std::vector<float> rounded(logits.begin(), logits.end());
    const Values exact(rounded.begin(), rounded.end());
    // The middle of some tokens' shares: no rounding decides there.
    Values weights;
    double total = 0;
    const double largest = *std::max_element(exact.begin(), exact.end());
    for (const double x : exact) {
      weights.push_back(std::exp((x - largest) / temperature));
      total += weights.back();
    }
    std::vector<double> us;
    double sum = 0;
    for (int v = 0; v < V; ++v) {
      const double w = weights[static_cast<std::size_t>(v)];
      const bool asked = v % std::max(V / 4, 1) == 0 || v == V - 1 || v == 255 || v == 256;
      if (asked && w / total > 2e-5) us.push_back((sum + w / 2) / total);
      sum += w;
    }
    expect_drawn(exam, fmt::format("logits around {} +- {}", mean, scale), exact, temperature, us);
  }
  Values masked(600, -INFINITY);
  masked[17] = masked[280] = 2;
  const double most = 1 - 0x1.0p-53;
  for (const double u : {0.0, 0.4999, 0.5001, most}) {
    Sandbox& s = exam.call(
        fmt::format("sample(V=600, temperature=1, u={}), all but tokens 17 and 280 at -inf", u));
    const float* x = s.input(masked);
    const int token =
        token_of(exam, s, [&](int* to) { ref_cuda::sample<float>(to, x, 600, 1.0f, u); });
    exam.expect_equal("token", token, u < 0.5 ? 17 : 280,
                      {{0,
                        "Token 0 has no probability: its sum must be greater than u * total, "
                        "not equal to it."},
                       {599,
                        "The last token has no probability. Where u is nearly 1, rounding may "
                        "leave all sums at u * total: fall back on the last token that has a "
                        "weight."}});
  }
}

// ---- what a GPU's memory is asked for

void run_argmax(const Memory& memory) {
  constexpr int kV = 4096;
  auto* x = static_cast<float*>(memory.allocate(kV * sizeof(float)));
  auto* token = static_cast<int*>(memory.allocate(sizeof(int)));
  memory.zero(x, kV * sizeof(float));
  ref_cuda::argmax<float>(token, x, kV);
  memory.release(x);
  memory.release(token);
}

void run_sample(const Memory& memory) {
  constexpr int kV = 4096;
  auto* x = static_cast<float*>(memory.allocate(kV * sizeof(float)));
  auto* token = static_cast<int*>(memory.allocate(sizeof(int)));
  memory.zero(x, kV * sizeof(float));
  ref_cuda::sample<float>(token, x, kV, 1.0f, 0.5);
  memory.release(x);
  memory.release(token);
}

}  // namespace

std::vector<Task> tasks() {
  return {{"14.argmax_cuda", examine_argmax, {"4,096 logits", run_argmax}},
          {"14.scan_cuda", examine_scan},
          {"14.sample_cuda", examine_sample, {"4,096 equal logits, u = 0.5", run_sample}}};
}

}  // namespace tinygpt::lessons
