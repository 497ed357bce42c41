// Grades exercises/11-gpt/gpt.cu.
#include "solutions/11-gpt/gpt.cuh"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstring>
#include <set>

#include "solutions/11-gpt/gpt.h"
#include "tests/lessons/grading/device.h"
#include "tests/lessons/grading/exam.h"
#include "tinygpt/core/random.h"

namespace tinygpt::lessons {
namespace {

// gpt_step calls the passes of gpt.cpp. These stand in for them: what they leave on the device is
// easy to tell, and every step of gpt_step is noted.
struct Step {
  std::vector<std::string> events;
  std::vector<float> losses;  // what the forward pass will find
  std::vector<int> tokens, targets;
  const float* d = nullptr;
  bool dirty = false;  // the gradient was not zero when the backward pass came
  int count = 0, loss_reads = 0;
};
Step step;

template <class T>
std::vector<T> read(const T* from, int n) {
  std::vector<T> values(static_cast<std::size_t>(n));
  device_memory().copy_out(values.data(), from, values.size() * sizeof(T));
  return values;
}

void fake_forward(const GptActivations& a, const int* tokens, const int* targets, int N) {
  step.events.emplace_back("forward");
  step.tokens = read(tokens, N), step.targets = read(targets, N);
  device_memory().copy_in(a.losses, step.losses.data(),
                          sizeof(float) * static_cast<std::size_t>(N));
}
void fake_backward(const GptParameters<float>& d, int count) {
  step.events.emplace_back("backward");
  step.d = d.wte, step.count = count;
  float first = read(d.wte, 1)[0];
  const float last = read(d.norm_f_bias, 1)[0];
  step.dirty = first != 0 || last != 0;
  first += 5;
  device_memory().copy_in(d.wte, &first, sizeof(first));
}

void noted_copy_in(void* to, const void* from, std::size_t bytes) {
  step.events.emplace_back("copy in");
  device_memory().copy_in(to, from, bytes);
}
void noted_copy_out(void* to, const void* from, std::size_t bytes) {
  step.events.push_back(fmt::format("copy out {} bytes", bytes));
  device_memory().copy_out(to, from, bytes);
}
void noted_zero(void* data, std::size_t bytes) {
  step.events.emplace_back("zero");
  device_memory().zero(data, bytes);
}

}  // namespace
}  // namespace tinygpt::lessons

// The learner's file calls mine::, a solution in its place ref::.
namespace tinygpt::ref {
void gpt_forward(const GptActivations& a, const int* tokens, const int* targets,
                 const GptParameters<const float>&, int B, int T, const GptShape&, const Machine&) {
  lessons::fake_forward(a, tokens, targets, B * T);
}
void gpt_backward(const GptParameters<float>& d, const GptActivations&, const int*, const int*,
                  int count, const GptParameters<const float>&, int, int, const GptShape&,
                  const Machine&) {
  lessons::fake_backward(d, count);
}
}  // namespace tinygpt::ref
namespace tinygpt::mine {
void gpt_forward(const GptActivations& a, const int* tokens, const int* targets,
                 const GptParameters<const float>&, int B, int T, const GptShape&, const Machine&) {
  lessons::fake_forward(a, tokens, targets, B * T);
}
void gpt_backward(const GptParameters<float>& d, const GptActivations&, const int*, const int*,
                  int count, const GptParameters<const float>&, int, int, const GptShape&,
                  const Machine&) {
  lessons::fake_backward(d, count);
}
}  // namespace tinygpt::mine

namespace tinygpt::lessons {
namespace {

// Targets of which every third is ignored, and losses that a mean over too many would show.
std::vector<int> some_ignored(int N) {
  std::vector<int> targets = random_tokens(N, 50, 5);
  for (std::size_t n = 2; n < targets.size(); n += 3) targets[n] = kIgnoreTarget;
  return targets;
}

void examine_mean(Exam& exam) {
  for (const int N : {1, 2, 3, 31, 32, 33, 255, 256, 257, 1000}) {
    for (const bool all_ignored : {false, true}) {
      if (all_ignored && N > 33) continue;
      const Values losses = random_values(N, 6, 0.5, 3.0);
      const std::vector<int> targets =
          all_ignored ? std::vector<int>(static_cast<std::size_t>(N), kIgnoreTarget)
                      : some_ignored(N);
      double sum = 0, everything = 0, first_pass = 0;
      int count = 0, first_count = 0;
      for (std::size_t n = 0; n < losses.size(); ++n) {
        everything += losses[n];
        if (targets[n] == kIgnoreTarget) continue;
        sum += losses[n], ++count;
        if (n < 256) first_pass += losses[n], ++first_count;
      }
      Sandbox& s = exam.call(
          fmt::format("mean_loss(N={}{})", N, all_ignored ? ", every target ignored" : ""));
      float* loss = s.output(1);
      const float* losses_ = s.input(losses);
      ref_cuda::mean_loss(loss, losses_, s.input(targets), N);
      const double right = count == 0 ? 0.0 : sum / count;
      std::vector<Mistake> mistakes = {
          gives({sum / N},
                "The sum is right, but it was divided by N. Ignored targets do not "
                "count: divide by those that do."),
          gives({everything / N}, "Ignored targets were added, and counted. They have no loss."),
          gives({sum}, "This is the sum. The mean is asked for."),
          when([](const Answer& a) { return std::isnan(a.actual[0]); },
               "NaN: where every target is ignored, 0 is divided by 0. The contract says 0.")};
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

void examine_normal(Exam& exam) {
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
          gives(sequence(seed, stream, 0.0625), "The deviation counts twice.")};
      if (n > 1) {
        mistakes.push_back(gives(same,
                                 "Every value is the first of the sequence. The counter is "
                                 "the value's own index i."));
      }
      exam.expect("x", x, expected, {{"i", n}}, {.scale = 1.0, .factor = 16}, mistakes);
    }
  }
}

// The first place of an event, or the number of events.
std::size_t place(const std::string& event) {
  std::size_t i = 0;
  while (i < step.events.size() && !step.events[i].starts_with(event)) ++i;
  return i;
}

void judge_order(Exam& exam) {
  const std::string story = fmt::format("what happened: {}", fmt::join(step.events, ", "));
  std::vector<std::string> out;
  for (const std::string& event : step.events) {
    if (event.starts_with("copy out")) out.push_back(event);
  }
  exam.expect_true(place("forward") < step.events.size(), "gpt_forward was not called\n" + story);
  exam.expect_true(place("backward") < step.events.size(), "gpt_backward was not called\n" + story);
  exam.expect_true(place("forward") < place("backward"),
                   "gpt_backward ran before gpt_forward\n" + story);
  exam.expect_true(
      out.size() == 1 && out[0] == "copy out 4 bytes",
      fmt::format("{} copies came back from the device: {}", out.size(), fmt::join(out, ", ")),
      "One number has to come back, the mean loss: 4 bytes. Make the mean on the "
      "device.");
  exam.expect_true(place("copy out") > place("backward"),
                   "the loss was copied before the backward pass was launched\n" + story,
                   "copy_out waits for everything before it, and meanwhile nothing is launched: "
                   "the device idles. Launch everything first, then wait once.");
}

void examine_step(Exam& exam) {
  const GptShape s{7, 5, 2, 2, 4};
  const Machine m{{}, [] {
                    Memory memory = device_memory();
                    memory.copy_in = noted_copy_in, memory.copy_out = noted_copy_out;
                    memory.zero = noted_zero;
                    return memory;
                  }()};
  const std::int64_t n = (s.V + s.max_T + 2) * s.C + s.L * (12 * s.C + 13) * s.C;
  for (const int B : {1, 3}) {
    for (const int T : {1, 5}) {
      const int N = B * T;
      const std::vector<int> tokens = random_tokens(N, s.V, 7), targets = some_ignored(N);
      int count = 0;
      double sum = 0;
      step = {};
      for (int i = 0; i < N; ++i) {
        step.losses.push_back(1.0f + static_cast<float>(i));
        const bool counts = targets[static_cast<std::size_t>(i)] != kIgnoreTarget;
        count += counts, sum += counts ? 1.0 + i : 0.0;
        if (!counts) step.losses.back() = 0;
      }
      Sandbox& box = exam.call(fmt::format("gpt_step(B={}, T={}, count={})", B, T, count));
      std::int64_t floats = 0;
      gpt_activations(&floats, nullptr, B, T, s);
      float* d = box.accumulator(n, 8);
      const GptActivations a = gpt_activations(&floats, box.output(floats), B, T, s);
      // Place for tokens and targets, in buffers of floats: they are as large.
      const ref_cuda::DeviceBatch room{reinterpret_cast<int*>(box.output(N)),
                                       reinterpret_cast<int*>(box.output(N)), box.output(1)};
      const float* params = box.input(random_values(n, 9));
      const float loss = ref_cuda::gpt_step(d, n, a, room, tokens.data(), targets.data(), count,
                                            params, B, T, s, m);
      exam.expect_equal("what gpt_forward found in room.tokens", step.tokens, tokens);
      exam.expect_equal("what gpt_forward found in room.targets", step.targets, targets);
      judge_order(exam);
      exam.expect_equal("the count that gpt_backward was given", step.count, count);
      exam.expect_true(step.d == d, "gpt_backward was given another gradient than d");
      const double first = box.values(d)[0];
      exam.expect_true(!step.dirty && first == 5, "d is not the gradient of this batch alone",
                       place("zero") < step.events.size() && place("zero") > place("backward")
                           ? "It was set to zero after the backward pass: nothing is left of it."
                           : "The gradient of the step before is still in it: all n values of d "
                             "are set to zero before the backward pass adds to them.");
      exam.expect("the loss", Values{loss}, Values{sum / count}, {{"loss", 1}},
                  {.terms = 16, .scale = 16},
                  {gives({sum / N}, "Divided by N: ignored targets do not count."),
                   gives({sum}, "This is the sum of the losses.")});
    }
  }
}

ProfileRun profile_of(bool mean) {
  return {mean ? "a mean of 4,096 losses" : "65,536 values", [mean](const Memory& memory) {
            const int n = mean ? 4096 : 65536;
            const std::size_t bytes = static_cast<std::size_t>(n) * 4;
            auto* x = static_cast<float*>(memory.allocate(bytes));
            auto* targets = static_cast<int*>(memory.allocate(bytes));
            memory.zero(x, bytes), memory.zero(targets, bytes);
            if (mean) {
              auto* loss = static_cast<float*>(memory.allocate(4));
              ref_cuda::mean_loss(loss, x, targets, n);
              memory.release(loss);
            } else {
              ref_cuda::fill_normal(x, n, 1.0f, 1, 2);
            }
            memory.release(x), memory.release(targets);
          }};
}

}  // namespace

std::vector<Task> tasks() {
  return {{"11.mean_loss_cuda", examine_mean, profile_of(true)},
          {"11.fill_normal_cuda", examine_normal, profile_of(false)},
          {"11.gpt_step_cuda", examine_step}};
}

}  // namespace tinygpt::lessons
