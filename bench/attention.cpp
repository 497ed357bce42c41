#include <fmt/format.h>

#include "bench/kernels.h"

#include <cstdint>

#include "solutions/table.h"
#include "tinygpt/core/buffer.h"
#include "tinygpt/core/random.h"

namespace tinygpt::bench {
namespace {

Buffer<float> random_buffer(std::int64_t n, std::uint64_t seed) {
  Buffer<float> buffer(n);
  Random random{seed};
  for (float& value : buffer.span()) value = static_cast<float>(random.normal());
  return buffer;
}

// Buffers of one implementation, so that two can be timed in turn.
struct Case {
  Case(const Ops<float>& table, const Settings& s)
      : ops(table), B(s.batch), T(s.time), c(s.config) {
    const std::int64_t rows = std::int64_t{B} * T;
    qkv = random_buffer(rows * c.qkv_width(), 1);
    dout = random_buffer(rows * c.width, 2);
    dqkv = random_buffer(rows * c.qkv_width(), 3);
    out = Buffer<float>(rows * c.width);
    lse = Buffer<float>(attention_lse_size(B, T, c.heads));
    scratch = Buffer<float>(ops.attention_scratch_size(B, T, c.heads, c.kv_heads, c.head_size()));
    forward();
  }
  void forward() {
    ops.attention_forward(out.data(), lse.data(), qkv.data(), scratch.data(), B, T, c.heads,
                          c.kv_heads, c.head_size(), true);
  }
  void backward() {
    ops.attention_backward(dqkv.data(), dout.data(), out.data(), lse.data(), qkv.data(),
                           scratch.data(), B, T, c.heads, c.kv_heads, c.head_size(), true);
  }
  Ops<float> ops;
  int B, T;
  GptConfig c;
  Buffer<float> qkv, dout, dqkv, out, lse, scratch;
};

}  // namespace

void bench_attention(Report& report, const Settings& settings, const Ops<float>& ops) {
  Case fast(ops, settings), reference(ref::ops(), settings);
  const GptConfig& c = settings.config;
  // Two products forward (scores, weighted sum), five backward, over the causal half.
  const double pairs = 0.5 * settings.time * (settings.time + 1.0) * settings.batch * c.heads;
  const double product = 2.0 * pairs * c.head_size();
  const auto add = [&](const char* name, void (Case::*pass)(), double flops) {
    const std::vector<Candidate> candidates = {{"tinygpt", [&] { (fast.*pass)(); }},
                                               {"reference", [&] { (reference.*pass)(); }}};
    const std::vector<Timing> times =
        time_in_turn(candidates, settings.rounds, settings.min_seconds);
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
