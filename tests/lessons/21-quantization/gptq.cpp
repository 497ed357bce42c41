// Grades exercises/21-quantization/gptq.cpp.
#include "solutions/21-quantization/gptq.h"

#include <string>

#include "tests/lessons/21-quantization/calibration_exam.h"
#include "tinygpt/core/error.h"

namespace tinygpt::lessons {
namespace {

// What goes onto the Hessian's diagonal: damping times this.
enum class Damping { mean, nothing, one, largest, sum, own, mean_of_all, everywhere };

// What a row's columns go through, right or with a mistake in it.
struct Way {
  Damping damping = Damping::mean;
  bool scale_of_row = false, scale_before = false;
  bool divided = true, divided_twice = false, passes_on = true, adds = false;
  bool lower = false, hessian = false, inverse = false, next_only = false, rest_of_block = false;
  bool error_of_code = false, error_of_first = false, d_in_float = false, truncates = false;
  bool wraps = false, unclipped = false, at_most_15_only = false;
};

struct Answers {
  Values d, q;
};

// The matrix that errors are passed on by.
Matrix factor_of(const Layer& layer, double damping, const Way& way) {
  Matrix H = layer.H;
  const Eigen::VectorXd diagonal = H.diagonal();
  switch (way.damping) {
    case Damping::mean:
      H.diagonal().array() += damping * diagonal.mean();
      break;
    case Damping::nothing:
      break;
    case Damping::one:
      H.diagonal().array() += damping;
      break;
    case Damping::largest:
      H.diagonal().array() += damping * diagonal.maxCoeff();
      break;
    case Damping::sum:
      H.diagonal().array() += damping * diagonal.sum();
      break;
    case Damping::own:
      H.diagonal() += damping * diagonal;
      break;
    case Damping::mean_of_all:
      H.diagonal().array() += damping * layer.H.mean();
      break;
    case Damping::everywhere:
      H.array() += damping * diagonal.mean();
      break;
  }
  if (way.hessian) return H;
  if (way.inverse) return H.inverse();
  const Eigen::LLT<Matrix> of_inverse(H.inverse());
  return way.lower ? Matrix(of_inverse.matrixL()) : Matrix(of_inverse.matrixU());
}

double scale_at(const Values& w, std::size_t from, std::size_t count) {
  double m = 0;
  for (std::size_t i = from; i < from + count; ++i) m = std::abs(w[i]) > std::abs(m) ? w[i] : m;
  return m / -8;
}

void round_row(Answers& out, Values w, const Matrix& U, const Way& way) {
  const Values before = w;
  const std::size_t C = w.size();
  double d = 0;
  for (std::size_t i = 0; i < C; ++i) {
    const auto c = static_cast<Eigen::Index>(i);
    if (i % kBlock == 0) {
      if (way.scale_of_row) d = scale_at(before, 0, C);
      else d = scale_at(way.scale_before ? before : w, i, kBlock);
      out.d.push_back(half(d));
      if (!way.d_in_float) d = half(d);
    }
    const double step = std::floor(w[i] / d + (way.truncates ? 8 : 8.5));
    const double stored = static_cast<double>(static_cast<int>(step) & 15);
    double q = way.wraps ? stored : std::clamp(step, 0.0, 15.0);
    out.q.push_back(way.unclipped || (way.at_most_15_only && step < 0) ? stored : q);
    if (way.unclipped || (way.at_most_15_only && step < 0)) q = step;
    double e = (way.error_of_first ? before[i] : w[i]) - d * (way.error_of_code ? q : q - 8);
    if (way.divided) e /= U(c, c);
    if (way.divided_twice) e /= U(c, c);
    if (!way.passes_on) continue;
    const std::size_t end = way.rest_of_block ? (i / kBlock + 1) * kBlock
                            : way.next_only   ? std::min(i + 2, C)
                                              : C;
    for (std::size_t j = i + 1; j < end; ++j) {
      const auto to = static_cast<Eigen::Index>(j);
      w[j] += (way.adds ? 1 : -1) * e * (way.lower ? U(to, c) : U(c, to));
    }
  }
}

Answers answers(const Layer& layer, double damping, const Way& way) {
  const Matrix U = factor_of(layer, damping, way);
  Answers out;
  for (int o = 0; o < layer.rows; ++o) {
    const auto from = layer.weight.begin() + std::ptrdiff_t{o} * layer.cols;
    round_row(out, Values(from, from + layer.cols), U, way);
  }
  return out;
}

struct Slip {
  Way way;
  const char* nudge;
};

const char* const kBeyond =
    "A weight that has grown beyond the grid wraps round to the other end. Not less than 0, and "
    "not more than 15: both can happen here.";

std::vector<Slip> slips() {
  return {
      {{.damping = Damping::nothing},
       "The Hessian is not damped: damping * mean of its diagonal goes onto the diagonal, before "
       "it is factored. Without that, columns that are nearly the same are played off against "
       "each other."},
      {{.damping = Damping::one},
       "You add the damping itself. It is a share: damping times the mean of the diagonal, since "
       "a Hessian's size depends on the inputs and their number."},
      {{.damping = Damping::largest},
       "The damping is a share of the diagonal's largest value: of its mean instead."},
      {{.damping = Damping::sum},
       "The damping is a share of the diagonal's sum. Divide by cols: it is a share of its mean."},
      {{.damping = Damping::own},
       "Each value of the diagonal has grown by a share of itself. All grow by the same, a share "
       "of their mean: so a column whose input is always 0 has something on its diagonal, too."},
      {{.damping = Damping::mean_of_all},
       "The mean is that of the whole Hessian. It is meant to be that of its diagonal."},
      {{.damping = Damping::everywhere},
       "The damping is added to all of the Hessian. It belongs on the diagonal alone."},
      {{.passes_on = false},
       "This is round to nearest: no error was passed on. w[o, j] -= e * U[i, j] for every j "
       "behind i."},
      {{.scale_before = true},
       "The scales come from the weights as they were at first. When a block's first column "
       "comes, its weights have made up for the errors of others: take d from them as they are "
       "now."},
      {{.scale_of_row = true},
       "One scale for a whole row. Each block of 32 columns has its own, found when its first "
       "column comes."},
      {{.divided = false}, "e is the error divided by U[i, i]."},
      {{.divided_twice = true},
       "The error is divided by U[i, i] twice. By the inverse Hessian itself it would have to "
       "be; U is its root."},
      {{.inverse = true},
       "You pass errors on by the inverse of the whole Hessian. That of the columns not rounded "
       "yet is another one for each column; row i of U has what is needed of it."},
      {{.truncates = true},
       "The quotient is rounded down. Adding 8.5 instead of 8, before floor, rounds to the "
       "nearest."},
      {{.error_of_first = true},
       "The error is measured from the weight as it was at first. It has moved since: from the "
       "value that was rounded."},
      {{.next_only = true},
       "Errors go to the next column only. All columns behind make up for one: j = i + 1 to cols "
       "- 1."},
      {{.hessian = true},
       "You pass errors on by the Hessian itself. It goes by U, the factor of its inverse: "
       "inverse_factor turns one into the other, in place."},
      {{.lower = true}, "U is upper triangular: error i reaches column j by U[i, j], not U[j, i]."},
      {{.adds = true}, "The error is added to the columns behind. They make up for it: subtract."},
      {{.rest_of_block = true},
       "Errors stop at the end of their block of 32. Blocks share a scale, and nothing else: all "
       "columns behind make up for an error."},
      {{.error_of_code = true},
       "The error is taken from d * q. The code q stands for d * (q - 8): zero is 8."},
      {{.wraps = true}, kBeyond},
      {{.unclipped = true}, kBeyond},
      {{.at_most_15_only = true}, kBeyond},
      {{.d_in_float = true},
       "The scale is kept in half precision, and the float one before rounding was used. Unlike "
       "quantize_q4_0, this makes up for errors: they must be those of the d that is kept."}};
}

bool agree(const Values& a, const Values& b, double allowed) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    const bool near = std::abs(a[i] - b[i]) <= allowed * (std::abs(b[i]) + 1e-6);
    if (!near && a[i] != b[i]) return false;  // infinities are equal, and not near
  }
  return true;
}

// The mistake that explains scales and codes, both.
const char* explain(const Layer& layer, double damping, const Answers& actual) {
  for (const Slip& slip : slips()) {
    const bool undamped = slip.way.damping == Damping::nothing;
    if (undamped && layer.X.rows() < layer.cols) continue;  // singular
    const Answers wrong = answers(layer, damping, slip.way);
    if (agree(actual.d, wrong.d, 0x1p-10) && agree(actual.q, wrong.q, 0)) return slip.nudge;
  }
  return "";
}

void examine_layer(Exam& exam, const std::string& what, const Layer& layer, double damping) {
  const auto count = static_cast<std::size_t>(layer.rows * layer.cols / kBlock);
  Sandbox& s = exam.call(fmt::format("gptq_quantize(rows={}, cols={}, damping={}), {}", layer.rows,
                                     layer.cols, damping, what));
  const BlockOutput<BlockQ4_0> out(s, count);
  const std::vector<double> before = layer.hessian;
  const float* weight = s.input(Values(layer.weight.begin(), layer.weight.end()));
  ref::gptq_quantize(out.data(), weight, layer.hessian.data(), layer.rows, layer.cols, damping);
  exam.expect_true(layer.hessian == before, "hessian has changed",
                   "It is const, and others need it: factor a copy.");
  const std::vector<BlockQ4_0> blocks = out.read(exam);
  const Answers expected = answers(layer, damping, {});
  const Shape scales = {{"row", layer.rows}, {"block", layer.cols / kBlock}};
  const Answers actual = {scales_of(blocks), codes_of(blocks)};
  const bool right = agree(actual.d, expected.d, 0x1p-10) && agree(actual.q, expected.q, 0);
  std::string nudge = right ? "" : explain(layer, damping, actual);
  const auto first_row = [&](const Values& v) {
    return Values(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(v.size()) / layer.rows);
  };
  if (nudge.empty() && layer.rows > 1 && agree(first_row(actual.q), first_row(expected.q), 0)) {
    nudge =
        "The first row is right. Each row begins with its own weights, and nothing is left over "
        "from the row before it.";
  }
  std::vector<Mistake> mistakes;
  if (!nudge.empty()) mistakes.push_back(when([](const Answer&) { return true; }, nudge));
  exam.expect("d", actual.d, expected.d, scales, half_precision(), mistakes);
  exam.expect("q", actual.q, expected.q, {{"row", layer.rows}, {"i", layer.cols}}, exact(),
              mistakes);
}

Layer scaled_inputs(Layer layer, double by) {
  layer.X *= by;
  layer.H *= by * by;
  layer.hessian.assign(layer.H.data(), layer.H.data() + layer.H.size());
  return layer;
}

// Many are at the end of the grid, and grow beyond it, on both sides.
Layer equal_weights(Layer layer) {
  for (float& w : layer.weight) w = (w < 0 ? -1.0f : 1.0f) * (1 - 0.02f * std::abs(w));
  return layer;
}

// Nothing is passed on, and each weight lies between what the scale before it was rounded to half
// precision and the one after make different codes of.
Layer between_scales() {
  constexpr double kHalfStep = 0x1p-11;
  Layer layer = random_layer(1, kBlock, 100, 19);
  layer.H = Matrix(layer.H.diagonal().asDiagonal());
  layer.hessian.assign(layer.H.data(), layer.H.data() + layer.H.size());
  for (int i = 1; i < kBlock; ++i) {
    layer.weight[static_cast<std::size_t>(i)] =
        static_cast<float>((i % 7 + 1.5) * (i % 2 ? -1 : 1) * (1 + 0.49 * kHalfStep));
  }
  layer.weight[0] = static_cast<float>(-8 * (1 + 0.98 * kHalfStep));
  return layer;
}

void examine(Exam& exam) {
  examine_layer(exam, "two blocks, small inputs", scaled_inputs(random_layer(4, 64, 150, 1), 0.013),
                0.01);
  examine_layer(exam, "three rows", random_layer(3, 96, 400, 5), 0.01);
  examine_layer(exam, "strong damping", random_layer(2, 64, 200, 9), 0.3);
  Layer large = random_layer(2, 64, 300, 13);
  for (float& w : large.weight) w *= 100;
  examine_layer(exam, "large weights", large, 0.01);
  examine_layer(exam, "weights of nearly the same size", equal_weights(random_layer(4, 64, 300, 3)),
                0.01);
  examine_layer(exam, "inputs of which each is for itself", between_scales(), 0.01);
  // Fewer inputs than columns: singular without damping.
  examine_layer(exam, "fewer inputs than columns", random_layer(2, 64, 20, 17), 0.01);
  Layer dead = random_layer(2, 32, 100, 21);
  dead.H.row(5).setZero();
  dead.H.col(5).setZero();
  dead.hessian.assign(dead.H.data(), dead.H.data() + dead.H.size());
  examine_layer(exam, "a column whose input is always 0", dead, 0.01);
  Layer zeros = random_layer(1, 64, 100, 25);
  std::fill(zeros.weight.begin(), zeros.weight.begin() + 32, 0.0f);
  Sandbox& s = exam.call("gptq_quantize(rows=1, cols=64), a block of zeros first");
  const BlockOutput<BlockQ4_0> out(s, 2);
  ref::gptq_quantize(out.data(), zeros.weight.data(), zeros.hessian.data(), 1, 64, 0.01);
  const Values q = codes_of(out.read(exam));
  exam.expect("q of the first block", Values(q.begin(), q.begin() + 32), Values(32, 8.0),
              {{"i", 32}}, exact(),
              {when([](const Answer&) { return true; },
                    "Where d is 0, w / d is no number: the code is 8, which stands for 0.")});
}

}  // namespace

std::vector<Task> tasks() { return {{"21.gptq_quantize", examine}}; }

}  // namespace tinygpt::lessons
