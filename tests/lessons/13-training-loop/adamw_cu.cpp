// Grades exercises/13-training-loop/adamw.cu.
#include "solutions/13-training-loop/optimizer.cuh"
#include "tests/lessons/13-training-loop/adamw_exam.h"
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
  AdamwState of_rounded = state;  // as if each step began from the rounded parameter
  for (s.step = 1; s.step <= kSteps; ++s.step) {
    const Values grad = random_values(kCount, 10 + static_cast<std::uint64_t>(s.step));
    float* g = on_device(memory, floats(grad));
    ref_cuda::adamw_step<Bfloat16>(param, master, m, v, g, kCount, s);
    memory.release(g);
    state = adamw_exact(state, grad, s);
    for (double& value : of_rounded.param) value = Bfloat16(static_cast<float>(value));
    of_rounded = adamw_exact(of_rounded, grad, s);
  }
  const Values of_master = back(memory, master, kCount), of_param = back(memory, param, kCount);
  memory.release(m), memory.release(v);
  exam.expect(
      "master", of_master, state.param, {{"i", kCount}}, {.terms = kSteps, .scale = 4},
      {gives(start, "master is as it was before: where there is one, it is what gets updated."),
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

}  // namespace

std::vector<Task> tasks() {
  const auto run = [](const Memory& memory) {
    constexpr std::int64_t kCount = 4096;
    constexpr std::size_t kBytes = kCount * sizeof(float);
    float* arrays[4];
    for (float*& array : arrays) {
      array = static_cast<float*>(memory.allocate(kBytes));
      memory.zero(array, kBytes);
    }
    ref_cuda::adamw_step<float>(arrays[0], nullptr, arrays[1], arrays[2], arrays[3], kCount, {});
    for (float* array : arrays) memory.release(array);
  };
  return {{"13.adamw_step_cuda",
           [](Exam& e) {
             examine_adamw(e, ref_cuda::adamw_step<float>);
             examine_master(e);
           },
           {"4,096 parameters", run}}};
}

}  // namespace tinygpt::lessons
