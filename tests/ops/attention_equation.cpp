#include <cmath>
#include <cstdint>
#include <limits>

#include "tests/ops/eigen.h"
#include "tests/ops/equations.h"

namespace tinygpt::test {
namespace {

using HeadRows = Eigen::Map<Matrix, 0, Eigen::OuterStride<>>;
using ConstHeadRows = Eigen::Map<const Matrix, 0, Eigen::OuterStride<>>;

// Where query head h of sequence b and the key and value that it uses lie in an array like qkv.
struct Place {
  const AttentionSize& size;
  int b, h;

  int heads() const { return size.NH + 2 * size.NKV; }
  int group() const { return h / (size.NH / size.NKV); }
  ConstHeadRows rows(const Values& qkv, int head) const {
    return {qkv.data() + (std::int64_t{b} * size.T * heads() + head) * size.HS, size.T, size.HS,
            Eigen::OuterStride<>(heads() * size.HS)};
  }
  HeadRows rows(Values& qkv, int head) const {
    return {qkv.data() + (std::int64_t{b} * size.T * heads() + head) * size.HS, size.T, size.HS,
            Eigen::OuterStride<>(heads() * size.HS)};
  }
  ConstHeadRows out_rows(const Values& out) const {
    return {out.data() + (std::int64_t{b} * size.T * size.NH + h) * size.HS, size.T, size.HS,
            Eigen::OuterStride<>(size.NH * size.HS)};
  }
  HeadRows out_rows(Values& out) const {
    return {out.data() + (std::int64_t{b} * size.T * size.NH + h) * size.HS, size.T, size.HS,
            Eigen::OuterStride<>(size.NH * size.HS)};
  }
};

template <class Visit>
void for_each_head(const AttentionSize& size, Visit&& visit) {
  for (int b = 0; b < size.B; ++b) {
    for (int h = 0; h < size.NH; ++h) visit(Place{size, b, h});
  }
}

// One head: its matrices, the probabilities, and how much an error of a score grows in them (exp
// makes it a relative one).
struct HeadValues {
  Matrix q, k, v, p;
  Column lse, growth;
};

HeadValues evaluate(const Place& place, const Values& qkv) {
  const AttentionSize& s = place.size;
  HeadValues head{place.rows(qkv, place.h),
                  place.rows(qkv, s.NH + place.group()),
                  place.rows(qkv, s.NH + s.NKV + place.group()),
                  {},
                  Column(s.T),
                  Column(s.T)};
  const double scale = 1 / std::sqrt(static_cast<double>(s.HS));
  head.p = scale * head.q * head.k.transpose();
  const Matrix size = scale * head.q.cwiseAbs() * head.k.cwiseAbs().transpose();
  for (int t = 0; t < s.T; ++t) {
    const int seen = s.causal ? t + 1 : s.T;
    head.p.row(t).tail(s.T - seen).setConstant(-std::numeric_limits<double>::infinity());
    const double largest = head.p.row(t).maxCoeff();
    head.lse[t] = largest + std::log((head.p.row(t).array() - largest).exp().sum());
    head.p.row(t) = (head.p.row(t).array() - head.lse[t]).exp();
    head.growth[t] = 1 + size.row(t).head(seen).maxCoeff();
  }
  return head;
}

Exact attention_forward(const AttentionSize& size, const Values& qkv) {
  Exact out{Values(static_cast<std::size_t>(size.out())),
            Values(static_cast<std::size_t>(size.out()))};
  for_each_head(size, [&](const Place& place) {
    const HeadValues head = evaluate(place, qkv);
    place.out_rows(out.value) = head.p * head.v;
    place.out_rows(out.magnitude) = head.growth.asDiagonal() * head.p * head.v.cwiseAbs();
  });
  return out;
}

// out = P V, P = softmax(S), S = Q K^T / sqrt(HS), differentiated from left to right.
Exact attention_backward(const AttentionSize& size, const Values& qkv, const Values& dout) {
  Exact d{Values(qkv.size()), Values(qkv.size())};
  const double scale = 1 / std::sqrt(static_cast<double>(size.HS));
  for_each_head(size, [&](const Place& place) {
    const HeadValues head = evaluate(place, qkv);
    const Matrix dO = place.out_rows(dout), dO_size = dO.cwiseAbs();
    const Matrix dP = dO * head.v.transpose(), dP_size = dO_size * head.v.cwiseAbs().transpose();
    const Column delta = head.p.cwiseProduct(dP).rowwise().sum();
    const Column delta_size = head.p.cwiseProduct(dP_size).rowwise().sum();
    const Matrix p_size = head.growth.asDiagonal() * head.p;
    const Matrix dS = scale * head.p.cwiseProduct(Matrix(dP.colwise() - delta));
    const Matrix dS_size = scale * p_size.cwiseProduct(Matrix(dP_size.colwise() + delta_size));
    const int k = size.NH + place.group(), v = k + size.NKV;
    place.rows(d.value, place.h) += dS * head.k;
    place.rows(d.magnitude, place.h) += dS_size * head.k.cwiseAbs();
    place.rows(d.value, k) += dS.transpose() * head.q;
    place.rows(d.magnitude, k) += dS_size.transpose() * head.q.cwiseAbs();
    place.rows(d.value, v) += head.p.transpose() * dO;
    place.rows(d.magnitude, v) += p_size.transpose() * dO_size;
  });
  return d;
}

}  // namespace

Equation attention_equation(const AttentionSize& size) {
  return {[size](const std::vector<Values>& in) { return attention_forward(size, in[0]); },
          [size](const std::vector<Values>& in, const Values& dout) {
            return std::vector<Exact>{attention_backward(size, in[0], dout)};
          }};
}

Exact attention_lse(const AttentionSize& size, const Values& qkv) {
  Exact lse;
  for_each_head(size, [&](const Place& place) {
    const HeadValues head = evaluate(place, qkv);
    for (int t = 0; t < size.T; ++t) {
      lse.value.push_back(head.lse[t]);
      lse.magnitude.push_back(std::abs(head.lse[t]) + head.growth[t]);
    }
  });
  return lse;
}

}  // namespace tinygpt::test
