// What the graders of the machine share: tensors in a sandbox, their names, and the calls that are
// expected of who runs it.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "solutions/11-gpt/gpt.h"
#include "tests/lessons/11-gpt/machine_oracle.h"
#include "tests/lessons/11-gpt/trace_table.h"
#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {

inline const std::vector<std::string> kTensorNames = {
    "norm1_weight", "norm1_bias", "qkv_weight", "qkv_bias", "proj_weight", "proj_bias",
    "norm2_weight", "norm2_bias", "up_weight",  "up_bias",  "down_weight", "down_bias"};

template <class T>
std::vector<T**> members(BlockParameters<T>& b) {
  return {&b.norm1_weight, &b.norm1_bias, &b.qkv_weight, &b.qkv_bias, &b.proj_weight, &b.proj_bias,
          &b.norm2_weight, &b.norm2_bias, &b.up_weight,  &b.up_bias,  &b.down_weight, &b.down_bias};
}

// Rows and columns of a block's tensor; vectors have no rows.
inline Shape tensor_shape(std::size_t which, int C) {
  const int rows[] = {0, 0, 3 * C, 0, C, 0, 0, 0, 4 * C, 0, C, 0};
  const int cols[] = {C, C, C, 3 * C, C, C, C, C, C, 4 * C, 4 * C, C};
  if (rows[which] == 0) return {{"c", cols[which]}};
  return {{"o", rows[which]}, {"c", cols[which]}};
}
inline std::int64_t count_of(const Shape& shape) {
  std::int64_t n = 1;
  for (const Axis& axis : shape) n *= axis.size;
  return n;
}

inline Values random_tensor(std::size_t which, int C, std::uint64_t seed) {
  const Shape shape = tensor_shape(which, C);
  const bool norm_weight = which == 0 || which == 6;
  return random_values(count_of(shape), seed, shape.size() == 2 ? 0.5 : 0.3,
                       norm_weight ? 1.0 : 0.0);
}

inline std::vector<Values> random_parameters(const Sizes& z) {
  std::vector<Values> p = {random_values(z.V * z.C, 11, 0.7), random_values(z.max_T * z.C, 12)};
  for (int l = 0; l < z.L; ++l) {
    for (std::size_t k = 0; k < kBlockTensors; ++k) {
      p.push_back(random_tensor(k, z.C, block_tensor(l, static_cast<int>(k)) + 100));
    }
  }
  p.push_back(random_values(z.C, 13, 0.3, 1.0)), p.push_back(random_values(z.C, 14, 0.3));
  return p;
}

inline GptShape shape_of(const Sizes& z) { return {z.V, z.max_T, z.L, z.NH, z.C}; }
inline std::string text_of(const Sizes& z) {
  return fmt::format("B={}, T={}, V={}, max_T={}, L={}, NH={}, C={}", z.B, z.T, z.V, z.max_T, z.L,
                     z.NH, z.C);
}

// Tensors of one call. Each has a name, for the trace.
struct Tensors {
  Sandbox& s;
  const Sizes z;

  float* named(const std::string& name, float* buffer) const {
    trace().names[buffer] = name;
    return buffer;
  }
  const float* input(const std::string& name, const Values& values) const {
    const float* buffer = s.input(values);
    trace().names[buffer] = name;
    return buffer;
  }
  const int* input(const std::string& name, const std::vector<int>& values) const {
    const int* buffer = s.input(values);
    trace().names[buffer] = name;
    return buffer;
  }
  // What a forward pass writes: NaN so far, or what it has left for the backward pass.
  float* activation(const std::string& name, std::int64_t n, const Values* left) const {
    return named(name, left != nullptr ? s.accumulator(*left) : s.output(n));
  }
  BlockActivations block(const std::string& at, const BlockRun* r) const {
    const int N = z.N(), n = N * z.C;
    const auto take = [&](const char* name, int count, const Values BlockRun::*left) {
      return activation(at + name, count, r == nullptr ? nullptr : &(r->*left));
    };
    BlockActivations a;
    a.norm1 = take("norm1", n, &BlockRun::norm1), a.mean1 = take("mean1", N, &BlockRun::mean1);
    a.rstd1 = take("rstd1", N, &BlockRun::rstd1), a.qkv = take("qkv", 3 * n, &BlockRun::qkv);
    a.lse = take("lse", N * z.NH, &BlockRun::lse), a.att = take("att", n, &BlockRun::att);
    a.mid = take("mid", n, &BlockRun::mid), a.norm2 = take("norm2", n, &BlockRun::norm2);
    a.mean2 = take("mean2", N, &BlockRun::mean2), a.rstd2 = take("rstd2", N, &BlockRun::rstd2);
    a.up = take("up", 4 * n, &BlockRun::up), a.act = take("act", 4 * n, &BlockRun::act);
    a.out = take("out", n, &BlockRun::out);
    return a;
  }
  // Room that holds what somebody else has left there.
  SharedActivations shared(const std::string& at) const {
    const std::int64_t n = std::int64_t{z.N()} * z.C;
    const auto take = [&](const char* name, std::int64_t count) {
      return named(at + name, s.accumulator(count, 31));
    };
    SharedActivations r;
    r.branch = take("branch", n), r.dnorm = take("dnorm", n), r.dqkv = take("dqkv", 3 * n);
    r.datt = take("datt", n), r.dup = take("dup", 4 * n), r.dact = take("dact", 4 * n);
    return r;
  }
  BlockParameters<const float> block_parameters(const std::string& at, const Values* p) const {
    BlockParameters<const float> b;
    const auto places = members(b);
    for (std::size_t k = 0; k < kBlockTensors; ++k) *places[k] = input(at + kTensorNames[k], p[k]);
    return b;
  }
  BlockParameters<float> block_gradients(const std::string& at) const {
    BlockParameters<float> b;
    const auto places = members(b);
    for (std::size_t k = 0; k < kBlockTensors; ++k) {
      *places[k] = named(at + kTensorNames[k], s.accumulator(count_of(tensor_shape(k, z.C)), 41));
    }
    return b;
  }
  Machine machine() const {
    return {traced_ops(), traced_memory(), named("scratch", s.scratch(8))};
  }
};

// Calls that a right solution makes, as the trace writes them. A right solution may make others.
struct Calls {
  const Sizes z;
  std::vector<std::string> list = {};

  void add(const std::string& op, const std::string& arguments) {
    list.push_back(op + "(" + arguments + ")");
  }
  void zero(const std::string& buffer, int floats) {
    add("zero", fmt::format("{}, {} floats", buffer, floats));
  }
  void block_forward(const std::string& a, const std::string& shared, const std::string& x,
                     const std::string& p) {
    const int N = z.N(), C = z.C;
    const auto norm = [&](const std::string& k, const std::string& from) {
      add("layernorm_forward", fmt::format("{0}norm{1}, {0}mean{1}, {0}rstd{1}, {2}, "
                                           "{3}norm{1}_weight, {3}norm{1}_bias, N={4}, C={5}, "
                                           "eps=1e-05",
                                           a, k, from, p, N, C));
    };
    const auto linear = [&](const std::string& out, const std::string& from, const char* layer,
                            int in, int to) {
      add("linear_forward", fmt::format("{0}, {1}, {2}{3}_weight, {2}{3}_bias, scratch, N={4}, "
                                        "C={5}, OC={6}",
                                        out, from, p, layer, N, in, to));
    };
    norm("1", x);
    linear(a + "qkv", a + "norm1", "qkv", C, 3 * C);
    add("attention_forward", fmt::format("{0}att, {0}lse, {0}qkv, scratch, {1}", a, attention()));
    linear(shared + "branch", a + "att", "proj", C, C);
    add("residual_forward", fmt::format("{}mid, {}, {}branch, n={}", a, x, shared, N * C));
    norm("2", a + "mid");
    linear(a + "up", a + "norm2", "up", C, 4 * C);
    add("gelu_forward", fmt::format("{0}act, {0}up, n={1}", a, 4 * N * C));
    linear(shared + "branch", a + "act", "down", 4 * C, C);
    add("residual_forward", fmt::format("{0}out, {0}mid, {1}branch, n={2}", a, shared, N * C));
  }
  std::string attention() const {
    return fmt::format("B={}, T={}, NH={}, NKV={}, HS={}, causal=true", z.B, z.T, z.NH, z.NH,
                       z.C / z.NH);
  }
  void block_backward(const std::string& dstream, const std::string& d, const std::string& shared,
                      const std::string& a, const std::string& x, const std::string& p) {
    const int N = z.N(), C = z.C, n = N * C;
    const auto linear = [&](const std::string& dx, const char* layer, const std::string& dout,
                            const std::string& from, int in, int out) {
      zero(shared + dx, N * in);
      add("linear_backward", fmt::format("{0}{1}, {2}{3}_weight, {2}{3}_bias, {4}, {5}, "
                                         "{6}{3}_weight, scratch, N={7}, C={8}, OC={9}",
                                         shared, dx, d, layer, dout, from, p, N, in, out));
    };
    const auto norm = [&](const std::string& k, const std::string& from) {
      add("layernorm_backward", fmt::format("{0}, {1}norm{2}_weight, {1}norm{2}_bias, {3}dnorm, "
                                            "{4}, {5}norm{2}_weight, {6}mean{2}, {6}rstd{2}, "
                                            "scratch, N={7}, C={8}",
                                            dstream, d, k, shared, from, p, a, N, C));
    };
    linear("dact", "down", dstream, a + "act", 4 * C, C);
    zero(shared + "dup", 4 * n);
    add("gelu_backward", fmt::format("{0}dup, {0}dact, {1}up, n={2}", shared, a, 4 * n));
    linear("dnorm", "up", shared + "dup", a + "norm2", C, 4 * C);
    norm("2", a + "mid");
    linear("datt", "proj", dstream, a + "att", C, C);
    zero(shared + "dqkv", 3 * n);
    add("attention_backward", fmt::format("{0}dqkv, {0}datt, {1}att, {1}lse, {1}qkv, scratch, {2}",
                                          shared, a, attention()));
    linear("dnorm", "qkv", shared + "dqkv", a + "norm1", C, 3 * C);
    norm("1", x);
  }

  // Words for what differs, for somebody whose numbers are wrong.
  std::string hint() const {
    const std::vector<std::string>& made = trace().calls;
    const auto times = [](const std::vector<std::string>& in, const std::string& call) {
      return std::count(in.begin(), in.end(), call);
    };
    for (const std::string& call : made) {
      if (times(list, call) == 0) return "Look at this call of yours: " + call + ".";
    }
    for (const std::string& call : list) {
      if (times(made, call) >= times(list, call)) continue;
      const std::string op = call.substr(0, call.find('('));
      const std::string first =
          call.substr(op.size() + 1, call.find_first_of(",)") - op.size() - 1);
      if (op == "zero") {
        return first +
               (times(made, call) == 0 ? " is never set to zero"
                                       : " is not set to zero often enough") +
               ", and operators add to it: it still holds what an earlier call left there.";
      }
      return fmt::format("A call of {} is missing: the one that writes {}.", op, first);
    }
    for (std::size_t i = 0; i < std::min(made.size(), list.size()); ++i) {
      if (made[i] == list[i]) continue;
      return "Every call is there, but not in an order that works. The first that comes at another "
             "time than expected: " +
             made[i] + ".";
    }
    return "";
  }
  // The first buffer that is to be set to zero, and was, but not by the machine's memory.
  std::string zeroed_by_hand() const {
    for (const std::string& call : list) {
      if (!call.starts_with("zero(")) continue;
      const std::string buffer = call.substr(0, call.find(',') + 1);
      if (std::none_of(trace().calls.begin(), trace().calls.end(),
                       [&](const std::string& made) { return made.starts_with(buffer); })) {
        return call.substr(5, call.find(',') - 5);
      }
    }
    return "";
  }
  void expect_zeroed(Exam& exam) const {
    const std::string buffer = zeroed_by_hand();
    exam.expect_true(buffer.empty(), buffer + " was set to zero, but not by m.memory.zero",
                     "On a GPU the tensors lie where no loop of the host can reach them. zero(), "
                     "above the function, is for that.");
  }
  Mistake mistake() const {
    const std::string words = hint();
    return when([words](const Answer&) { return !words.empty(); }, words);
  }
};

inline Tolerance close_to(const Values& expected) {
  double most = 0.05;
  for (const double value : expected) most = std::max(most, std::abs(value));
  return {.terms = 64, .scale = most, .factor = 32};
}

}  // namespace tinygpt::lessons
