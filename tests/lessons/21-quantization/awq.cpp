// Grades exercises/21-quantization/awq.cpp.
#include "solutions/21-quantization/awq.h"

#include "tests/lessons/21-quantization/calibration_exam.h"

namespace tinygpt::lessons {
namespace {

// A grid for every 8 weights: steps of a seventh of the largest.
void round_rows(float* w, int rows, int cols) {
  for (int k = 0; k < rows * cols; k += 8) {
    float largest = 0;
    for (int i = k; i < k + 8; ++i) largest = std::max(largest, std::abs(w[i]));
    const float d = largest / 7;
    for (int i = k; i < k + 8; ++i) w[i] = d == 0 ? 0 : d * std::round(w[i] / d);
  }
}

struct Way {
  bool normalised = true, back = true, inverse = false, outputs = true, worst = false;
  bool floor = true, mean_normalised = false, last = false, rows = false;
  int steps = 20, first = 0;
};

struct Answers {
  double alpha = 0;
  Values s;
};

Values scales_for(const std::vector<float>& a, double alpha, const Way& way) {
  const double largest = *std::max_element(a.begin(), a.end());
  Values s;
  for (const float x : a) {
    s.push_back(std::pow(way.floor ? std::max(double{x}, largest * 1e-4) : double{x}, alpha));
  }
  const auto [low, high] = std::minmax_element(s.begin(), s.end());
  double by = way.normalised ? std::sqrt(*low * *high) : 1;
  if (way.mean_normalised) {
    by = 0;
    for (const double x : s) by += x / static_cast<double>(s.size());
  }
  for (double& x : s) x /= by;
  return s;
}

double error_with(const Layer& layer, const Values& s, const Way& way) {
  const auto C = static_cast<std::size_t>(layer.cols);
  std::vector<float> tried(layer.weight.size());
  for (std::size_t k = 0; k < tried.size(); ++k) {
    const double by = s[k % C];
    tried[k] = static_cast<float>(way.inverse ? layer.weight[k] / by : layer.weight[k] * by);
  }
  round_rows(tried.data(), layer.rows, layer.cols);
  double sum = 0;
  for (int o = 0; o < layer.rows; ++o) {
    Eigen::RowVectorXd e(layer.cols);
    for (int i = 0; i < layer.cols; ++i) {
      const std::size_t k = static_cast<std::size_t>(o) * C + static_cast<std::size_t>(i);
      const double by = s[static_cast<std::size_t>(i)];
      const double value = way.inverse ? tried[k] * by : way.back ? tried[k] / by : tried[k];
      e(i) = value - layer.weight[k];
    }
    sum += way.outputs ? (e * layer.H).dot(e) : e.squaredNorm();
  }
  return sum;
}

Answers answers(const Layer& layer, const std::vector<float>& a, const Way& way) {
  Answers best;
  double least = INFINITY;
  for (int step = way.first; step <= way.steps; ++step) {
    const double alpha = step / 20.0;
    const Values s = scales_for(a, alpha, way);
    const double error = (way.worst ? -1 : 1) * error_with(layer, s, way);
    if (error > least || (error == least && !way.last)) continue;
    least = error;
    best = {alpha, s};
  }
  return best;
}

struct Slip {
  Way way;
  const char* nudge;
};

std::vector<Slip> slips() {
  return {
      {{.back = false},
       "The rounded weights are compared while they are still scaled: divide them by s again, as "
       "the smaller inputs do."},
      {{.inverse = true},
       "The scales are applied the wrong way round: columns that meet large inputs are made "
       "larger before they are rounded, and divided by s after."},
      {{.outputs = false},
       "This is the s that changes the weights least. AWQ asks for the outputs: output_error "
       "weighs every error by the inputs it meets, with the Hessian."},
      {{.worst = true}, "This is the s with the largest error: look for the smallest."},
      {{.normalised = false},
       "The scales are not divided by sqrt(max * min) of them: so they have no middle."},
      {{.mean_normalised = true},
       "The scales are divided by their mean: by sqrt(max * min) instead."},
      {{.floor = false},
       "A channel without inputs has no power: where activation is 0, take a ten-thousandth of "
       "the largest instead."},
      {{.steps = 19}, "alpha = 1 is tried, too: twenty-one powers, from 0 to 1."},
      {{.first = 1},
       "alpha = 0 is tried, too: it leaves the weights as they are, and can be the best."}};
}

void examine_layer(Exam& exam, const std::string& what, const Layer& layer,
                   const std::vector<float>& a) {
  Sandbox& s =
      exam.call(fmt::format("awq_scales(rows={}, cols={}), {}", layer.rows, layer.cols, what));
  float* scales = s.output(layer.cols);
  const float* weight = s.input(Values(layer.weight.begin(), layer.weight.end()));
  const float* activation = s.input(Values(a.begin(), a.end()));
  const double alpha = ref::awq_scales(scales, weight, activation, layer.hessian.data(), round_rows,
                                       layer.rows, layer.cols);
  const Answers right = answers(layer, a, {});
  std::vector<Mistake> of_scales, of_alpha;
  for (const Slip& slip : slips()) {
    const Answers wrong = answers(layer, a, slip.way);
    of_scales.push_back(gives(wrong.s, slip.nudge));
    if (wrong.alpha != right.alpha) of_alpha.push_back(gives({wrong.alpha}, slip.nudge));
  }
  exam.expect("scales", scales, right.s, {{"i", layer.cols}}, {.factor = 64}, of_scales);
  exam.expect("alpha", {alpha}, {right.alpha}, {{"", 1}},
              {.scale = 1, .factor = 1, .epsilon = 1e-6}, of_alpha);
}

std::vector<float> magnitudes(const Matrix& X) {
  const Eigen::RowVectorXd a = X.cwiseAbs().colwise().mean();
  return {a.data(), a.data() + a.size()};
}

void use(Layer& layer) {
  layer.H = layer.X.transpose() * layer.X;
  layer.hessian.assign(layer.H.data(), layer.H.data() + layer.H.size());
}

// Weights that are small where inputs are large: by exactly as much, or nearly.
Layer opposed_layer(float spread) {
  Layer layer = random_layer(6, 32, 60, 21);
  for (int i = 0; i < 32; ++i) layer.X.col(i) *= std::pow(10.0, (i * 11 % 16) / 8.0 - 1);
  use(layer);
  const std::vector<float> a = magnitudes(layer.X);
  for (std::size_t k = 0; k < layer.weight.size(); ++k) {
    const float sign = layer.weight[k] < 0 ? -1.0f : 1.0f;
    layer.weight[k] = sign * (1 + spread * std::abs(layer.weight[k])) / a[k % 32];
  }
  return layer;
}

void examine(Exam& exam) {
  for (const float spread : {0.2f, 0.0f}) {
    const Layer opposed = opposed_layer(spread);
    examine_layer(exam, "weights that are small where inputs are large", opposed,
                  magnitudes(opposed.X));
  }
  examine_layer(exam, "inputs of unequal size", random_layer(6, 32, 60, 1),
                magnitudes(random_layer(6, 32, 60, 1).X));
  Layer outliers = random_layer(8, 64, 120, 5);
  for (const int i : {3, 30, 41}) outliers.X.col(i) *= 30;
  use(outliers);
  examine_layer(exam, "a few columns meet large inputs", outliers, magnitudes(outliers.X));
  Layer dead = random_layer(4, 16, 40, 9);
  dead.X.col(2).setZero();
  dead.X.col(7) *= 12;
  use(dead);
  examine_layer(exam, "a column whose input is always 0", dead, magnitudes(dead.X));
  // Large inputs where weights are small: whatever s does, it does it best at 1.
  Layer equal = random_layer(4, 16, 40, 13);
  for (int i = 0; i < 16; ++i) equal.X.col(i) *= i % 2 == 0 ? 4 : 0.25;
  use(equal);
  std::vector<float> a = magnitudes(equal.X);
  std::reverse(a.begin(), a.end());
  examine_layer(exam, "activations that mislead", equal, a);

  Layer none = random_layer(2, 8, 10, 17);
  std::fill(none.hessian.begin(), none.hessian.end(), 0.0);
  Sandbox& s = exam.call("awq_scales(rows=2, cols=8), all activations 0");
  float* scales = s.output(8);
  const float* activation = s.input(Values(8, 0.0));
  const double alpha = ref::awq_scales(scales, none.weight.data(), activation, none.hessian.data(),
                                       round_rows, 2, 8);
  const std::vector<Mistake> all = {
      when([](const Answer&) { return true; },
           "No column has any input: then every scale is 1, and alpha 0. (0 / 0 is no number.)")};
  exam.expect("scales", scales, Values(8, 1.0), {{"i", 8}}, {}, all);
  exam.expect("alpha", {alpha}, {0.0}, {{"", 1}}, {.scale = 1, .factor = 1, .epsilon = 1e-6}, all);
}

}  // namespace

std::vector<Task> tasks() { return {{"21.awq_scales", examine}}; }

}  // namespace tinygpt::lessons
