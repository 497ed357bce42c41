#include <fmt/format.h>
#include <omp.h>

#include <Eigen/Core>
#include <array>
#include <cstdint>

#include "bench/kernels.h"
#include "tinygpt/core/buffer.h"
#include "tinygpt/core/random.h"

namespace tinygpt::bench {
namespace {

using Matrix = Eigen::Map<Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;

// One linear layer of the model, with buffers for its forward and backward.
struct Layer {
  Layer(const char* label, int rows, int inputs, int outputs, const Ops<float>& ops)
      : name(label),
        N(rows),
        C(inputs),
        OC(outputs),
        x(std::int64_t{N} * C),
        weight(std::int64_t{OC} * C),
        out(std::int64_t{N} * OC),
        scratch(ops.linear_scratch_size(N, C, OC)) {
    Random random{1};
    for (Buffer<float>* buffer : {&x, &weight, &out}) {
      for (float& value : buffer->span()) value = static_cast<float>(random.uniform() - 0.5);
    }
  }
  const char* name;
  int N, C, OC;
  Buffer<float> x, weight, out, scratch;
};

// out, dx and dW are written over x, weight and out: only the time matters here, and the values
// stay finite, since accumulating ones are scaled down by their size.
std::array<std::vector<Candidate>, 3> candidates(Layer& l, const Ops<float>& ops, Buffer<float>& dx,
                                                 Buffer<float>& dweight, Buffer<float>& y) {
  const Matrix x(l.x.data(), l.N, l.C), w(l.weight.data(), l.OC, l.C), dy(l.out.data(), l.N, l.OC);
  const auto forward = [&] {
    ops.linear_forward(y.data(), l.x.data(), l.weight.data(), nullptr, l.scratch.data(), l.N, l.C,
                       l.OC);
  };
  const auto eigen_forward = [&l, &y, x, w] {
    Matrix(y.data(), l.N, l.OC).noalias() = x * w.transpose();
  };
  const auto backward = [&](float* to_x, float* to_weight) {
    ops.linear_backward(to_x, to_weight, nullptr, l.out.data(), l.x.data(), l.weight.data(),
                        l.scratch.data(), l.N, l.C, l.OC);
  };
  const auto eigen_dx = [&l, &dx, w, dy] { Matrix(dx.data(), l.N, l.C).noalias() += dy * w; };
  const auto eigen_dw = [&l, &dweight, x, dy] {
    Matrix(dweight.data(), l.OC, l.C).noalias() += dy.transpose() * x;
  };
  return {{{{"tinygpt", forward}, {"Eigen", eigen_forward}},
           {{"tinygpt", [backward, &dx] { backward(dx.data(), nullptr); }}, {"Eigen", eigen_dx}},
           {{"tinygpt", [backward, &dweight] { backward(nullptr, dweight.data()); }},
            {"Eigen", eigen_dw}}}};
}

void bench_layer(Report& report, const Settings& settings, const Ops<float>& ops, Layer& layer) {
  Buffer<float> dx(layer.x.size()), dweight(layer.weight.size()), y(layer.out.size());
  for (Buffer<float>* buffer : {&dx, &dweight}) {
    for (float& value : buffer->span()) value = 0;
  }
  const double flops = 2.0 * layer.N * layer.C * layer.OC;
  const char* const names[] = {"forward", "dX", "dW"};
  int i = 0;
  for (const std::vector<Candidate>& pair : candidates(layer, ops, dx, dweight, y)) {
    const std::vector<Timing> times = time_in_turn(pair, settings.rounds, settings.min_seconds);
    Row row{"matrix product",
            fmt::format("{} {} {}x{}x{}", layer.name, names[i++], layer.N, layer.C, layer.OC),
            "GFLOP/s",
            report.machine.peak_gflops,
            {}};
    for (std::size_t k = 0; k < pair.size(); ++k) {
      row.figures.push_back(speed(pair[k].name, times[k], flops * 1e-9));
    }
    report.rows.push_back(std::move(row));
  }
}

}  // namespace

void bench_matmul(Report& report, const Settings& settings, const Ops<float>& ops) {
  Eigen::setNbThreads(settings.threads);
  const GptConfig& c = settings.config;
  const int N = settings.batch * settings.time;
  const int up = c.family == Family::llama ? 2 * c.hidden : c.hidden;
  const auto run = [&](const char* name, int C, int OC) {
    Layer layer(name, N, C, OC, ops);
    bench_layer(report, settings, ops, layer);
  };
  run("qkv", c.width, c.qkv_width());
  run("proj", c.width, c.width);
  run("up", c.width, up);
  run("down", c.hidden, c.width);
  run("head", c.width, c.vocab_size);
}

}  // namespace tinygpt::bench
