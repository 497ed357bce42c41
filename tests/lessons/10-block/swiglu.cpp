// Grades exercises/10-block/swiglu.cpp.
#include <fmt/format.h>

#include <cmath>
#include <cstdint>

#include "solutions/10-block/block.h"
#include "tests/lessons/grading/exam.h"
#include "tests/ops/equations.h"

namespace tinygpt::lessons {
namespace {

struct Case {
  int N, H;
  Values x;
};

// Usual sizes, then gates so large that their exponentials are infinite.
std::vector<Case> cases() {
  std::vector<Case> all;
  for (const auto& [N, H] : std::vector<std::pair<int, int>>{
           {2, 3}, {1, 1}, {0, 4}, {3, 1}, {1, 17}, {5, 16}, {4, 33}, {7, 101}}) {
    all.push_back({N, H, random_values(std::int64_t{N} * 2 * H, 1, 2.0)});
  }
  all.push_back({2, 2, {200, -200, 1, 2, -1000, 1000, -3, 0.5}});
  return all;
}

double sigmoid(double z) { return 1 / (1 + std::exp(-z)); }

// formula(gate, up, row * H + h) for each output; and for both gradients, laid out as x is.
template <class Formula>
Values outputs(const Case& c, Formula&& formula) {
  Values out;
  for (int n = 0; n < c.N; ++n) {
    for (int h = 0; h < c.H; ++h) {
      const auto at = static_cast<std::size_t>(n * 2 * c.H + h);
      out.push_back(formula(c.x[at], c.x[at + static_cast<std::size_t>(c.H)], out.size()));
    }
  }
  return out;
}

template <class Gate, class Up>
Values gradients(const Case& c, Gate&& gate, Up&& up) {
  const Values dgate = outputs(c, gate), dup = outputs(c, up);
  Values dx(c.x.size());
  for (std::size_t i = 0; i < dgate.size(); ++i) {
    const auto H = static_cast<std::size_t>(c.H), at = i / H * 2 * H + i % H;
    dx[at] = dgate[i], dx[at + H] = dup[i];
  }
  return dx;
}

// The same numbers if gate and up of an output lay side by side.
Values interleaved(const Case& c) {
  Values out;
  for (std::size_t i = 0; i + 1 < c.x.size(); i += 2) {
    out.push_back(c.x[i] * sigmoid(c.x[i]) * c.x[i + 1]);
  }
  return out;
}

bool has_nan(const Answer& a) {
  for (const double v : a.actual) {
    if (std::isnan(v)) return true;
  }
  return false;
}

void examine_forward(Exam& exam) {
  for (const Case& c : cases()) {
    const test::Exact expected = test::swiglu_equation(c.N, c.H).forward({c.x});
    using std::size_t;
    const bool large = !c.x.empty() && c.x[0] == 200;
    Sandbox& s = exam.call(fmt::format("swiglu_forward(N={}, H={}){}", c.N, c.H,
                                       large ? ", gates of 200 and 1000" : ""));
    float* out = s.output(std::int64_t{c.N} * c.H);
    const float* x = s.input(c.x);
    ref::swiglu_forward(out, x, c.N, c.H);
    exam.expect(
        "out", out, expected.value, {{"n", c.N}, {"h", c.H}}, {.magnitudes = expected.magnitude},
        {when([large](const Answer& a) { return large && has_nan(a); },
              "exp of a large number is infinite, and infinity over infinity is NaN. With "
              "1 / (1 + exp(-z)) an infinite exp gives 0, which is right."),
         gives(outputs(c, [](double g, double u, size_t) { return u * sigmoid(u) * g; }),
               "Gate and up have changed places: the gates come first in a row."),
         gives(outputs(c, [](double g, double u, size_t) { return sigmoid(g) * u; }),
               "This gate is a sigmoid; silu(z) is z times sigmoid(z)."),
         gives(outputs(c, [](double g, double u, size_t) { return g * u; }),
               "silu is missing: the gate is bent before it multiplies."),
         gives(outputs(c, [](double g, double, size_t) { return g * sigmoid(g); }),
               "This is silu(gate); it has to be multiplied by up."),
         gives(
             outputs(c, [](double g, double u, size_t) { return g * sigmoid(g) * u * sigmoid(u); }),
             "Only the gate goes through silu; up stays as it is."),
         gives(interleaved(c),
               "You take neighbours as gate and up. A row holds H gates first, and the H values "
               "that belong to them after.")});
  }
}

void examine_backward(Exam& exam) {
  for (const Case& c : cases()) {
    using std::size_t;
    const Values d = random_values(std::int64_t{c.N} * c.H, 2);
    const test::Exact exact = test::swiglu_equation(c.N, c.H).backward({c.x}, d)[0];
    const auto dgate = [&](double g, double u, size_t i) {
      return d[i] * u * sigmoid(g) * (1 + g * (1 - sigmoid(g)));
    };
    const auto dup = [&](double g, double, size_t i) { return d[i] * g * sigmoid(g); };
    const auto with_gate = [&](auto slope) {
      return gradients(
          c, [&](double g, double u, size_t i) { return d[i] * u * slope(g); }, dup);
    };
    const auto with_up = [&](auto formula) { return gradients(c, dgate, formula); };
    const bool large = !c.x.empty() && c.x[0] == 200;
    Sandbox& s = exam.call(fmt::format("swiglu_backward(N={}, H={}){}", c.N, c.H,
                                       large ? ", gates of 200 and 1000" : ""));
    float* dx = s.accumulator(std::int64_t{c.N} * 2 * c.H, 3);
    const float *dout = s.input(d), *x = s.input(c.x);
    ref::swiglu_backward(dx, dout, x, c.N, c.H);
    exam.expect_added(
        "dx", dx, exact.value, {{"n", c.N}, {"gate or up", 2}, {"h", c.H}},
        {.magnitudes = exact.magnitude},
        {gives(gradients(c, dup, dgate),
               "The two gradients have changed places: the gate's comes first in a row of dx."),
         gives(with_gate([](double g) { return sigmoid(g); }),
               "silu(z) = z * sigmoid(z) is a product, and both factors depend on z: the second "
               "term of its slope, z * s * (1 - s), is missing."),
         gives(with_gate([](double g) { return g * sigmoid(g) * (1 - sigmoid(g)); }),
               "The first term of silu's slope is missing: sigmoid(z), from the z in front."),
         gives(with_gate([](double g) { return sigmoid(g) * (1 + g * sigmoid(g)); }),
               "The derivative of sigmoid is s * (1 - s), not s * s."),
         gives(with_gate([](double g) { return sigmoid(g) * (1 + g) * (1 - sigmoid(g)); }),
               "The parentheses: silu'(z) = s * (1 + z * (1 - s)), or s + z * s * (1 - s)."),
         gives(with_gate([](double g) { return sigmoid(g) * (2 - sigmoid(g)); }),
               "The second term lacks its z: silu'(z) = s + z * s * (1 - s)."),
         gives(gradients(
                   c,
                   [&](double g, double, size_t i) {
                     return d[i] * sigmoid(g) * (1 + g * (1 - sigmoid(g)));
                   },
                   dup),
               "The gate's gradient lacks the other factor of the product, up."),
         gives(with_up([&](double g, double, size_t i) { return d[i] * sigmoid(g); }),
               "up was multiplied by silu(gate), so it gets dout * silu(gate), not only the "
               "sigmoid."),
         gives(with_up([&](double g, double, size_t i) { return d[i] * g; }),
               "up was multiplied by silu(gate), so it gets dout * silu(gate), not the gate "
               "itself."),
         gives(with_up([](double, double, size_t) { return 0.0; }),
               "up gets nothing: both factors of a product have a gradient."),
         when(has_nan, "exp of a large number is infinite: keep to 1 / (1 + exp(-z)).")});
  }
}

}  // namespace

std::vector<Task> tasks() {
  return {{"10.swiglu_forward", examine_forward}, {"10.swiglu_backward", examine_backward}};
}

}  // namespace tinygpt::lessons
