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

enum class Divisor { middle, nothing, mean, largest, smallest, product };

struct Way {
  Divisor divisor = Divisor::middle;
  bool back = true, inverse = false, outputs = true, worst = false, last = false;
  bool scaled_weight = false, last_tried = false, always_last = false;
  double floor = 1e-4;        // of the largest activation
  double absolute_floor = 0;  // or this, whatever the largest is
  int steps = 20, first = 0, every = 1;
};

struct Answers {
  double alpha = 0;
  Values s;
};

Values scales_for(const std::vector<float>& a, double alpha, const Way& way) {
  const double largest = *std::max_element(a.begin(), a.end());
  const double floor = std::max(largest * way.floor, way.absolute_floor);
  Values s;
  for (const float x : a) s.push_back(std::pow(std::max(double{x}, floor), alpha));
  const auto [low, high] = std::minmax_element(s.begin(), s.end());
  double by = std::sqrt(*low * *high);
  switch (way.divisor) {
    case Divisor::middle:
      break;
    case Divisor::nothing:
      by = 1;
      break;
    case Divisor::largest:
      by = *high;
      break;
    case Divisor::smallest:
      by = *low;
      break;
    case Divisor::product:
      by = *low * *high;
      break;
    case Divisor::mean:
      by = 0;
      for (const double x : s) by += x / static_cast<double>(s.size());
  }
  for (double& x : s) x /= by;
  return s;
}

double error_with(const Layer& layer, const Values& s, const Way& way) {
  const auto C = static_cast<std::size_t>(layer.cols);
  std::vector<float> tried(layer.weight.size());
  const auto scale_of = [&](std::size_t k) { return way.inverse ? 1 / s[k % C] : s[k % C]; };
  for (std::size_t k = 0; k < tried.size(); ++k) {
    tried[k] = static_cast<float>(layer.weight[k] * scale_of(k));
  }
  const std::vector<float> scaled = tried;
  round_rows(tried.data(), layer.rows, layer.cols);
  double sum = 0;
  for (int o = 0; o < layer.rows; ++o) {
    Eigen::RowVectorXd e(layer.cols);
    for (int i = 0; i < layer.cols; ++i) {
      const std::size_t k = static_cast<std::size_t>(o) * C + static_cast<std::size_t>(i);
      const bool undone = way.back && !way.scaled_weight;
      e(i) = (undone ? tried[k] / scale_of(k) : tried[k]) -
             (way.scaled_weight ? scaled[k] : layer.weight[k]);
    }
    sum += way.outputs ? (e * layer.H).dot(e) : e.squaredNorm();
  }
  return sum;
}

Answers answers(const Layer& layer, const std::vector<float>& a, const Way& way) {
  Answers best;
  double least = INFINITY;
  for (int step = way.first; step <= way.steps; step += way.every) {
    const double alpha = step / 20.0;
    const Values s = scales_for(a, alpha, way);
    const double error = (way.worst ? -1 : 1) * error_with(layer, s, way);
    if (way.last_tried) best.s = s;
    if (way.always_last) best = {alpha, s};
    if (way.always_last) continue;
    if (!(error < least || (error == least && way.last))) continue;
    least = error;
    best = {alpha, s};
  }
  return best;
}

struct Slip {
  Way way;
  const char* nudge;
};

const char* const kFloor =
    "A channel without inputs has no power: where activation is 0, take a ten-thousandth of the "
    "largest instead.";

std::vector<Slip> slips() {
  return {
      {{.floor = 0, .absolute_floor = 1e-4},
       "The floor of an activation is a ten-thousandth of the largest one, whatever their size is: "
       "largest / 10,000."},
      {{.floor = 0}, kFloor},
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
      {{.divisor = Divisor::nothing},
       "The scales are not divided by sqrt(max * min) of them: so they have no middle."},
      {{.divisor = Divisor::mean},
       "The scales are divided by their mean: by sqrt(max * min) instead."},
      {{.divisor = Divisor::largest},
       "The scales are divided by the largest of them: by sqrt(max * min) instead."},
      {{.divisor = Divisor::smallest},
       "The scales are divided by the smallest of them: by sqrt(max * min) instead."},
      {{.divisor = Divisor::product},
       "The scales are divided by max * min of them, without the square root."},
      {{.scaled_weight = true},
       "The rounded weights are compared with the scaled ones. Divide them by s, and compare them "
       "with the weights as they were: only then does an error count 1 / s times."},
      {{.every = 20},
       "Only 0 and 1 are tried: is the power a quotient of two integers? Divide by 20.0."},
      {{.last = true},
       "Of equal errors the one with the smallest alpha counts: replace the best only where it is "
       "beaten, error < best."},
      {{.always_last = true},
       "Each power replaces the one before it. Keep the one of the smallest error."},
      {{.last_tried = true},
       "These are the scales that were tried last. Keep those of the smallest error."},
      {{.steps = 10}, "alpha goes up to 1, in steps of 0.05: twenty-one powers."},
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
    if (std::abs(wrong.alpha - alpha) < 1e-6) of_scales.push_back(gives(wrong.s, slip.nudge));
    if (wrong.alpha != right.alpha) of_alpha.push_back(gives({wrong.alpha}, slip.nudge));
  }
  if (*std::min_element(a.begin(), a.end()) == 0) {
    of_scales.push_back(when(
        [](const Answer& answer) {
          return std::any_of(answer.actual.begin(), answer.actual.end(),
                             [](double x) { return !(x > 0 && x < INFINITY); });
        },
        kFloor));
  }
  for (int step = 0; step <= 20; ++step) {
    of_scales.push_back(gives(
        scales_for(a, step / 20.0, {}),
        fmt::format("These are the scales for alpha = {:.2f}. Those for {:.2f} change the outputs "
                    "less: on column i times s[i], round, column i divided by s[i], output_error "
                    "with the weights as they were.",
                    step / 20.0, right.alpha)));
  }
  exam.expect("scales", scales, right.s, {{"i", layer.cols}}, {.factor = 64}, of_scales);
  of_alpha.push_back(when(
      [](const Answer& answer) {
        const double steps = answer.actual[0] * 20;
        return !(steps <= 20 && std::abs(steps - std::round(steps)) < 1e-3);
      },
      "This is none of the powers. Return alpha itself, which is a multiple of 0.05, and not its "
      "error or its number."));
  exam.expect("alpha", {alpha}, {right.alpha}, {}, {.scale = 1, .factor = 1, .epsilon = 1e-6},
              of_alpha);
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
  // The activations of other columns: no power helps, and 0 is the best.
  Layer equal = random_layer(4, 16, 40, 13);
  for (int i = 0; i < 16; ++i) equal.X.col(i) *= i % 2 == 0 ? 4 : 0.25;
  use(equal);
  std::vector<float> a = magnitudes(equal.X);
  std::reverse(a.begin(), a.end());
  examine_layer(exam, "activations that mislead", equal, a);
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
  // Whatever alpha is, all scales are 1: every error is the same.
  examine_layer(exam, "all activations equal", random_layer(4, 16, 40, 15),
                std::vector<float>(16, 1.0f));

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
  exam.expect("alpha", {alpha}, {0.0}, {}, {.scale = 1, .factor = 1, .epsilon = 1e-6}, all);
}

}  // namespace

std::vector<Task> tasks() { return {{"21.awq_scales", examine}}; }

}  // namespace tinygpt::lessons
