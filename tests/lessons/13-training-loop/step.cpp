// Grades exercises/13-training-loop/step.cpp. The kernels that train_step calls are the grader's.
#include "solutions/13-training-loop/step.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tests/lessons/13-training-loop/adamw_exam.h"
#include "tinygpt/core/error.h"

namespace tinygpt::lessons {
namespace {

// How the kernels were called.
struct Used {
  const float* scratch = nullptr;
  int norms = 0, clips = 0, updates = 0;
};
Used used;

void adamw_kernel(float* param, float*, float* m, float* v, const float* grad, std::int64_t n,
                  const AdamwSettings& s) {
  check(s.step >= 1, "adamw: steps count from 1, since step 0 has nothing to correct by");
  ++used.updates;
  for (std::int64_t i = 0; i < n; ++i) {
    const AdamwState after = adamw_exact({{param[i]}, {m[i]}, {v[i]}}, {grad[i]}, s);
    param[i] = static_cast<float>(after.param[0]);
    m[i] = static_cast<float>(after.m[0]);
    v[i] = static_cast<float>(after.v[0]);
  }
}

void norm_kernel(float* norm, const float* grad, float* scratch, std::int64_t n) {
  used.scratch = scratch, ++used.norms;
  double sum = 0;
  for (std::int64_t i = 0; i < n; ++i) sum += double{grad[i]} * grad[i];
  norm[0] = static_cast<float>(std::sqrt(sum));
}

void clip_kernel(float* grad, const float* norm, std::int64_t n, float max_norm) {
  ++used.clips;
  if (!std::isfinite(norm[0]) || norm[0] <= max_norm) return;
  for (std::int64_t i = 0; i < n; ++i) grad[i] *= max_norm / norm[0];
}

Ops<float> kernels() {
  Ops<float> ops;
  ops.adamw_step = adamw_kernel;
  ops.gradient_norm = norm_kernel;
  ops.clip_gradients = clip_kernel;
  return ops;
}

struct Setting {
  std::vector<ref::ParameterShape> shapes;
  int n;  // of the buffers: gaps between tensors are zero
  int passes;
  float max_norm;
  float decay;
};

struct Start {
  Values params, grads, m, v;
  std::vector<Values> gradients;  // of each micro-batch
  Values losses;
};

Start start_of(const Setting& setting) {
  Start s;
  const auto zero = Values(static_cast<std::size_t>(setting.n), 0.0);
  s.params = s.m = s.v = zero;
  s.grads = random_values(setting.n, 1, 8);
  s.gradients.assign(static_cast<std::size_t>(setting.passes), zero);
  const auto fill = [&](Values& to, std::uint64_t seed, double scale) {
    const Values from = random_values(setting.n, seed, scale);
    for (const ref::ParameterShape& shape : setting.shapes) {
      const auto at = static_cast<std::size_t>(shape.offset);
      std::copy_n(&from[at], shape.rows * shape.cols, &to[at]);
    }
  };
  fill(s.params, 2, 1), fill(s.m, 3, 0.5), fill(s.v, 4, 1);
  for (double& v : s.v) v = static_cast<float>(v * v);
  for (std::size_t i = 0; i < s.gradients.size(); ++i) fill(s.gradients[i], 10 + i, 1);
  s.losses = random_values(setting.passes, 5, 0.25, 3);
  return s;
}

// The ways to be wrong, one at a time.
struct Rule {
  bool not_averaged = false, not_zeroed = false, zeroed_each = false, first_pass_only = false;
  bool clip_each_tensor = false, clip_each_pass = false, no_clip = false;
  bool all_decay = false, none_decay = false, vectors_decay = false, first_moments = false;
  bool norm_after = false, clip_at_zero = false;
  bool by_columns = false;      // a tensor of one column does not decay
  bool decay_lost = false;      // behind the first vector nothing decays
  bool step_for_each = false;   // every tensor counts as a step
  bool first_step = false;      // step is 1
  bool one_row = false;         // a matrix's first row alone is updated
  bool rate_of_passes = false;  // lr is multiplied by K
};

struct Result {
  double loss = 0, norm = 0;
  Values params, m, v;
};

double norm_of(const Values& g, std::size_t from, std::size_t count) {
  double sum = 0;
  for (std::size_t i = from; i < from + count; ++i) sum += g[i] * g[i];
  return std::sqrt(sum);
}

void clip(Values& g, std::size_t from, std::size_t count, double norm, double most) {
  if (most <= 0 || norm <= most) return;
  for (std::size_t i = from; i < from + count; ++i) g[i] *= most / norm;
}

Values summed_gradient(const Setting& setting, const Start& start, const Rule& rule) {
  const auto n = static_cast<std::size_t>(setting.n);
  Values g = rule.not_zeroed ? start.grads : Values(n, 0.0);
  const double scale = rule.not_averaged ? 1 : 1.0 / setting.passes;
  for (int k = 0; k < (rule.first_pass_only ? 1 : setting.passes); ++k) {
    if (rule.zeroed_each) std::fill(g.begin(), g.end(), 0.0);
    for (std::size_t i = 0; i < n; ++i)
      g[i] += scale * start.gradients[static_cast<std::size_t>(k)][i];
    if (rule.clip_each_pass) clip(g, 0, n, norm_of(g, 0, n), setting.max_norm);
  }
  return g;
}

Result exact(const Setting& setting, const Start& start, const AdamwSettings& adamw,
             const Rule& rule = {}) {
  const auto n = static_cast<std::size_t>(setting.n);
  Values g = summed_gradient(setting, start, rule);
  Result r{0, norm_of(g, 0, n), start.params, start.m, start.v};
  for (const double loss : start.losses) r.loss += loss / setting.passes;
  if (rule.clip_each_tensor) {
    for (const ref::ParameterShape& shape : setting.shapes) {
      const auto from = static_cast<std::size_t>(shape.offset);
      const auto count = static_cast<std::size_t>(shape.rows * shape.cols);
      clip(g, from, count, norm_of(g, from, count), setting.max_norm);
    }
  } else if (rule.clip_at_zero && setting.max_norm == 0) {
    std::fill(g.begin(), g.end(), 0.0);
  } else if (!rule.no_clip) {
    clip(g, 0, n, r.norm, setting.max_norm);
  }
  if (rule.norm_after) r.norm = norm_of(g, 0, n);
  bool behind_vector = false;
  int place = 0;
  for (const ref::ParameterShape& shape : setting.shapes) {
    AdamwSettings s = adamw;
    if (rule.step_for_each) s.step += place++;
    if (rule.first_step) s.step = 1;
    if (rule.rate_of_passes) s.lr *= static_cast<float>(setting.passes);
    behind_vector = behind_vector || shape.rows == 1;
    const bool vector = rule.by_columns   ? shape.cols == 1
                        : rule.decay_lost ? behind_vector
                                          : shape.rows == 1;
    const bool decays = rule.all_decay || (rule.vectors_decay ? vector : !vector);
    if (!decays || rule.none_decay) s.weight_decay = 0;
    for (int i = 0; i < (rule.one_row ? 1 : shape.rows) * shape.cols; ++i) {
      const auto at = static_cast<std::size_t>(shape.offset + i);
      const auto moments = rule.first_moments ? static_cast<std::size_t>(i) : at;
      const AdamwState after =
          adamw_exact({{r.params[at]}, {r.m[moments]}, {r.v[moments]}}, {g[at]}, s);
      r.params[at] = after.param[0], r.m[moments] = after.m[0], r.v[moments] = after.v[0];
    }
  }
  return r;
}

struct Slip {
  Rule rule;
  const char* nudge;
};

const std::vector<Slip>& slips() {
  static const std::vector<Slip> all = {
      {{.norm_after = true}, "This is the norm after clipping: report the one before."},
      {{.not_averaged = true},
       "The micro-batches are added up, not averaged: K of them give a gradient K times as long. "
       "The scale of each pass is 1 / K."},
      {{.not_zeroed = true},
       "Gradients accumulate, and what was in grads before the step is still there: set them to "
       "zero first."},
      {{.zeroed_each = true},
       "Only the last micro-batch is left: grads are set to zero once a step, not once a pass."},
      {{.first_pass_only = true}, "Only the first micro-batch was run: all K of them count."},
      {{.clip_each_tensor = true},
       "Each tensor was clipped by its own norm. That shortens some more than others, so the step "
       "has another direction: one norm of all parameters, one factor."},
      {{.clip_each_pass = true},
       "The gradient was clipped after each pass. Clip once, when the step's gradient is whole."},
      {{.no_clip = true}, "The gradient was not clipped: max_norm is above 0."},
      {{.clip_at_zero = true},
       "A max_norm of 0 means that nothing is clipped; here it took the whole gradient away."},
      {{.by_columns = true},
       "Vectors decay, and matrices of a single column do not. A vector has one row: rows == 1."},
      {{.decay_lost = true},
       "Behind the first vector nothing decays: its weight_decay of 0 has stayed in the settings. "
       "Copy plan.adamw anew for each tensor."},
      {{.all_decay = true},
       "Vectors decay, too. A bias or a norm's weight has one row, and weight_decay 0: pulled to "
       "zero, a norm's weight would silence its layer."},
      {{.vectors_decay = true}, "Vectors decay and matrices do not: it is the other way round."},
      {{.none_decay = true}, "Nothing decays: tensors with more than one row do."},
      {{.first_moments = true},
       "Every tensor uses the first one's m and v: they lie at the same offset as its params."},
      {{.step_for_each = true},
       "step grows from tensor to tensor. They are all updated in one step: each gets plan.adamw's "
       "step."},
      {{.first_step = true},
       "Every step counts as the first one: the bias correction needs plan.adamw's step."},
      {{.one_row = true},
       "Only the first row of each matrix was updated: a tensor has rows * cols values."},
      {{.rate_of_passes = true},
       "The rate was multiplied by K. The gradient is the mean over the passes; the rate stays."}};
  return all;
}

// A difference that single precision would hide tells nothing.
bool same(const Values& a, const Values& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!(std::abs(a[i] - b[i]) <= 1e-4)) return false;
  }
  return true;
}

void examine_case(Exam& exam, const Setting& setting) {
  const Start start = start_of(setting);
  const AdamwSettings adamw{.lr = 0.125f,
                            .beta1 = 0.75f,
                            .beta2 = 0.5f,
                            .eps = 0.25f,
                            .weight_decay = setting.decay,
                            .step = 4};
  const Result expected = exact(setting, start, adamw);
  Sandbox& s = exam.call(
      fmt::format("train_step({} tensors, {} passes, max_norm={}, weight_decay={})",
                  setting.shapes.size(), setting.passes, setting.max_norm, setting.decay));
  const auto n = static_cast<std::size_t>(setting.n);
  float *params = s.accumulator(start.params), *grads = s.accumulator(start.grads);
  float *m = s.accumulator(start.m), *v = s.accumulator(start.v), *scratch = s.scratch(4);
  const ref::TrainingState state{{params, n}, {grads, n},   {m, n},
                                 {v, n},      {scratch, 4}, setting.shapes};
  std::vector<int> asked, wanted;
  bool scaled = false;
  used = {};
  for (int i = 0; i < setting.passes; ++i) wanted.push_back(i);
  const auto pass = [&](int i, float scale) {
    asked.push_back(i);
    scaled = scaled || scale != 0;
    const auto k = static_cast<std::size_t>(std::clamp(i, 0, setting.passes - 1));
    for (std::size_t j = 0; j < n; ++j)
      grads[j] += scale * static_cast<float>(start.gradients[k][j]);
    return start.losses[k];
  };
  const ref::StepResult result =
      ref::train_step(state, pass, kernels(), {setting.passes, setting.max_norm, adamw});
  std::vector<int> from_one = wanted;
  for (int& i : from_one) ++i;
  exam.expect_equal(
      "the passes that were run", asked, wanted,
      {{{}, "pass was never called: it is what computes the gradient."},
       {{0}, "Only the first micro-batch was run: all K of them count."},
       {std::vector<int>(wanted.size(), 0), "Micro-batch 0 was run again and again: pass(i, ...)."},
       {from_one, "Micro-batches count from 0."}});
  exam.expect_true(scaled, "pass was given a scale of 0",
                   "1 / K is 0 for integers from K = 2 on: 1.0f / K.");
  exam.expect("loss", Values{result.loss}, Values{expected.loss}, {{"loss", 1}}, {.factor = 4},
              {gives({expected.loss * setting.passes},
                     "This is the sum of the losses: the mean is asked for."),
               gives({start.losses.back()}, "This is the last pass's loss: the mean of all."),
               gives({0}, "Nothing was returned as the loss.")});
  const auto mistakes = [&](auto part) {
    std::vector<Mistake> all;
    for (const Slip& slip : slips()) {
      const Values wrong = part(exact(setting, start, adamw, slip.rule));
      if (!same(wrong, part(expected))) all.push_back(gives(wrong, slip.nudge));
    }
    return all;
  };
  const auto look = [&](const char* name, const float* buffer, Values Result::*part) {
    exam.expect(name, buffer, expected.*part, {{"i", setting.n}}, {.terms = 8, .scale = 4},
                mistakes([&](const Result& r) { return r.*part; }));
  };
  look("m", m, &Result::m);
  look("v", v, &Result::v);
  look("params", params, &Result::params);
  exam.expect("norm", Values{result.norm}, Values{expected.norm}, {{"norm", 1}}, {.terms = 8},
              mistakes([](const Result& r) { return Values{r.norm}; }));
  const char* const by_table =
      "The numbers are right, but on a GPU no loop of the host can reach them: the kernels of ops "
      "do the work.";
  exam.expect_true(used.norms > 0, "ops.gradient_norm was not called", by_table);
  exam.expect_true(used.scratch == scratch, "ops.gradient_norm was given another scratch",
                   "A kernel may need it to add up in parts: state.scratch.");
  const bool clips = setting.max_norm > 0 && expected.norm > setting.max_norm;
  exam.expect_true(used.clips > 0 || !clips, "ops.clip_gradients was not called", by_table);
  exam.expect_true(used.updates > 0, "ops.adamw_step was not called", by_table);
}

// A batch with a broken number in it.
void examine_broken(Exam& exam, float bad) {
  const Setting setting{{{0, 2, 2}, {4, 1, 3}}, 8, 2, 1, 0.5f};
  const Start start = start_of(setting);
  Sandbox& s = exam.call(fmt::format("train_step(2 tensors, 2 passes), a gradient is {}", bad));
  float *params = s.accumulator(start.params), *grads = s.accumulator(start.grads);
  float *m = s.accumulator(start.m), *v = s.accumulator(start.v), *scratch = s.scratch(4);
  const ref::TrainingState state{{params, 8}, {grads, 8},   {m, 8},
                                 {v, 8},      {scratch, 4}, setting.shapes};
  const auto pass = [&](int i, float scale) {
    grads[1] += scale * (i == 1 ? bad : 1);
    return 3.0;
  };
  const auto result = ref::train_step(state, pass, kernels(), {2, 1, {.step = 2}});
  const std::vector<Mistake> spoiled = {
      when([](const Answer&) { return true; },
           "The gradient's norm is not finite, and yet a step was taken. m and v would remember it "
           "for good: leave params, m and v as they are, and return.")};
  exam.expect_true(!std::isfinite(result.norm), fmt::format("norm is {}", result.norm),
                   "The caller must see that the norm is not finite: return it all the same.");
  exam.expect("m", m, start.m, {{"i", 8}}, {.factor = 0}, spoiled);
  exam.expect("v", v, start.v, {{"i", 8}}, {.factor = 0}, spoiled);
  exam.expect("params", params, start.params, {{"i", 8}}, {.factor = 0}, spoiled);
}

void examine(Exam& exam) {
  const std::vector<ref::ParameterShape> few = {{0, 3, 4}, {16, 1, 5}, {32, 2, 7}};
  const std::vector<ref::ParameterShape> all = {{0, 5, 2},  {16, 1, 2}, {32, 1, 1},
                                                {48, 4, 4}, {64, 7, 1}, {80, 1, 11}};
  for (const Setting& setting : std::vector<Setting>{{few, 48, 1, 0, 0},
                                                     {few, 48, 3, 0, 0},
                                                     {few, 48, 1, 1.5f, 0},
                                                     {all, 96, 1, 0, 0.5f},
                                                     {few, 48, 1, 0, 0.5f},
                                                     {few, 48, 4, 1.5f, 0.5f},
                                                     {all, 96, 2, 1e6f, 0.25f},
                                                     {all, 96, 5, 0.5f, 0.25f},
                                                     {{{0, 1, 1}}, 1, 7, 0.01f, 1}}) {
    examine_case(exam, setting);
  }
  examine_broken(exam, NAN);
  examine_broken(exam, INFINITY);
}

}  // namespace

std::vector<Task> tasks() { return {{"13.train_step", examine}}; }

}  // namespace tinygpt::lessons
