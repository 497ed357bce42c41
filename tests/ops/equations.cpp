#include "tests/ops/equations.h"

#include <cmath>

#include "tests/ops/eigen.h"

namespace tinygpt::test {
namespace {

using In = std::vector<Values>;

Exact exact(const Matrix& value, const Matrix& magnitude) { return {flat(value), flat(magnitude)}; }

Exact linear_forward(const In& in, int N, int C, int OC) {
  const auto x = matrix(in[0], N, C), w = matrix(in[1], OC, C);
  Matrix value = x * w.transpose(), magnitude = x.cwiseAbs() * w.transpose().cwiseAbs();
  value.rowwise() += row_vector(in[2]);
  magnitude.rowwise() += row_vector(in[2]).cwiseAbs();
  return exact(value, magnitude);
}

std::vector<Exact> linear_backward(const In& in, const Values& dout, int N, int C, int OC) {
  const auto x = matrix(in[0], N, C), w = matrix(in[1], OC, C), d = matrix(dout, N, OC);
  const Matrix x_size = x.cwiseAbs(), w_size = w.cwiseAbs(), d_size = d.cwiseAbs();
  return {exact(d * w, d_size * w_size), exact(d.transpose() * x, d_size.transpose() * x_size),
          exact(d.colwise().sum(), d_size.colwise().sum())};
}

// Equation 3 of Hu et al. without its first term: dh = scale B A x, for each row x.
Exact lora_forward(const In& in, int N, int C, int OC, int rank, double scale) {
  const auto x = matrix(in[0], N, C), a = matrix(in[1], rank, C), b = matrix(in[2], OC, rank);
  const Matrix update = scale * b * a;
  return exact(x * update.transpose(), std::abs(scale) * x.cwiseAbs() * a.cwiseAbs().transpose() *
                                           b.cwiseAbs().transpose());
}

std::vector<Exact> lora_backward(const In& in, const Values& dout, int N, int C, int OC, int rank,
                                 double scale) {
  const auto x = matrix(in[0], N, C), a = matrix(in[1], rank, C), b = matrix(in[2], OC, rank);
  const auto d = matrix(dout, N, OC);
  const Matrix x_size = x.cwiseAbs(), a_size = a.cwiseAbs(), b_size = b.cwiseAbs(),
               d_size = d.cwiseAbs();
  const double s = std::abs(scale);
  return {exact(scale * d * b * a, s * d_size * b_size * a_size),
          exact(scale * b.transpose() * d.transpose() * x,
                s * b_size.transpose() * d_size.transpose() * x_size),
          exact(scale * d.transpose() * x * a.transpose(),
                s * d_size.transpose() * x_size * a_size.transpose())};
}

// A norm's rows before weight and bias, and how much an error of x grows in them: where the mean is
// large beside the deviation, the digits that x - mean loses are lost for good.
struct Normalised {
  Matrix xhat;
  Column rstd, growth;
};

Normalised normalise(const Values& x, int N, int C, double eps, bool with_mean) {
  const Statistics s = row_statistics(x, N, C, eps, with_mean);
  const Eigen::Map<const Column> mean(s.mean.data(), N), rstd(s.rstd.data(), N);
  Normalised n{matrix(x, N, C), rstd, Column::Ones(N)};
  if (with_mean) {
    n.growth.array() += n.xhat.cwiseAbs().rowwise().mean().array() * rstd.array();
    n.xhat.colwise() -= mean;
  }
  n.xhat.array().colwise() *= rstd.array();
  return n;
}

Exact norm_forward(const In& in, int N, int C, double eps, bool with_mean) {
  const Normalised n = normalise(in[0], N, C, eps, with_mean);
  Matrix value = n.xhat, magnitude = n.xhat.cwiseAbs().array() + 1;
  value.array().rowwise() *= row_vector(in[1]).array();
  magnitude.array().rowwise() *= row_vector(in[1]).cwiseAbs().array();
  magnitude.array().colwise() *= n.growth.array();
  if (with_mean) {
    value.rowwise() += row_vector(in[2]);
    magnitude.rowwise() += row_vector(in[2]).cwiseAbs();
  }
  return exact(value, magnitude);
}

// out = xhat * weight + bias. The gradient of xhat is g = dout * weight; x reaches xhat directly,
// through the mean and through the deviation.
std::vector<Exact> norm_backward(const In& in, const Values& dout, int N, int C, double eps,
                                 bool with_mean) {
  const Normalised n = normalise(in[0], N, C, eps, with_mean);
  const auto d = matrix(dout, N, C);
  const Matrix g = d.array().rowwise() * row_vector(in[1]).array();
  const Column through_mean = with_mean ? Column(g.rowwise().mean()) : Column(Column::Zero(N));
  const Column through_deviation = g.cwiseProduct(n.xhat).rowwise().mean();
  Matrix dx = g;
  dx.colwise() -= through_mean;
  dx -= Matrix(n.xhat.array().colwise() * through_deviation.array());
  dx.array().colwise() *= n.rstd.array();

  const Matrix xhat_size = n.xhat.cwiseAbs().array() + 1;
  const Column g_size = g.cwiseAbs().cwiseProduct(xhat_size).rowwise().mean();
  Matrix dx_size = xhat_size.array().colwise() * g_size.array();
  dx_size += g.cwiseAbs();
  dx_size.array().colwise() *= n.rstd.array() * n.growth.array();
  Matrix dw_size = d.cwiseAbs().cwiseProduct(xhat_size);
  dw_size.array().colwise() *= n.growth.array();
  std::vector<Exact> gradients = {
      exact(dx, dx_size), exact(d.cwiseProduct(n.xhat).colwise().sum(), dw_size.colwise().sum())};
  if (with_mean) gradients.push_back(exact(d.colwise().sum(), d.cwiseAbs().colwise().sum()));
  return gradients;
}

// out = 0.5 x (1 + tanh(u(x)))
constexpr double kGeluScale = 0.79788456080286535588;  // sqrt(2 / pi)
double gelu_tanh(double x) { return std::tanh(kGeluScale * (x + 0.044715 * x * x * x)); }

Exact gelu_forward(const In& in) {
  Exact out;
  for (const double x : in[0]) {
    out.value.push_back(0.5 * x * (1 + gelu_tanh(x)));
    out.magnitude.push_back(std::abs(x));  // 1 + tanh cancels for a negative x
  }
  return out;
}

std::vector<Exact> gelu_backward(const In& in, const Values& dout) {
  Exact dx;
  for (std::size_t i = 0; i < dout.size(); ++i) {
    const double x = in[0][i], t = gelu_tanh(x);
    const double du = kGeluScale * (1 + 3 * 0.044715 * x * x);
    dx.value.push_back(dout[i] * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * du));
    dx.magnitude.push_back(std::abs(dout[i]) * (1 + 0.5 * std::abs(x) * du));
  }
  return {dx};
}

double sigmoid(double z) { return 1 / (1 + std::exp(-z)); }

// out = z sigmoid(z) up, with the gates z in the first half of a row and the values in the second.
Exact swiglu_forward(const In& in, int N, int H) {
  const auto x = matrix(in[0], N, 2 * H);
  const Matrix gate = x.leftCols(H);
  const Matrix out = gate.cwiseProduct(gate.unaryExpr(&sigmoid)).cwiseProduct(x.rightCols(H));
  return exact(out, 2 * out.cwiseAbs());
}

std::vector<Exact> swiglu_backward(const In& in, const Values& dout, int N, int H) {
  const auto x = matrix(in[0], N, 2 * H), d = matrix(dout, N, H);
  Exact dx{Values(in[0].size()), Values(in[0].size())};
  for (int n = 0; n < N; ++n) {
    for (int h = 0; h < H; ++h) {
      const double z = x(n, h), up = x(n, H + h), s = sigmoid(z);
      const std::size_t gate = static_cast<std::size_t>(n) * 2 * H + h, value = gate + H;
      dx.value[gate] = d(n, h) * up * (s + z * s * (1 - s));
      dx.magnitude[gate] = std::abs(d(n, h) * up) * s * (1 + std::abs(z));
      dx.value[value] = d(n, h) * z * s;
      dx.magnitude[value] = 2 * std::abs(dx.value[value]);
    }
  }
  return {dx};
}

// How far each logit lies below the largest of its row.
Matrix below_largest(const Values& x, int N, int V) {
  Matrix distance = matrix(x, N, V);
  for (int n = 0; n < N; ++n) distance.row(n).array() -= distance.row(n).maxCoeff();
  return distance;
}

// What exp loses of a difference in float is relative: |x - max| roundings.
Exact softmax_forward(const In& in, int N, int V) {
  const Matrix distance = below_largest(in[0], N, V);
  Matrix p = distance.array().exp(), magnitude = p;
  for (int n = 0; n < N; ++n) {
    p.row(n) /= p.row(n).sum();
    const auto finite = distance.row(n).cwiseAbs().cwiseMin(1000.0);  // beyond, p is 0
    const double sum_size = p.row(n).cwiseProduct(finite).sum();
    magnitude.row(n) = p.row(n).array() * (finite.array() + 1 + sum_size);
  }
  return exact(p, magnitude);
}

std::vector<Exact> softmax_backward(const In& in, const Values& dout, int N, int V) {
  const Values probabilities = softmax_forward(in, N, V).value;
  const auto p = matrix(probabilities, N, V), d = matrix(dout, N, V);
  const Column dot = p.cwiseProduct(d).rowwise().sum();
  const Column dot_size = p.cwiseProduct(d.cwiseAbs()).rowwise().sum();
  Matrix from_mean = d, size = d.cwiseAbs();
  from_mean.colwise() -= dot;
  size.colwise() += dot_size;
  return {exact(p.cwiseProduct(from_mean), p.cwiseProduct(size))};
}

Exact cross_entropy_forward(const In& in, int V, const std::vector<int>& targets) {
  const int N = static_cast<int>(targets.size());
  const Exact lse = log_sum_exp(in[0], N, V);
  Exact losses{Values(targets.size(), 0.0), Values(targets.size(), 0.0)};
  for (std::size_t n = 0; n < targets.size(); ++n) {
    if (targets[n] < 0) continue;
    const double right = in[0][n * static_cast<std::size_t>(V) + targets[n]];
    losses.value[n] = lse.value[n] - right;
    losses.magnitude[n] = lse.magnitude[n] + std::abs(right);
  }
  return losses;
}

std::vector<Exact> cross_entropy_backward(const In& in, const Values& dout, int V,
                                          const std::vector<int>& targets) {
  const int N = static_cast<int>(targets.size());
  const Exact lse = log_sum_exp(in[0], N, V);
  Matrix d = Matrix::Zero(N, V), size = Matrix::Zero(N, V);
  const auto x = matrix(in[0], N, V);
  for (int n = 0; n < N; ++n) {
    const auto at = static_cast<std::size_t>(n);
    if (targets[at] < 0) continue;
    d.row(n) = (x.row(n).array() - lse.value[at]).exp();
    size.row(n) = d.row(n).array() * (x.row(n).array().abs() + lse.magnitude[at] + 1);
    d(n, targets[at]) -= 1;
    size(n, targets[at]) += 1;
    d.row(n) *= dout[at];
    size.row(n) *= std::abs(dout[at]);
  }
  return {exact(d, size)};
}

}  // namespace

Equation linear_equation(int N, int C, int OC) {
  return {[=](const In& in) { return linear_forward(in, N, C, OC); },
          [=](const In& in, const Values& d) { return linear_backward(in, d, N, C, OC); }};
}

Equation lora_equation(int N, int C, int OC, int rank, double scale) {
  return {
      [=](const In& in) { return lora_forward(in, N, C, OC, rank, scale); },
      [=](const In& in, const Values& d) { return lora_backward(in, d, N, C, OC, rank, scale); }};
}

Equation layernorm_equation(int N, int C, double eps) {
  return {[=](const In& in) { return norm_forward(in, N, C, eps, true); },
          [=](const In& in, const Values& d) { return norm_backward(in, d, N, C, eps, true); }};
}

Equation rmsnorm_equation(int N, int C, double eps) {
  return {[=](const In& in) { return norm_forward(in, N, C, eps, false); },
          [=](const In& in, const Values& d) { return norm_backward(in, d, N, C, eps, false); }};
}

Equation gelu_equation() { return {gelu_forward, gelu_backward}; }

Equation swiglu_equation(int N, int H) {
  return {[=](const In& in) { return swiglu_forward(in, N, H); },
          [=](const In& in, const Values& d) { return swiglu_backward(in, d, N, H); }};
}

Equation softmax_equation(int N, int V) {
  return {[=](const In& in) { return softmax_forward(in, N, V); },
          [=](const In& in, const Values& d) { return softmax_backward(in, d, N, V); }};
}

Equation cross_entropy_equation(int V, std::vector<int> targets) {
  return {[=](const In& in) { return cross_entropy_forward(in, V, targets); },
          [=](const In& in, const Values& d) { return cross_entropy_backward(in, d, V, targets); }};
}

Statistics row_statistics(const Values& x, int N, int C, double eps, bool with_mean) {
  Statistics s;
  const auto rows = matrix(x, N, C);
  for (int n = 0; n < N; ++n) {
    s.mean.push_back(with_mean ? rows.row(n).mean() : 0.0);
    const double variance = (rows.row(n).array() - s.mean.back()).square().mean();
    s.rstd.push_back(1 / std::sqrt(variance + eps));
  }
  return s;
}

Exact log_sum_exp(const Values& x, int N, int V) {
  Exact lse;
  const auto rows = matrix(x, N, V);
  for (int n = 0; n < N; ++n) {
    const double largest = rows.row(n).maxCoeff();
    lse.value.push_back(largest + std::log((rows.row(n).array() - largest).exp().sum()));
    lse.magnitude.push_back(std::abs(largest) + std::abs(lse.value.back()) + 1);
  }
  return lse;
}

}  // namespace tinygpt::test
