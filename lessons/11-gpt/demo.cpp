// The experiments of lesson 11.
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
#include "tinygpt/core/error.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/model/gpt.h"

#ifdef TINYGPT_CHECKED_KERNELS
#include "solutions/11-gpt/gpt.cuh"
#include "solutions/table_cuda.h"
#include "tinygpt/simt/memory.h"
#include "tinygpt/simt/profile.h"
#endif

namespace tinygpt::lessons {
void overfit(const std::vector<Option>& options);  // demo_overfit.cpp
void start(const std::vector<Option>& options);
}  // namespace tinygpt::lessons

using namespace tinygpt;
using namespace tinygpt::lessons;

namespace {

const char* const kWords[] = {"a", "cat", "sat", "."};

void set(float* to, std::initializer_list<float> values) {
  for (const float value : values) *to++ = value;
}

// One block, three channels, rows that sum to 0: q and k are 0, so that every token attends evenly
// to those up to it; v is norm1; proj halves; the MLP adds nothing.
Rig tiny_machine() {
  Rig rig({4, 4, 1, 1, 3}, ref::ops(), 1, 4);
  const GptParameters<float> p = rig.parameters();
  set(p.wte, {1, 0, -1, -1, 1, 0, 0, -1, 1, 0, 1, -1});
  set(p.wpe, {0, 0, 0, 0.1f, 0, -0.1f, 0.2f, 0, -0.2f, 0.3f, 0, -0.3f});
  const BlockParameters<float>& b = p.blocks[0];
  for (float* weight : {b.norm1_weight, b.norm2_weight, p.norm_f_weight}) set(weight, {1, 1, 1});
  set(b.qkv_weight + 18, {1, 0, 0, 0, 1, 0, 0, 0, 1});
  set(b.proj_weight, {0.5f, 0, 0, 0, 0.5f, 0, 0, 0, 0.5f});
  return rig;
}

std::string triple(const float* x) {
  std::string text;
  for (int c = 0; c < 3; ++c) text += fmt::format("{:6.2f}", std::abs(x[c]) < 5e-3f ? 0 : x[c]);
  return text;
}

void print_streams(const Rig& rig) {
  const BlockActivations& b = rig.a.blocks[0];
  fmt::print("{:>5}{:>18}{:>8}{:>18}{:>18}{:>18}{:>18}\n", "token", "embedded", "size", "norm1",
             "att", "mid = out", "norm_f");
  for (int t = 0; t < 4; ++t) {
    const float* x = rig.a.embedded + 3 * t;
    const double size = std::sqrt((x[0] * x[0] + x[1] * x[1] + x[2] * x[2]) / 3);
    fmt::print("{:>5}{}{:>8.3f}{}{}{}{}\n", kWords[t], triple(x), size, triple(b.norm1 + 3 * t),
               triple(b.att + 3 * t), triple(b.out + 3 * t), triple(rig.a.norm_f + 3 * t));
  }
}

void worked(const std::vector<Option>&) {
  Rig rig = tiny_machine();
  const std::vector<int> tokens = {0, 1, 2, 3}, targets = {1, 2, 3, 0};
  const float loss = rig.loss(tokens, targets);
  print_streams(rig);
  fmt::print("\nlogits{:>9}{:>8}{:>8}{:>8}{:>7}{:>8}\n", "a", "cat", "sat", ".", "next", "loss");
  for (int t = 0; t < 4; ++t) {
    const float* row = rig.a.logits + 4 * t;
    fmt::print("{:>5}{:>10.2f}{:>8.2f}{:>8.2f}{:>8.2f}{:>7}{:>8.3f}\n", kWords[t], row[0], row[1],
               row[2], row[3], kWords[targets[static_cast<std::size_t>(t)]], rig.a.losses[t]);
  }
  fmt::print("mean loss {:.3f}; guessing among four words would lose ln 4 = {:.3f}\n\n", loss,
             std::log(4.0));

  rig.backward(tokens, targets);
  const std::vector<float> together(rig.gradients.begin(), rig.gradients.begin() + 12);
  rig.m.ops = without_embedding_gradient(rig.m.ops);
  rig.loss(tokens, targets);
  std::ranges::fill(rig.gradients, 0.0f);
  rig.backward(tokens, targets);
  fmt::print("{:>5}{:>18}{:>18}{:>18}\n", "wte", "as head", "as embedding", "together");
  for (std::size_t v = 0; v < 4; ++v) {
    const float* head = rig.gradients.data() + 3 * v;
    const float* both = together.data() + 3 * v;
    const float embedding[] = {both[0] - head[0], both[1] - head[1], both[2] - head[2]};
    fmt::print("{:>5}{}{}{}\n", kWords[v], triple(head), triple(embedding), triple(both));
  }
  fmt::print("\n{} parameters\n", ref::gpt_parameter_count(rig.s));
}

std::string grouped(std::int64_t n) {
  if (n < 1000) return std::to_string(n);
  return fmt::format("{},{:03}", grouped(n / 1000), n % 1000);
}

GptShape shape_of(const GptConfig& c) {
  return {c.vocab_size, c.context_length, c.layers, c.heads, c.width, c.norm_eps};
}

// The bytes of the library's arena, by hand: for each token, in floats,
//   each block  2 streams and 2 norms of C, qkv 3 C, att C, up and act 8 C; 4 statistics, NH lse
//   around it   stream and norm at the end 2 C with 2 statistics; branch and dstream 2 C; token,
//               target, loss, lse
//   in turn     logits V, or an MLP's gradients 8 C
std::int64_t activation_bytes(const GptShape& s, int B, int T) {
  const std::int64_t C = s.C;
  const std::int64_t block = 4 * C + 3 * C + C + 8 * C + 4 + s.NH;
  const std::int64_t rest = 4 * C + 2 + 4 + std::max<std::int64_t>(s.V, 8 * C);
  return std::int64_t{B} * T * (s.L * block + rest) * std::int64_t{sizeof(float)};
}

std::string scaled(double x, double unit, const char* form) {
  return fmt::format(fmt::runtime(form), x / unit);
}

void parameter_table(const GptShape& s, const ParameterLedger& parts) {
  const std::int64_t C = s.C, attention = 4 * C * C + 4 * C, mlp = 8 * C * C + 5 * C;
  const auto row = [](const std::string& what, const std::string& formula, std::int64_t by_hand,
                      std::int64_t by_program) {
    return std::vector<std::string>{what, formula, grouped(by_hand), grouped(by_program)};
  };
  print_table({"parameters", "formula", "by hand", "by program"},
              {row("token embedding", "V C", s.V * C, parts.embedding),
               row("positions", "max_T C", s.max_T * C, parts.positions),
               row("attention", "L (4 C^2 + 4 C)", s.L * attention, parts.attention),
               row("MLP", "L (8 C^2 + 5 C)", s.L * mlp, parts.mlp),
               row("norms", "(2 L + 1) 2 C", (2 * s.L + 1) * 2 * C, parts.norms),
               row("head", "tied: the embedding", 0, parts.head),
               row("in all", "", ref::gpt_parameter_count(s), parts.total)});
}

void flop_table(const GptShape& s, const FlopLedger& parts) {
  const double C = s.C, linears = 24 * C * C * s.L, attention = 2 * C * (s.max_T + 1.0) * s.L;
  const auto row = [](const std::string& what, const std::string& formula, double by_hand,
                      double by_program) {
    return std::vector<std::string>{what, formula, scaled(by_hand, 1e6, "{:.2f}"),
                                    scaled(by_program, 1e6, "{:.2f}")};
  };
  const double all = ref::gpt_flops(s, s.max_T);
  print_table(
      {"operations for a token", "formula", "millions by hand", "by program"},
      {row("linear layers", "24 C^2 L", linears, parts.linears),
       row("attention", "2 C (T + 1) L", attention, parts.attention),
       row("head", "2 C V", 2 * C * s.V, parts.head), row("forward", "", all, parts.forward),
       row("and backward", "three times", 3 * all, parts.step)});
}

void memory_table(const GptShape& s, int B, int T, const MemoryLedger& parts) {
  const std::int64_t four = 4 * ref::gpt_parameter_count(s), acts = activation_bytes(s, B, T);
  const auto row = [](const std::string& what, const std::string& formula, std::int64_t by_hand,
                      std::int64_t by_program) {
    constexpr double kMiB = 1048576;
    return std::vector<std::string>{what, formula,
                                    scaled(static_cast<double>(by_hand), kMiB, "{:.1f}"),
                                    scaled(static_cast<double>(by_program), kMiB, "{:.1f}")};
  };
  print_table(
      {fmt::format("training, {} x {} tokens", B, T), "formula", "MiB by hand", "by program"},
      {row("parameters", "4 bytes each", four, parts.parameters),
       row("gradients", "4 bytes each", four, parts.gradients),
       row("AdamW's moments", "8 bytes each", 2 * four, parts.optimizer),
       row("activations", "4 B T (*)", acts, parts.activations),
       row("in all", "", 4 * four + acts, parts.total)});
  fmt::print("(*) times L (16 C + 4 + NH) + 4 C + 6 + the larger of V and 8 C\n");
}

void ledger(const std::vector<Option>& options) {
  const std::string name = as_text(options, "config");
  const GptConfig c = named_config(name);
  check(c.family == Family::gpt2,
        [&] { return name + " is no GPT-2: its parts are others (tinygpt info)"; });
  const GptShape s = shape_of(c);
  const int B = static_cast<int>(as_number(options, "batch"));
  check(B > 0, "--batch must be at least 1");
  fmt::print("{}: V = {}, max_T = {}, L = {}, NH = {}, C = {}\n\n", name, s.V, s.max_T, s.L, s.NH,
             s.C);
  parameter_table(s, parameter_ledger(c));
  fmt::print("\n");
  flop_table(s, flop_ledger(c, s.max_T));
  fmt::print("\n");
  memory_table(s, B, s.max_T, memory_ledger(c, ref::ops(), Purpose::training, B, s.max_T));
}

#ifdef TINYGPT_CHECKED_KERNELS
int launches, copies_out;
std::int64_t bytes_out;

void device(const std::vector<Option>&) {
  Rig host({65, 16, 2, 2, 16}, ref::ops(), 2, 8);
  ref::gpt_init(host.parameters(), 0.2f, 1, host.s);
  std::vector<int> tokens, targets;
  for (int i = 0; i < 16; ++i) tokens.push_back(i * 7 % 65), targets.push_back((i * 7 + 7) % 65);
  const float on_host = host.loss(tokens, targets);
  host.backward(tokens, targets);

  Memory memory = simt::emulated_memory();
  memory.copy_out = [](void* to, const void* from, std::size_t bytes) {
    ++copies_out, bytes_out += static_cast<std::int64_t>(bytes);
    simt::emulated_memory().copy_out(to, from, bytes);
  };
  const Ops<float> ops = ref_cuda::ops();
  const auto n = static_cast<std::int64_t>(host.params.size());
  const auto buffer = [&](std::int64_t floats) { return DeviceBuffer(memory, 4 * floats); };
  const DeviceBuffer params = buffer(n), gradients = buffer(n),
                     room = buffer(static_cast<std::int64_t>(host.room.size())),
                     scratch = buffer(gpt_scratch_floats(ops, 2, 8, host.s)), ids = buffer(16),
                     next = buffer(16), mean = buffer(1);
  memory.copy_in(params.data(), host.params.data(), host.params.size() * sizeof(float));
  std::int64_t size = 0;
  const GptActivations a = gpt_activations(&size, static_cast<float*>(room.data()), 2, 8, host.s);
  float on_device = 0;
  {
    simt::Profiling profiling;
    on_device = ref_cuda::gpt_step(static_cast<float*>(gradients.data()), n, a,
                                   {static_cast<int*>(ids.data()), static_cast<int*>(next.data()),
                                    static_cast<float*>(mean.data())},
                                   tokens.data(), targets.data(), 16,
                                   static_cast<const float*>(params.data()), 2, 8, host.s,
                                   {ops, memory, static_cast<float*>(scratch.data())});
    for (const simt::KernelProfile& kernel : profiling.kernels)
      launches += static_cast<int>(kernel.launches);
  }
  const int copies = copies_out;
  const std::int64_t bytes = bytes_out;
  std::vector<float> ours(host.gradients.size());
  memory.copy_out(ours.data(), gradients.data(), ours.size() * sizeof(float));
  double most = 0, apart = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    most = std::max(most, std::abs(double{host.gradients[i]}));
    apart = std::max(apart, std::abs(double{ours[i]} - host.gradients[i]));
  }
  fmt::print("loss on the host {:.5f}, on the device {:.5f}\n", on_host, on_device);
  fmt::print("largest difference of {} gradients, relative to the largest: below 1e-5: {}\n",
             ours.size(), apart < 1e-5 * most ? "yes" : "no");
  fmt::print("{} kernels were launched; {} copy came back, of {} bytes\n", launches, copies, bytes);
}
#endif

}  // namespace

int main(int argc, char** argv) {
  std::vector<Experiment> experiments = {
      {"worked", "the numbers of the lesson's worked example", worked},
      {"ledger",
       "parameters, operations and bytes, by hand and by program",
       ledger,
       {{"config", "a GPT-2: gpt2-124m, nano-cpu, ...", "gpt2-124m"},
        {"batch", "texts in a batch", "4"}}},
      {"start",
       "the loss before the first step, and what the stream holds after each block",
       start,
       {{"seed", "of the first weights", "1"}}},
      {"overfit",
       "learn one batch by heart, with and without a mistake in the backward pass",
       overfit,
       {{"steps", "steps of AdamW", "200"}}}};
#ifdef TINYGPT_CHECKED_KERNELS
  experiments.push_back({"device", "the same machine on the emulated device", device});
#endif
  return run_demo(argc, argv, "Lesson 11: the whole machine", experiments);
}
