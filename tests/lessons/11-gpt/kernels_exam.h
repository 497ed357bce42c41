// How the two kernels beside the operators are examined: the mean of the losses, and first values.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "solutions/11-gpt/gpt.cuh"
#include "tests/lessons/grading/exam.h"
#include "tinygpt/core/random.h"

namespace tinygpt::lessons {

// Targets of which every third is ignored, and losses that a mean over too many would show.
inline std::vector<int> some_ignored(int N) {
  std::vector<int> targets = random_tokens(N, 50, 5);
  for (std::size_t n = 2; n < targets.size(); n += 3) targets[n] = kIgnoreTarget;
  return targets;
}

inline void examine_mean(Exam& exam) {
  for (const int N : {1, 2, 3, 31, 32, 33, 255, 256, 257, 1000, 0}) {
    for (const bool all_ignored : {false, true}) {
      if (all_ignored && N > 33) continue;
      const Values losses = random_values(N, 6, 0.5, 3.0);
      const std::vector<int> targets =
          all_ignored ? std::vector<int>(static_cast<std::size_t>(N), kIgnoreTarget)
                      : some_ignored(N);
      double sum = 0, everything = 0, first_pass = 0, first_warp = 0, above_zero = 0;
      int count = 0, first_count = 0, above_count = 0;
      Values of_thread(256), thread_count(256);
      for (std::size_t n = 0; n < losses.size(); ++n) {
        everything += losses[n];
        if (targets[n] == kIgnoreTarget) continue;
        sum += losses[n], ++count;
        of_thread[n % 256] += losses[n], ++thread_count[n % 256];
        if (n < 256) first_pass += losses[n], ++first_count;
        if (targets[n] > 0) above_zero += losses[n], ++above_count;
      }
      double means = 0, warp_count = 0;
      for (std::size_t i = 0; i < 256; ++i) {
        if (thread_count[i] > 0) means += of_thread[i] / thread_count[i] / 256;
        if (i < 32) first_warp += of_thread[i], warp_count += thread_count[i];
      }
      Sandbox& s = exam.call(
          fmt::format("mean_loss(N={}{})", N, all_ignored ? ", every target ignored" : ""));
      float* loss = s.output(1);
      const float* losses_ = s.input(losses);
      ref_cuda::mean_loss(loss, losses_, s.input(targets), N);
      const double right = count == 0 ? 0.0 : sum / count;
      std::vector<Mistake> mistakes;
      if (N == 0) {
        mistakes.push_back(when([](const Answer&) { return true; },
                                "N = 0: there are no losses, and loss[0] is to be 0. Launch the "
                                "kernel all the same: it writes that 0."));
      }
      const std::vector<Mistake> usual = {
          gives({sum / N},
                "The sum is right, but it was divided by N. Ignored targets do not "
                "count: divide by those that do."),
          gives({everything / N}, "Ignored targets were added, and counted. They have no loss."),
          gives({sum}, "This is the sum. The mean is asked for."),
          when([](const Answer& a) { return std::isnan(a.actual[0]); },
               "NaN: where every target is ignored, 0 is divided by 0. The contract says 0."),
          gives({means},
                "This is the mean of the threads' means. Some threads have more losses than "
                "others, and many have none: add up sums and counts, and divide once.")};
      mistakes.insert(mistakes.end(), usual.begin(), usual.end());
      if (N > 32) {
        mistakes.push_back(gives({first_warp / std::max(warp_count, 1.0)},
                                 "Only the losses of the first 32 threads arrived: warp_sum adds "
                                 "up a warp, block_sum the whole block."));
      }
      if (above_count != count) {
        mistakes.push_back(gives({above_zero / std::max(above_count, 1)},
                                 "Targets of 0 were left out. 0 is a token like any other: what "
                                 "is ignored is kIgnoreTarget, which is -1."));
      }
      if (N > 256) {
        mistakes.push_back(gives({first_pass / std::max(first_count, 1)},
                                 "Only the first 256 losses were looked at: a thread takes more "
                                 "than one, blockDim.x apart."));
      }
      exam.expect("loss", loss, Values{right}, {{"loss", 1}}, {.terms = 1000, .scale = 4},
                  mistakes);
    }
  }
}

inline void examine_normal(Exam& exam) {
  for (const int n : {1, 7, 255, 256, 257, 2000}) {
    for (const std::uint64_t stream : {std::uint64_t{0}, std::uint64_t{1} << 40}) {
      const std::uint64_t seed = 1234567890123ull;
      const auto sequence = [&](std::uint64_t s, std::uint64_t of, double deviation) {
        Random random{s, 0, of};
        Values values(static_cast<std::size_t>(n));
        for (double& value : values) value = deviation * random.normal();
        return values;
      };
      const Values expected = sequence(seed, stream, 0.25);
      Values same = expected;
      for (double& value : same) value = expected[0];
      // By the formula, with a part of it exchanged.
      const auto numbers = [&](auto number) {
        Values values;
        for (int i = 0; i < n; ++i) values.push_back(0.25 * number(static_cast<std::uint64_t>(i)));
        return values;
      };
      const auto u = [](const Philox4& r) { return (double{1} + r[0]) * 0x1.0p-32; };
      const auto angle = [](const Philox4& r) { return 2 * M_PI * r[1] * 0x1.0p-32; };
      const auto radius = [&](const Philox4& r) { return std::sqrt(-2 * std::log(u(r))); };
      const auto normal = [&](const Philox4& r) { return radius(r) * std::cos(angle(r)); };
      const auto of = [&](std::uint64_t i) { return philox4x32(seed, i, stream); };
      Sandbox& s = exam.call(
          fmt::format("fill_normal(n={}, deviation=0.25, seed={}, stream={})", n, seed, stream));
      float* x = s.output(n);
      ref_cuda::fill_normal(x, n, 0.25f, seed, stream);
      std::vector<Mistake> mistakes = {
          gives(sequence(seed, 0, 0.25),
                "The stream is not used: every tensor of a model would "
                "begin with the same numbers."),
          gives(sequence(0, stream, 0.25), "The seed is not used."),
          gives(sequence(seed, stream, 1.0), "The deviation is missing."),
          gives(sequence(seed, stream, 0.0625), "The deviation counts twice."),
          gives(numbers([&](auto i) { return radius(of(i)) * std::sin(angle(of(i))); }),
                "This is the other number of Box and Muller's pair: r[1] goes into a cosine here, "
                "not into a sine."),
          gives(numbers([&](auto i) { return normal(of(i)) / std::sqrt(2.0); }),
                "The factor 2 under the root is missing: sqrt(-2 log u)."),
          gives(numbers([&](auto i) { return normal(of(i)) / std::sqrt(std::log(10.0)); }),
                "The logarithm is the one to base 10. Box and Muller's is the natural one, log."),
          gives(numbers([&](auto i) { return radius(of(i)) * std::cos(angle(of(i)) / 2); }),
                "The angle goes only half the way round: cos(2 pi v)."),
          gives(numbers([&](auto i) { return normal(philox4x32(stream, i, seed)); }),
                "The seed and the stream have changed places: philox4x32(seed, i, stream)."),
          gives(numbers([&](auto i) { return normal(philox4x32(seed, stream, i)); }),
                "The counter and the stream have changed places: philox4x32(seed, i, stream)."),
          gives(numbers([&](auto i) { return normal(of(i + 1)); }),
                "These are the numbers from 1 on. The first value is number 0.")};
      if (n > 1) {
        mistakes.push_back(gives(numbers([&](auto i) {
                                   const Philox4 r = of(i / 2);
                                   return radius(r) *
                                          (i % 2 == 0 ? std::cos(angle(r)) : std::sin(angle(r)));
                                 }),
                                 "Two values are made of one counter, a cosine and a sine. The "
                                 "host's sequence takes a counter for each value."));
      }
      if (n > 256) {
        mistakes.push_back(gives(numbers([&](auto i) { return normal(of(i % 256)); }),
                                 "The same 256 values come again and again: the counter is the "
                                 "thread's number in its block. It is to be the value's index i."));
      }
      if (n > 1) {
        mistakes.push_back(gives(same,
                                 "Every value is the first of the sequence. The counter is "
                                 "the value's own index i."));
      }
      exam.expect("x", x, expected, {{"i", n}}, {.scale = 1.0, .factor = 16}, mistakes);
    }
  }
}

// Words of r[0] where a formula that is nearly right goes wrong.
inline void examine_extremes(Exam& exam) {
  struct Extreme {
    std::uint64_t seed;
    int n;  // the last value is the one
    const char* what;
  };
  for (const Extreme& e : {Extreme{15290793, 128, "the largest r[0] that there is"},
                           Extreme{4696, 95, "an r[0] close to the largest"}}) {
    Random random{e.seed, 0, 0};
    Values expected(static_cast<std::size_t>(e.n));
    for (double& value : expected) value = random.normal();
    Sandbox& s = exam.call(fmt::format(
        "fill_normal(n={}, deviation=1, seed={}, stream=0), whose last value comes from {}", e.n,
        e.seed, e.what));
    float* x = s.output(e.n);
    ref_cuda::fill_normal(x, e.n, 1.0f, e.seed, 0);
    exam.expect("x", x, expected, {{"i", e.n}}, {.scale = 1.0, .factor = 16},
                {when([](const Answer& a) { return !std::isfinite(a.actual.back()); },
                      "r[0] + 1 is 0 in 32 bits where r[0] is the largest word, and log 0 is "
                      "infinite. Make r[0] a double before you add 1."),
                 when([](const Answer& a) { return a.actual.back() == 0; },
                      "u was rounded to 1, and log 1 is 0: a float keeps 24 of the 32 bits of "
                      "r[0]. Compute in double.")});
  }
}

// More values than the largest grid has threads.
inline void examine_many(Exam& exam) {
  constexpr std::int64_t kMany = 4096 * 256 + 1;
  exam.call(fmt::format("fill_normal(n={}), one more than the grid has threads", kMany));
  const Memory& memory = exam.memory();
  auto* x = static_cast<float*>(memory.allocate(kMany * sizeof(float)));
  memory.zero(x, kMany * sizeof(float));
  ref_cuda::fill_normal(x, kMany, 1.0f, 1, 2);
  float last = 0;
  memory.copy_out(&last, x + kMany - 1, sizeof(last));
  memory.release(x);
  exam.expect_true(last != 0, "the last value was not written",
                   "blocks_for(n) stops at 4,096 blocks. Threads have to come round: i += "
                   "index_stride().");
}

}  // namespace tinygpt::lessons
