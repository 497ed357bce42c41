#include <fmt/format.h>

#include "bench/kernels.h"

#include <cstdint>

#include "bench/device.h"

namespace tinygpt::bench {
namespace {

// Buffers of one implementation, so that two can be timed in turn.
struct Case {
  Case(const Ops<float>& table, const Settings& s)
      : ops(table), B(s.batch), T(s.time), c(s.config) {
    const std::int64_t rows = std::int64_t{B} * T;
    const auto random = [&](std::int64_t n, std::uint64_t seed) {
      return random_floats(s.memory, n, seed);
    };
    qkv = random(rows * c.qkv_width(), 1);
    dout = random(rows * c.width, 2);
    dqkv = random(rows * c.qkv_width(), 3);
    out = random(rows * c.width, 4);
    lse = random(attention_lse_size(B, T, c.heads), 5);
    const auto size = ops.attention_scratch_size(B, T, c.heads, c.kv_heads, c.head_size());
    scratch = DeviceBuffer(s.memory, size * std::int64_t{sizeof(float)});
    forward();
  }
  void forward() {
    ops.attention_forward(floats(out), floats(lse), floats(qkv), floats(scratch), B, T, c.heads,
                          c.kv_heads, c.head_size(), true);
  }
  void backward() {
    ops.attention_backward(floats(dqkv), floats(dout), floats(out), floats(lse), floats(qkv),
                           floats(scratch), B, T, c.heads, c.kv_heads, c.head_size(), true);
  }
  Ops<float> ops;
  int B, T;
  GptConfig c;
  DeviceBuffer qkv, dout, dqkv, out, lse, scratch;
};

}  // namespace

void bench_attention(Report& report, const Settings& settings, const Ops<float>& ops) {
  Case fast(ops, settings), reference(settings.reference, settings);
  const GptConfig& c = settings.config;
  // Two products forward (scores, weighted sum), five backward, over the causal half.
  const double pairs = 0.5 * settings.time * (settings.time + 1.0) * settings.batch * c.heads;
  const double product = 2.0 * pairs * c.head_size();
  const auto add = [&](const char* name, void (Case::*pass)(), double flops) {
    const std::vector<Candidate> candidates = {{"tinygpt", [&] { (fast.*pass)(); }},
                                               {"reference", [&] { (reference.*pass)(); }}};
    const std::vector<Timing> times =
        time_in_turn(candidates, settings.rounds, settings.min_seconds, waiting(settings.memory));
    report.rows.push_back(
        {"attention",
         fmt::format("{} B={} T={} heads={}/{} size={}", name, settings.batch, settings.time,
                     c.heads, c.kv_heads, c.head_size()),
         "GFLOP/s, causal half",
         report.machine.peak_gflops,
         {speed("tinygpt", times[0], flops * 1e-9), speed("reference", times[1], flops * 1e-9)}});
  };
  add("forward", &Case::forward, 2 * product);
  add("backward", &Case::backward, 5 * product);
}

}  // namespace tinygpt::bench
