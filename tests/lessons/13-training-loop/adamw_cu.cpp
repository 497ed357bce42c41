// Grades exercises/13-training-loop/adamw.cu.
#include <memory>
#include <utility>

#include "solutions/13-training-loop/optimizer.cuh"
#include "tests/lessons/13-training-loop/adamw_exam.h"
#include "tests/lessons/grading/device.h"
#include "tinygpt/core/bfloat16.h"

namespace tinygpt::lessons {
namespace {

template <class T>
T* on_device(const Memory& memory, const std::vector<T>& values) {
  auto* data = static_cast<T*>(memory.allocate(values.size() * sizeof(T)));
  memory.copy_in(data, values.data(), values.size() * sizeof(T));
  return data;
}

template <class T>
Values back(const Memory& memory, T* data, std::size_t n) {
  std::vector<T> values(n);
  memory.copy_out(values.data(), data, n * sizeof(T));
  memory.release(data);
  return {values.begin(), values.end()};
}

std::vector<float> floats(const Values& values) { return {values.begin(), values.end()}; }

// Steps that bf16 is too coarse for: only a float copy can add them up.
void examine_master(Exam& exam) {
  constexpr int kCount = 37, kSteps = 8;
  exam.call(fmt::format("adamw_step with param in bf16 and a master in float, {} steps of lr=1e-4",
                        kSteps));
  const Memory& memory = exam.memory();
  AdamwState state{random_values(kCount, 1), Values(kCount, 0.0), Values(kCount, 0.0)};
  const std::vector<float> first = floats(state.param);
  const std::vector<Bfloat16> rounded = [&] {
    std::vector<Bfloat16> out;
    for (const float value : first) out.emplace_back(value);
    return out;
  }();
  Bfloat16* param = on_device(memory, rounded);
  float *master = on_device(memory, first), *m = on_device(memory, floats(state.m));
  float* v = on_device(memory, floats(state.v));
  AdamwSettings s{.lr = 1e-4f, .weight_decay = 0.1f};
  const Values start = state.param;
  AdamwState of_rounded = state;    // as if each step began from the rounded parameter
  AdamwState kept_rounded = state;  // ... or the rounded one was kept as the master
  for (s.step = 1; s.step <= kSteps; ++s.step) {
    const Values grad = random_values(kCount, 10 + static_cast<std::uint64_t>(s.step));
    float* g = on_device(memory, floats(grad));
    ref_cuda::adamw_step<Bfloat16>(param, master, m, v, g, kCount, s);
    memory.release(g);
    state = adamw_exact(state, grad, s);
    for (double& value : of_rounded.param) value = Bfloat16(static_cast<float>(value));
    of_rounded = adamw_exact(of_rounded, grad, s);
    kept_rounded = adamw_exact(kept_rounded, grad, s);
    for (double& value : kept_rounded.param) value = Bfloat16(static_cast<float>(value));
  }
  const Values of_master = back(memory, master, kCount), of_param = back(memory, param, kCount);
  memory.release(m), memory.release(v);
  exam.expect(
      "master", of_master, state.param, {{"i", kCount}}, {.terms = kSteps, .scale = 4},
      {gives(start, "master is as it was before: where there is one, it is what gets updated."),
       gives(kept_rounded.param,
             "The master is rounded to bf16, too. It is there to keep what rounding takes away: "
             "after goes to master[i] as it is, and rounded to param."),
       gives(of_rounded.param,
             "The step was added to param, which is rounded to bf16: small steps get lost. "
             "Where there is a master, start from master[i].")});
  Values nearest;
  for (const double value : of_master) nearest.push_back(Bfloat16(static_cast<float>(value)));
  exam.expect("param", of_param, nearest, {{"i", kCount}}, {.factor = 0},
              {when([](const Answer&) { return true; },
                    "param is to be master, rounded: store(param + i, after). Computed from the "
                    "old param instead, it loses steps smaller than bf16 can add.")});
}

// A step of `count` parameters on zeros. Returns the last one, which with a gradient of 1 is
// minus the rate.
float step_of(const Memory& memory, std::int64_t count) {
  const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(float);
  float* arrays[4];
  for (float*& array : arrays) {
    array = static_cast<float*>(memory.allocate(bytes));
    memory.zero(array, bytes);
  }
  float last = 1;
  memory.copy_in(arrays[3] + count - 1, &last, sizeof(last));
  ref_cuda::adamw_step<float>(arrays[0], nullptr, arrays[1], arrays[2], arrays[3], count, {});
  memory.copy_out(&last, arrays[0] + count - 1, sizeof(last));
  for (float* array : arrays) memory.release(array);
  return last;
}

void examine_traffic(Exam& exam) {
  constexpr int kCount = 4096;
  exam.call(fmt::format("adamw_step(n={}), and its memory traffic", kCount));
  const double loaded = bytes_loaded([&] { step_of(exam.memory(), kCount); });
  const double stored = bytes_stored([&] { step_of(exam.memory(), kCount); });
  exam.expect_true(loaded <= 4 * 4 * kCount && stored <= 3 * 4 * kCount,
                   fmt::format("the threads load {:.0f} and store {:.0f} bytes for a parameter, "
                               "where 16 and 12 do",
                               loaded / kCount, stored / kCount),
                   "A buffer is read or written more than once: m[i] after it was stored, say. "
                   "Load each one into a variable, compute, and store each once at the end.");
}

// More parameters than the largest grid has threads.
void examine_many(Exam& exam) {
  constexpr std::int64_t kMany = 4096 * 256 + 1;
  exam.call(fmt::format("adamw_step(n={}), one more than the grid has threads", kMany));
  const float last = step_of(exam.memory(), kMany);
  exam.expect_true(last < 0, "the last parameter has not moved",
                   "blocks_for(n) stops at 4,096 blocks. Threads have to come round: i += "
                   "index_stride().");
}

}  // namespace

std::vector<Task> tasks() {
  const auto run = [](const Memory& memory) { step_of(memory, 4096); };
  const auto first = std::make_shared<bool>(true);  // a million threads take the emulator a while
  return {{"13.adamw_step_cuda",
           [first](Exam& e) {
             examine_adamw(e, ref_cuda::adamw_step<float>);
             examine_master(e);
             examine_traffic(e);
             if (std::exchange(*first, false)) examine_many(e);
           },
           {"4,096 parameters", run}}};
}

}  // namespace tinygpt::lessons
