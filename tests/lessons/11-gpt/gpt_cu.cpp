// Grades exercises/11-gpt/gpt.cu.
#include "solutions/11-gpt/gpt.cuh"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <utility>

#include "solutions/11-gpt/gpt.h"
#include "tests/lessons/11-gpt/kernels_exam.h"
#include "tests/lessons/grading/device.h"
#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {
namespace {

// gpt_step calls the passes of gpt.cpp. These stand in for them: what they leave on the device is
// easy to tell, and every step of gpt_step is noted.
struct Step {
  std::vector<std::string> events;
  std::vector<float> losses;  // what the forward pass will find
  std::vector<int> tokens, targets;
  const float* d = nullptr;
  const int *tokens_at = nullptr, *targets_at = nullptr;  // what the forward pass was given
  bool dirty = false;      // the gradient was not zero when the backward pass came
  bool elsewhere = false;  // the backward pass was given another batch than the forward pass
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
  step.tokens_at = tokens, step.targets_at = targets;
  step.tokens = read(tokens, N), step.targets = read(targets, N);
  device_memory().copy_in(a.losses, step.losses.data(),
                          sizeof(float) * static_cast<std::size_t>(N));
}
void fake_backward(const GptParameters<float>& d, const int* tokens, const int* targets,
                   int count) {
  step.events.emplace_back("backward");
  step.elsewhere = tokens != step.tokens_at || targets != step.targets_at;
  step.d = d.wte, step.count = count;
  float first = read(d.wte, 1)[0];
  const float last = read(d.norm_f_bias, 1)[0];
  step.dirty = first != 0 || last != 0;
  first += 5;
  device_memory().copy_in(d.wte, &first, sizeof(first));
}

// For somebody who copies the losses and makes their mean on the host.
float host_mean(const float* losses, const int* targets, int N) {
  float sum = 0;
  int count = 0;
  for (int n = 0; n < N; ++n) {
    if (targets[n] != kIgnoreTarget) sum += losses[n], ++count;
  }
  return count == 0 ? 0.0f : sum / static_cast<float>(count);
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
void gpt_backward(const GptParameters<float>& d, const GptActivations&, const int* tokens,
                  const int* targets, int count, const GptParameters<const float>&, int, int,
                  const GptShape&, const Machine&) {
  lessons::fake_backward(d, tokens, targets, count);
}
float mean_loss(const float* losses, const int* targets, int N) {
  return lessons::host_mean(losses, targets, N);
}
}  // namespace tinygpt::ref
namespace tinygpt::mine {
void gpt_forward(const GptActivations& a, const int* tokens, const int* targets,
                 const GptParameters<const float>&, int B, int T, const GptShape&, const Machine&) {
  lessons::fake_forward(a, tokens, targets, B * T);
}
void gpt_backward(const GptParameters<float>& d, const GptActivations&, const int* tokens,
                  const int* targets, int count, const GptParameters<const float>&, int, int,
                  const GptShape&, const Machine&) {
  lessons::fake_backward(d, tokens, targets, count);
}
float mean_loss(const float* losses, const int* targets, int N) {
  return lessons::host_mean(losses, targets, N);
}
}  // namespace tinygpt::mine

namespace tinygpt::lessons {
namespace {

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
      const auto in_part = [&](const std::vector<int>& from) {  // N bytes of it, not N ints
        std::vector<int> words(from.size(), 0x7fc00000);
        std::memcpy(words.data(), from.data(), from.size());
        return words;
      };
      const char* const bytes = "Only B * T bytes were copied: an int has four.";
      exam.expect_equal(
          "what gpt_forward found in room.tokens", step.tokens, tokens,
          {{in_part(tokens), bytes}, {targets, "The targets lie where the tokens belong."}});
      exam.expect_equal(
          "what gpt_forward found in room.targets", step.targets, targets,
          {{in_part(targets), bytes}, {tokens, "The tokens lie where the targets belong."}});
      judge_order(exam);
      exam.expect_true(!step.elsewhere,
                       "gpt_backward was given other tokens or targets than gpt_forward",
                       "It runs on the device, too: give it room.tokens and room.targets. Of the "
                       "host's arrays a kernel can read nothing.");
      exam.expect_equal("the count that gpt_backward was given", step.count, count,
                        {{N,
                          "This is B T. Ignored targets do not count: gpt_step is told how "
                          "many there are."}});
      exam.expect_true(step.d == d, "gpt_backward was given another gradient than d");
      const double first = box.values(d)[0];
      exam.expect_true(!step.dirty && first == 5, "d is not the gradient of this batch alone",
                       place("zero") < step.events.size() && place("zero") > place("backward")
                           ? "It was set to zero after the backward pass: nothing is left of it."
                           : "The gradient of the step before is still in it: all n values of d "
                             "are set to zero before the backward pass adds to them.");
      exam.expect_true(place("zero") < step.events.size(), "m.memory.zero was not called",
                       "d is zero, but not by m.memory: a loop of the host cannot reach the memory "
                       "of a GPU.");
      exam.expect("the loss", Values{loss}, Values{sum / count}, {{"loss", 1}},
                  {.terms = 16, .scale = 16},
                  {gives({sum / N}, "Divided by N: ignored targets do not count."),
                   gives({sum}, "This is the sum of the losses."),
                   when([](const Answer& answer) { return std::isnan(answer.actual[0]); },
                        "This is the mean of what was in a.losses before the forward pass. Launch "
                        "mean_loss behind it.")});
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
  const auto first = std::make_shared<bool>(true);  // a million threads take the emulator a while
  return {{"11.mean_loss_cuda", examine_mean, profile_of(true)},
          {"11.fill_normal_cuda",
           [first](Exam& e) {
             examine_normal(e);
             examine_extremes(e);
             if (std::exchange(*first, false)) examine_many(e);
           },
           profile_of(false)},
          {"11.gpt_step_cuda", examine_step}};
}

}  // namespace tinygpt::lessons
