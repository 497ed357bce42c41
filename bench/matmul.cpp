#include <fmt/format.h>
#include <omp.h>

#include <Eigen/Core>
#include <array>
#include <cstdint>

#include "bench/device.h"
#include "bench/kernels.h"

namespace tinygpt::bench {
namespace {

using Matrix = Eigen::Map<Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;

constexpr std::array kPasses = {"forward", "dX", "dW"};
using Passes = std::array<std::vector<Candidate>, kPasses.size()>;

// One linear layer of the model, with buffers for its forward and backward. out, dx and dW are
// written over and over: only the time matters here.
struct Layer {
  const char* name;
  int N, C, OC;
  bool bf16;
  DeviceBuffer x, weight, dout, out, dx, dweight, scratch;
};

Layer make_layer(const char* name, int N, int C, int OC, bool bf16, const Settings& s) {
  const std::int64_t inputs = std::int64_t{N} * C, outputs = std::int64_t{N} * OC;
  const std::int64_t weights = std::int64_t{OC} * C;
  const auto random = bf16 ? random_bf16 : random_floats;
  const std::int64_t size = bf16 ? 2 : 4;
  const std::int64_t scratch = bf16 ? 0 : s.ops.linear_scratch_size(N, C, OC) * 4;
  return {name,
          N,
          C,
          OC,
          bf16,
          random(s.memory, inputs, 1),
          random(s.memory, weights, 2),
          random(s.memory, outputs, 3),
          DeviceBuffer(s.memory, outputs * size),
          zeros(s.memory, inputs * size),
          zeros(s.memory, weights * 4),
          DeviceBuffer(s.memory, scratch)};
}

void add_ours(Passes& passes, const Layer& l, const Ops<float>& ops) {
  passes[0].push_back({"tinygpt", [&] {
                         ops.linear_forward(floats(l.out), floats(l.x), floats(l.weight), nullptr,
                                            floats(l.scratch), l.N, l.C, l.OC);
                       }});
  const auto backward = [&](float* dx, float* dweight) {
    ops.linear_backward(dx, dweight, nullptr, floats(l.dout), floats(l.x), floats(l.weight),
                        floats(l.scratch), l.N, l.C, l.OC);
  };
  passes[1].push_back({"tinygpt", [&l, backward] { backward(floats(l.dx), nullptr); }});
  passes[2].push_back({"tinygpt", [&l, backward] { backward(nullptr, floats(l.dweight)); }});
}

void add_eigen(Passes& passes, const Layer& l) {
  const Matrix x(floats(l.x), l.N, l.C), w(floats(l.weight), l.OC, l.C);
  const Matrix dy(floats(l.dout), l.N, l.OC);
  passes[0].push_back(
      {"Eigen", [&l, x, w] { Matrix(floats(l.out), l.N, l.OC).noalias() = x * w.transpose(); }});
  passes[1].push_back(
      {"Eigen", [&l, w, dy] { Matrix(floats(l.dx), l.N, l.C).noalias() += dy * w; }});
  passes[2].push_back({"Eigen", [&l, x, dy] {
                         Matrix(floats(l.dweight), l.OC, l.C).noalias() += dy.transpose() * x;
                       }});
}

void add_products(Passes& passes, const Layer& l, const Products& p) {
  passes[0].push_back(
      {p.who, [&] { p.forward(l.out.data(), l.x.data(), l.weight.data(), l.N, l.C, l.OC); }});
  passes[1].push_back(
      {p.who, [&] { p.dx(l.dx.data(), l.dout.data(), l.weight.data(), l.N, l.C, l.OC); }});
  passes[2].push_back(
      {p.who, [&] { p.dweight(floats(l.dweight), l.dout.data(), l.x.data(), l.N, l.C, l.OC); }});
}

void bench_layer(Report& report, const Settings& settings, const Layer& layer) {
  Passes passes;
  if (!layer.bf16) add_ours(passes, layer, settings.ops);
  if (settings.on_host()) add_eigen(passes, layer);
  for (const Products& products : settings.products) {
    if (products.bf16 == layer.bf16) add_products(passes, layer, products);
  }
  const double flops = 2.0 * layer.N * layer.C * layer.OC;
  for (std::size_t i = 0; i < passes.size(); ++i) {
    const std::vector<Timing> times =
        time_in_turn(passes[i], settings.rounds, settings.min_seconds, waiting(settings.memory));
    Row row{layer.bf16 ? "matrix product, bf16" : "matrix product",
            fmt::format("{} {} {}x{}x{}", layer.name, kPasses[i], layer.N, layer.C, layer.OC),
            "GFLOP/s",
            report.machine.peak_gflops,
            {}};
    for (std::size_t k = 0; k < passes[i].size(); ++k) {
      row.figures.push_back(speed(passes[i][k].name, times[k], flops * 1e-9));
    }
    report.rows.push_back(std::move(row));
  }
}

}  // namespace

void bench_matmul(Report& report, const Settings& settings) {
  Eigen::setNbThreads(settings.threads);
  const GptConfig& c = settings.config;
  const int N = settings.batch * settings.time;
  for (const bool bf16 : {false, true}) {
    if (bf16 ? settings.on_host() : settings.bf16) continue;
    const auto run = [&](const char* name, int C, int OC) {
      const Layer layer = make_layer(name, N, C, OC, bf16, settings);
      bench_layer(report, settings, layer);
    };
    run("qkv", c.width, c.qkv_width());
    run("proj", c.width, c.width);
    run("up", c.width, c.up_width());
    run("down", c.hidden, c.width);
    run("head", c.width, c.vocab_size);
  }
}

}  // namespace tinygpt::bench
