#include <fmt/format.h>

#include "bench/kernels.h"

#include <cstdint>

#include "bench/device.h"

namespace tinygpt::bench {
namespace {

// Buffers of one implementation, so that two can be timed in turn.
template <class Real>
struct Case {
  Case(const Ops<Real>& table, const Settings& s) : ops(table), B(s.batch), T(s.time), c(s.config) {
    const std::int64_t rows = std::int64_t{B} * T;
    const auto random = [&](std::int64_t n, std::uint64_t seed) {
      return sizeof(Real) == 2 ? random_bf16(s.memory, n, seed) : random_floats(s.memory, n, seed);
    };
    qkv = random(rows * c.qkv_width(), 1);
    dout = random(rows * c.width, 2);
    dqkv = random(rows * c.qkv_width(), 3);
    out = random(rows * c.width, 4);
    lse = random_floats(s.memory, attention_lse_size(B, T, c.heads), 5);
    const auto size = ops.attention_scratch_size(B, T, c.heads, c.kv_heads, c.head_size());
    scratch = DeviceBuffer(s.memory, size * std::int64_t{sizeof(float)});
    forward();
  }
  void forward() {
    ops.attention_forward(values<Real>(out), floats(lse), values<Real>(qkv), floats(scratch), B, T,
                          c.heads, c.kv_heads, c.head_size(), true);
  }
  void backward() {
    ops.attention_backward(values<Real>(dqkv), values<Real>(dout), values<Real>(out), floats(lse),
                           values<Real>(qkv), floats(scratch), B, T, c.heads, c.kv_heads,
                           c.head_size(), true);
  }
  Ops<Real> ops;
  int B, T;
  GptConfig c;
  DeviceBuffer qkv, dout, dqkv, out, lse, scratch;
};

template <class Real>
void bench_attention(Report& report, const Settings& settings, const Ops<Real>& ops,
                     const Ops<Real>& clear) {
  Case<Real> fast(ops, settings), reference(clear, settings);
  const GptConfig& c = settings.config;
  // Two products forward (scores, weighted sum), five backward, over the causal half.
  const double pairs = 0.5 * settings.time * (settings.time + 1.0) * settings.batch * c.heads;
  const double product = 2.0 * pairs * c.head_size();
  const auto add = [&](const char* name, void (Case<Real>::*pass)(), double flops) {
    const std::vector<Candidate> candidates = {{"tinygpt", [&] { (fast.*pass)(); }},
                                               {"reference", [&] { (reference.*pass)(); }}};
    const std::vector<Timing> times =
        time_in_turn(candidates, settings.rounds, settings.min_seconds, waiting(settings.memory));
    report.rows.push_back(
        {section(settings, "attention"),
         fmt::format("{} B={} T={} heads={}/{} size={}", name, settings.batch, settings.time,
                     c.heads, c.kv_heads, c.head_size()),
         "GFLOP/s, causal half",
         report.machine.peak_gflops,
         {speed("tinygpt", times[0], flops * 1e-9), speed("reference", times[1], flops * 1e-9)}});
  };
  add("forward", &Case<Real>::forward, 2 * product);
  add("backward", &Case<Real>::backward, 5 * product);
}

}  // namespace

void bench_attention(Report& report, const Settings& settings) {
  in_type(settings, [&](const auto& ops, const auto& reference) {
    bench_attention(report, settings, ops, reference);
  });
}

}  // namespace tinygpt::bench
