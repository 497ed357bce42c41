// The experiments of lesson 07.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "lessons/07-self-attention/children.h"
#include "lessons/support/chart.h"
#include "lessons/support/demo.h"
#include "lessons/support/table.h"
#include "solutions/07-self-attention/self_attention.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/random.h"

using namespace tinygpt;
using namespace tinygpt::lessons;

namespace {

using Floats = std::vector<float>;

std::size_t area(int rows, int columns) {
  return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns);
}

// One head and its gradients, with room for every matrix.
struct Head {
  Head(int T_, int HS_) : T(T_), HS(HS_) {
    for (Floats* of : {&q, &k, &v, &out, &dq, &dk, &dv, &dout}) of->assign(area(T, HS), 0.0f);
    for (Floats* of : {&scores, &p, &dp, &ds}) of->assign(area(T, T), 0.0f);
  }
  void forward() {
    ref::attention_forward(out.data(), scores.data(), p.data(), q.data(), k.data(), v.data(), T,
                           HS);
  }
  void backward() {
    ref::attention_backward(dq.data(), dk.data(), dv.data(), dp.data(), ds.data(), dout.data(),
                            p.data(), q.data(), k.data(), v.data(), T, HS);
  }
  int T, HS;
  Floats q, k, v, out, scores, p, dq, dk, dv, dout, dp, ds;
};

const std::vector<std::string> kWords = {"Tom", "lost", "his", "hat"};

// The first number of a key: a person. The second: a thing. A query asks for these.
Head sentence() {
  Head head(4, 2);
  head.q = {0, 0, 1, 1, 2, 0, 1, 0};
  head.k = {2, 0, 0, 0, 1, 0, 0, 2};
  head.v = {4, 0, 0, 2, 0, 0, 0, 4};
  return head;
}

std::string row_text(const Floats& values, int row, int columns, const char* form) {
  std::string line;
  for (int c = 0; c < columns; ++c) {
    const float value = values[static_cast<std::size_t>(row * columns + c)];
    line += fmt::format(fmt::runtime(form), value == 0 ? 0.0f : value);  // no "-0"
  }
  return line;
}

void worked(const std::vector<Option>&) {
  Head head = sentence();
  head.forward();
  Floats mean(8), quarters(16, 0.25f);
  ref::weighted_sum(mean.data(), quarters.data(), head.v.data(), 4, 2);
  fmt::print("{:>6}{:>8}{:>8}{:>8}{:>24}{:>18}\n", "token", "q", "k", "v", "mean of v", "out");
  for (int t = 0; t < 4; ++t) {
    fmt::print("{:>6}  {}  {}  {}{:>12}{}{:>6}{}\n", kWords[static_cast<std::size_t>(t)],
               row_text(head.q, t, 2, "{:>3.0f}"), row_text(head.k, t, 2, "{:>3.0f}"),
               row_text(head.v, t, 2, "{:>3.0f}"), "", row_text(mean, t, 2, "{:>6.2f}"), "",
               row_text(head.out, t, 2, "{:>6.2f}"));
  }
  fmt::print("\n{:>6}  {:<28}{}\n", "", "scores: q . k / 1.414", "p: softmax of each row");
  fmt::print("{:>6}", "");
  for (int copy = 0; copy < 2; ++copy) {
    for (const std::string& word : kWords) fmt::print("{:>6}", word);
    fmt::print("{}", copy == 0 ? "    " : "\n");
  }
  for (int t = 0; t < 4; ++t) {
    fmt::print("{:>6}{}    {}\n", kWords[static_cast<std::size_t>(t)],
               row_text(head.scores, t, 4, "{:>6.2f}"), row_text(head.p, t, 4, "{:>6.3f}"));
  }
  double sum = 0, mean_dp = 0;
  fmt::print("\nexp of the scores of 'his':");
  for (std::size_t u = 8; u < 12; ++u) {
    fmt::print(" {:.3f}{}", std::exp(head.scores[u]), u < 11 ? " +" : "");
    sum += std::exp(head.scores[u]);
  }
  fmt::print(" = {:.3f}\n", sum);
  head.dout = {0, 0, 0, 0, 1, 0, 0, 0};
  head.backward();
  fmt::print("\nbackward, from dout = (1, 0) at 'his' and 0 elsewhere\n{:>20}", "");
  for (const std::string& word : kWords) fmt::print("{:>8}", word);
  fmt::print("\n{:>20}{}\n", "dp of 'his'", row_text(head.dp, 2, 4, "{:>8.3f}"));
  for (std::size_t u = 8; u < 12; ++u) mean_dp += double{head.p[u]} * head.dp[u];
  fmt::print("{:>20}{:>8.3f}\n", "their mean, by p", mean_dp);
  fmt::print("{:>20}{}\n", "ds of 'his'", row_text(head.ds, 2, 4, "{:>8.3f}"));
  fmt::print("{:>20}{}\n", "dq of 'his'", row_text(head.dq, 2, 2, "{:>8.3f}"));
  fmt::print("{:>20}{}\n", "dk of 'Tom'", row_text(head.dk, 0, 2, "{:>8.3f}"));
  fmt::print("{:>20}{}\n", "dv of 'Tom'", row_text(head.dv, 0, 2, "{:>8.3f}"));
}

void fill(Floats& values, Random& random, double deviation) {
  for (float& value : values) value = static_cast<float>(deviation * random.normal());
}

// The gradients against central differences of sum(dout * out).
void check_gradients(const std::vector<Option>&) {
  Random random{7};
  Head head(5, 4);
  for (Floats* of : {&head.q, &head.k, &head.v, &head.dout}) fill(*of, random, 1);
  head.forward();
  head.backward();
  const auto loss = [&] {
    head.forward();
    double sum = 0;
    for (std::size_t i = 0; i < head.out.size(); ++i) sum += double{head.dout[i]} * head.out[i];
    return sum;
  };
  const auto worst = [&](Floats& values, const Floats& gradient) {
    double most = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float kept = values[i], step = 1e-2f;
      values[i] = kept + step;
      const double above = loss();
      values[i] = kept - step;
      const double below = loss();
      values[i] = kept;
      const double numeric = (above - below) / (2 * step);
      const double size = std::max({std::abs(numeric), std::abs(double{gradient[i]}), 1e-2});
      most = std::max(most, std::abs(numeric - gradient[i]) / size);
    }
    return most;
  };
  fmt::print("5 tokens, HS = 4: the largest relative error of 20 gradients by each\n");
  fmt::print("  dq {:.1e}\n", worst(head.q, head.dq));
  fmt::print("  dk {:.1e}\n", worst(head.k, head.dk));
  fmt::print("  dv {:.1e}\n", worst(head.v, head.dv));
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// What a softmax over 64 random keys is like: medians over queries.
struct Sharpness {
  double largest, entropy, gradient;
};

Sharpness sharpness(int HS, bool scaled) {
  constexpr int kKeys = 64, kDraws = 4;
  std::vector<double> largest, entropy, gradient;
  for (int draw = 0; draw < kDraws; ++draw) {
    Random random{.seed = static_cast<std::uint64_t>(draw + 1)};
    Head head(kKeys, HS);
    for (Floats* of : {&head.q, &head.k, &head.v}) fill(*of, random, 1);
    // dout . v is then about 1, whatever HS is: what arrives at p is the same for all.
    fill(head.dout, random, 1 / std::sqrt(HS));
    for (float& value : head.q) value *= scaled ? 1.0f : std::sqrt(static_cast<float>(HS));
    head.forward();
    head.backward();
    for (std::size_t t = 0; t < kKeys; ++t) {
      double most = 0, sum = 0, square = 0;
      for (std::size_t i = t * kKeys; i < (t + 1) * kKeys; ++i) {
        most = std::max(most, double{head.p[i]});
        if (head.p[i] > 0) sum -= head.p[i] * std::log(head.p[i]);
        square += double{head.ds[i]} * head.ds[i];
      }
      largest.push_back(most), entropy.push_back(sum), gradient.push_back(std::sqrt(square));
    }
  }
  return {median(largest), median(entropy), median(gradient)};
}

void saturate(const std::vector<Option>&) {
  std::vector<std::vector<std::string>> rows;
  Series with{"divided by sqrt(HS)", {}}, without{"not divided", {}};
  for (const int HS : {1, 4, 16, 64, 256, 1024}) {
    std::vector<std::string> row = {std::to_string(HS)};
    for (const bool scaled : {true, false}) {
      const Sharpness s = sharpness(HS, scaled);
      row.push_back(fmt::format("{:.3f}", s.largest));
      row.push_back(fmt::format("{:.2f}", s.entropy));
      row.push_back(fmt::format("{:.1e}", s.gradient));
      (scaled ? with : without).points.emplace_back(HS, s.largest);
    }
    rows.push_back(row);
  }
  fmt::print(
      "random queries and 64 random keys; medians over 256 queries\n"
      "entropy in nats (64 equal shares: {:.2f}); gradient: the length of a row of ds\n\n",
      std::log(64.0));
  print_table(
      {"HS", "scaled: largest p", "entropy", "gradient", "bare: largest p", "entropy", "gradient"},
      rows);
  fmt::print("\n");
  const Axes axes{.x = "head size", .y = "largest probability", .log_x = true};
  print_lines({with, without}, axes);
  write_line_chart("lessons-out/07-saturate.svg", "How much the best key gets", {with, without},
                   axes);
}

std::vector<Table> random_tables(Random& random, int count) {
  std::vector<Table> tables;
  for (int i = 0; i < count; ++i) tables.push_back(random_table(random));
  return tables;
}

constexpr int kBatch = 16;

void show_look(Onlooker& model, const Table& table, const std::string& when) {
  std::vector<std::string> rows, columns;
  for (const Child& child : table) {
    const std::string name = kNameWords[static_cast<std::size_t>(child.name)];
    rows.push_back(name + ", watching " + kNameWords[static_cast<std::size_t>(child.watches)]);
    columns.push_back(name);
  }
  const std::vector<double> p = model.look(table);
  fmt::print("\n{}\n", when);
  print_heat_map(rows, columns, p);
  write_heat_map("lessons-out/07-look-" + when.substr(0, when.find(' ')) + ".svg",
                 "Who looks at whom, " + when, rows, columns, p);
}

void train(const std::vector<Option>& options) {
  const int steps = static_cast<int>(as_number(options, "steps"));
  const auto HS = static_cast<int>(as_number(options, "head"));
  const auto rate = static_cast<float>(as_number(options, "rate"));
  check(steps >= 1 && HS >= 1, "--steps and --head must be at least 1");
  Random data{.seed = 1, .stream = 1}, fresh{.seed = 2, .stream = 1};
  const std::vector<Table> validation = random_tables(fresh, 200);
  Onlooker model(Mix::scaled, HS, 1);
  fmt::print("{} children at a table; each watches one of the others: which toy has that one?\n",
             kChildren);
  show_look(model, validation[0], "before training");
  for (int step = 0; step < steps; ++step) {
    show_progress("training", step, steps);
    model.train_step(random_tables(data, kBatch), rate);
  }
  show_progress("training", steps, steps);
  show_look(model, validation[0], fmt::format("after {} steps", steps));
  const Onlooker::Score score = model.score(validation);
  fmt::print("\n200 new tables: loss {:.4f}, {:.1f} % of the answers right\n", score.loss,
             score.percent);
  const std::vector<double> match = model.match();
  int own = 0;
  for (std::size_t a = 0; a < kNames; ++a) {
    const auto row = match.begin() + static_cast<std::ptrdiff_t>(a * kNames);
    own += std::max_element(row, row + kNames) - row == static_cast<std::ptrdiff_t>(a);
  }
  fmt::print("\"watches X\" as a query prefers \"is called X\" as a key for {} of {} names\n", own,
             kNames);
  write_heat_map("lessons-out/07-match.svg", "What the layer has learned to compare", kNameWords,
                 kNameWords, match);
}

void steps_race(const std::vector<Option>& options) {
  const int steps = static_cast<int>(as_number(options, "steps"));
  const auto HS = static_cast<int>(as_number(options, "head"));
  const auto rate = static_cast<float>(as_number(options, "rate"));
  check(steps >= 8 && HS >= 1, "--steps must be at least 8, --head at least 1");
  Random fresh{.seed = 2, .stream = 1};
  const std::vector<Table> validation = random_tables(fresh, 200);
  std::vector<Series> lines = {{"plain mean", {}}, {"not divided", {}}, {"divided", {}}};
  std::vector<Onlooker::Score> last;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const Mix mix = i == 0 ? Mix::mean : i == 1 ? Mix::unscaled : Mix::scaled;
    Random data{.seed = 1, .stream = 1};
    Onlooker model(mix, HS, 1);
    for (int step = 0; step <= steps; ++step) {
      show_progress(lines[i].label, step, steps);
      if (step % (steps / 8) == 0) {
        last.push_back(model.score(validation));
        lines[i].points.emplace_back(step, last.back().loss);
      }
      if (step < steps) model.train_step(random_tables(data, kBatch), rate);
    }
  }
  std::vector<std::vector<std::string>> rows;
  for (std::size_t at = 0; at < lines[0].points.size(); ++at) {
    rows.push_back({fmt::format("{:.0f}", lines[0].points[at].first)});
    for (const Series& line : lines) {
      rows.back().push_back(fmt::format("{:.4f}", line.points[at].second));
    }
  }
  fmt::print("heads of {}; loss on 200 new tables\n\n", HS);
  print_table({"step", "plain mean of v", "q . k", "q . k / sqrt(HS)"}, rows);
  fmt::print("\nknowing nothing {:.4f}\n\n", std::log(kToys));
  const Axes axes{.x = "steps", .y = "loss in nats"};
  print_lines(lines, axes);
  write_line_chart("lessons-out/07-steps.svg", "Three ways to mix", lines, axes);
}

}  // namespace

int main(int argc, char** argv) {
  const Option head{"head", "head size", "16"}, rate{"rate", "learning rate", "0.3"};
  return run_demo(
      argc, argv, "Lesson 07: how one token looks at the others",
      {{"worked", "the numbers of the lesson's worked example", worked},
       {"check", "the gradients against central differences", check_gradients},
       {"saturate", "a softmax over products of long vectors, scaled and not", saturate},
       {"look",
        "train one head: who looks at whom",
        train,
        {head, rate, {"steps", "steps", "1000"}}},
       {"steps",
        "a plain mean, bare products, scaled products, trained alike",
        steps_race,
        {{"head", "head size", "256"},
         {"rate", "learning rate", "1"},
         {"steps", "steps", "400"}}}});
}
