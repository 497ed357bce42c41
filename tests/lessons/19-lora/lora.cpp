// Grades exercises/19-lora/lora.cpp.
#include "solutions/19-lora/lora.h"

#include <algorithm>
#include <cmath>

#include "tests/lessons/19-lora/lora_mistakes.h"
#include "tinygpt/core/random.h"

namespace tinygpt::lessons {
namespace {

const std::vector<LoraSize> kSizes = {
    {1, 4, 3, 2, 0, 0, 1.5f}, {1, 1, 1, 1, 0, 0, 0.5f},  {3, 5, 4, 2, 0, 0, 0.25f},
    {2, 3, 4, 3, 5, 2, 2.0f}, {5, 7, 2, 4, 2, 2, 1.5f},  {4, 6, 6, 3, 0, 6, 3.0f},
    {0, 3, 2, 2, 0, 0, 2.0f}, {7, 33, 5, 8, 0, 0, 2.0f}, {6, 17, 40, 5, 3, 0, 0.125f}};

Tolerance within(const test::Exact& exact, double terms) {
  return {.terms = terms, .magnitudes = exact.magnitude};
}

// ---- lora_init

bool all_zero(const Values& values) {
  return std::all_of(values.begin(), values.end(), [](double x) { return x == 0; });
}

struct InitCase {
  int C, OC, rank;
  std::uint64_t seed, stream;

  // As if the numbers came from some generator, by one of its methods.
  template <class Draw>
  Values from(Random random, double factor, Draw&& draw) const {
    Values out;
    for (int i = 0; i < rank * C; ++i) out.push_back(factor * draw(random));
    return out;
  }
  Values spread(double bound) const {
    return from({seed, 0, stream}, bound, [](Random& r) { return 2 * r.uniform() - 1; });
  }
  double bound() const { return 1 / std::sqrt(double{1} * C); }
  Values right() const { return spread(bound()); }
};

std::vector<Mistake> init_mistakes(const InitCase& c) {
  const auto uniform = [](Random& r) { return 2 * r.uniform() - 1; };
  const auto positive = [](Random& r) { return r.uniform(); };
  const auto normal = [](Random& r) { return r.normal(); };
  const Values right = c.right();
  Values down_columns(right.size());
  for (std::size_t i = 0; i < right.size(); ++i) {
    down_columns[i % c.rank * c.C + i / c.rank] = right[i];
  }
  const char* order =
      "The order is Random{seed, counter, stream}: the counter is 0, and the stream comes last.";
  const char* kaiming =
      "This is Kaiming's bound with another gain. PEFT asks for a = sqrt(5), and that makes it "
      "1 / sqrt(C).";
  return {
      when([](const Answer& answer) { return all_zero(answer.actual); },
           "a is zero and b is not. That would learn as well, but PEFT, and the paper, have it the "
           "other way round: a random, b zero."),
      gives(c.spread(1),
            "The numbers are between -1 and 1. Divide by the root of C: x A^T sums C products, and "
            "would be large."),
      gives(c.spread(1 / std::sqrt(double{1} * c.rank)),
            "You divide by the root of the rank. It is the root of C: a row of a meets C numbers "
            "of x."),
      gives(c.spread(1.0 / c.C), "You divide by C; it is the root of C."),
      gives(c.spread(1 / std::sqrt(double{1} * c.OC)),
            "You divide by the root of OC. It is the root of C: a row of a meets C numbers of x."),
      gives(c.spread(std::sqrt(3.0) * c.bound()), kaiming),
      gives(c.spread(std::sqrt(6.0) * c.bound()), kaiming),
      gives(down_columns,
            "The numbers are there, but go down the columns: they are drawn in the order of "
            "memory, a[0], a[1], ..., row after row."),
      gives(Values(right.size(), right[0]),
            "All of a is one number: a generator that is made anew begins anew. Make one, and draw "
            "from it rank * C times."),
      gives(c.from({c.seed, 0, 0}, c.bound(), uniform),
            "The stream is left out: Random{seed, 0, stream}. Two adapters of one seed would start "
            "with the same numbers."),
      gives(c.from({c.seed, c.stream, 0}, c.bound(), uniform), order),
      gives(c.from({c.stream, 0, c.seed}, c.bound(), uniform), order),
      gives(c.from({c.seed + c.stream, 0, 0}, c.bound(), uniform),
            "seed + stream is another seed, and two pairs of them may have the same sum: "
            "Random{seed, 0, stream}."),
      gives(c.from({c.seed, 0, c.stream}, c.bound(), normal),
            "These numbers are normal; uniform ones are asked for: 2 * uniform() - 1."),
      gives(c.from({c.seed, 0, c.stream}, c.bound(), positive),
            "All of a is positive: 2 * u - 1 is uniform between -1 and 1, u is not."),
      when(broken, "Not all of a is written: it has rank * C values.")};
}

void examine_init(Exam& exam) {
  for (const InitCase& c : std::vector<InitCase>{
           {4, 3, 2, 1, 1}, {1, 1, 1, 1, 1}, {64, 5, 8, 7, 3}, {9, 40, 4, 7, 4}}) {
    const auto& [C, OC, rank, seed, stream] = c;
    Sandbox& s = exam.call(fmt::format("lora_init(C={}, OC={}, rank={}, seed={}, stream={})", C, OC,
                                       rank, seed, stream));
    float *a = s.output(std::int64_t{rank} * C), *b = s.output(std::int64_t{OC} * rank);
    ref::lora_init(a, b, C, OC, rank, seed, stream);
    exam.expect_true(
        !(all_zero(s.values(a)) && all_zero(s.values(b))), "a and b are both zero",
        "a's gradient has b as a factor, and b's gradient has x A^T: where both factors are zero, "
        "both gradients are, and nothing is ever learned. a starts random.");
    exam.expect("a", a, c.right(), {{"r", rank}, {"c", C}}, {.scale = 1}, init_mistakes(c));
    exam.expect("b", b, Values(static_cast<std::size_t>(OC * rank), 0.0), {{"o", OC}, {"r", rank}},
                {.scale = 1},
                {when(broken,
                      "b is not written, or not all of it. The buffer may hold anything: set all "
                      "OC * rank values to 0."),
                 when([](const Answer&) { return true; },
                      "b is not zero: then the adapter changes the model before it has learned "
                      "anything. With b = 0 the product B A is zero, and training starts from the "
                      "model as it is.")});
  }
}

// ---- lora_forward

void examine_forward(Exam& exam) {
  for (const LoraSize& size : kSizes) {
    const Inputs in(size);
    const auto exact =
        test::lora_equation(size.N, size.C, size.OC, size.rank, size.scale).forward(in.all());
    Sandbox& s = exam.call(fmt::format("lora_forward({})", shape_of(size)));
    const Values start = random_values(std::int64_t{size.N} * size.width(), 9, 3.0);
    float* out = s.accumulator(start);
    float* ax = s.output(std::int64_t{size.N} * size.rank);
    const float *x = s.input(in.x), *a = s.input(in.a), *b = s.input(in.b);
    float* scratch = s.scratch(std::int64_t{size.N} * size.rank);
    ref::lora_forward(out + size.before, ax, x, a, b, scratch, size.N, size.C, size.OC,
                      size.width(), size.rank, size.scale);
    const Values expected_ax = down(size, in.x, in.a);
    exam.expect("ax", ax, expected_ax, {{"n", size.N}, {"r", size.rank}},
                {.terms = size.C + 1.0, .scale = 10}, ax_mistakes(size, in.x, in.a, expected_ax));
    const Values none(start.size(), 0.0);
    std::vector<Mistake> known = forward_mistakes(size, in, exact.value, start);
    const std::vector<Mistake> places = forward_places(size, in, exact.value);
    known.insert(known.end() - 1, places.begin(), places.end());
    exam.expect_added("out", out, widened(size, exact.value, none),
                      {{"n", size.N}, {"o", size.width()}},
                      {.terms = size.C + size.rank + 2.0,
                       .magnitudes = widened(size, exact.magnitude, Values(start.size(), 1.0))},
                      known);
  }
}

// ---- lora_backward

void examine_backward(Exam& exam) {
  for (const LoraSize& size : kSizes) {
    const Inputs in(size);
    const Values dout = random_values(std::int64_t{size.N} * size.OC, 4);
    const Values other = random_values(std::int64_t{size.N} * size.width(), 5, 50.0);
    const Values wide = widened(size, dout, other);
    const auto exact = test::lora_equation(size.N, size.C, size.OC, size.rank, size.scale)
                           .backward(in.all(), dout);
    const Slips slips{size, in, dout};
    Values narrow;  // dout as it looks where rows are taken to be OC apart
    for (int i = 0; i < size.N * size.OC; ++i) narrow.push_back(at(wide, size.before + i));
    const Slips close{size, in, narrow};
    for (const bool with_dx : {true, false}) {
      Sandbox& s = exam.call(
          fmt::format("lora_backward({}){}", shape_of(size), with_dx ? "" : ", dx is nullptr"));
      const Values start = random_values(size.xs(), 8, 3.0);
      float* dx = s.accumulator(start);
      float *da = s.accumulator(size.as()), *db = s.accumulator(size.bs());
      const float *d = s.input(wide), *ax = s.input(slips.ax), *x = s.input(in.x);
      const float *a = s.input(in.a), *b = s.input(in.b);
      float* scratch = s.scratch(std::int64_t{size.N} * size.rank);
      ref::lora_backward(with_dx ? dx : nullptr, da, db, d + size.before, ax, x, a, b, scratch,
                         size.N, size.C, size.OC, size.width(), size.rank, size.scale);
      const char* runs_on =
          "dax runs on from row to row: clear it before each row of dout, since each token has a "
          "dax of its own.";
      exam.expect_added("db", db, exact[2].value, {{"o", size.OC}, {"r", size.rank}},
                        within(exact[2], size.N + size.C + 2.0),
                        db_mistakes(slips, close, exact[2].value, with_dx));
      std::vector<Mistake> known = scale_mistakes(exact[1].value, size.scale, size.rank, "da");
      known.push_back(gives(slips.da(slips.summed(slips.dax(size.scale))), runs_on));
      known.push_back(
          when(broken,
               "NaN: is dax read before it is set (scratch holds nothing yet: clear it first), or "
               "does the sum over o go on beyond OC?"));
      const std::vector<Mistake> more = backward_mistakes(slips, "da");
      known.insert(known.end(), more.begin(), more.end());
      known.push_back(gives(close.da(close.dax(size.scale)), kRowsOfDout));
      exam.expect_added("da", da, exact[1].value, {{"r", size.rank}, {"c", size.C}},
                        within(exact[1], size.N + size.OC + 2.0), known);
      if (!with_dx) continue;
      known = scale_mistakes(exact[0].value, size.scale, size.rank, "dx");
      known.push_back(gives(slips.dx(slips.summed(slips.dax(size.scale))), runs_on));
      const std::vector<Mistake> of_dx = backward_mistakes(slips, "dx");
      known.insert(known.end(), of_dx.begin(), of_dx.end());
      known.push_back(dx_overwritten(slips, start));
      exam.expect_added("dx", dx, exact[0].value, {{"n", size.N}, {"c", size.C}},
                        within(exact[0], size.OC + size.rank + 2.0), known);
    }
  }
}

// ---- lora_merge

void examine_merge(Exam& exam) {
  for (const LoraSize& size : kSizes) {
    const Inputs in(size);
    const auto term = [&](int o, int c, int r) {
      return double{size.scale} * at(in.b, std::int64_t{o} * size.rank + r) *
             at(in.a, std::int64_t{r} * size.C + c);
    };
    const Values right = product(size.OC, size.C, size.rank, term);
    Values magnitude = product(size.OC, size.C, size.rank,
                               [&](int o, int c, int r) { return std::abs(term(o, c, r)); });
    const Values start = random_values(std::int64_t{size.OC} * size.C, 9, 3.0);
    Sandbox& s = exam.call(fmt::format("lora_merge(C={}, OC={}, rank={}, scale={:g})", size.C,
                                       size.OC, size.rank, size.scale));
    float* weight = s.accumulator(start);
    const float *a = s.input(in.a), *b = s.input(in.b);
    ref::lora_merge(weight, a, b, size.C, size.OC, size.rank, size.scale);
    const Shape shape = {{"o", size.OC}, {"c", size.C}};
    exam.expect_added("weight", weight, right, shape,
                      {.terms = size.rank + 2.0, .magnitudes = magnitude},
                      merge_mistakes(size, in, start));
    exam.call(fmt::format("lora_merge(..., scale={:g}) and then with {:g}: taken out again",
                          size.scale, -size.scale));
    std::vector<float> again(start.begin(), start.end());
    const std::vector<float> af(in.a.begin(), in.a.end()), bf(in.b.begin(), in.b.end());
    for (const float sign : {1.0f, -1.0f}) {
      ref::lora_merge(again.data(), af.data(), bf.data(), size.C, size.OC, size.rank,
                      sign * size.scale);
    }
    exam.expect("weight", Values(again.begin(), again.end()), start, shape,
                {.terms = size.rank + 2.0, .scale = 20},
                {when([](const Answer&) { return true; },
                      "Merging with -scale must take the adapter out again: the sign of the scale "
                      "counts.")});
  }
}

}  // namespace

std::vector<Task> tasks() {
  return {{"19.lora_init", examine_init},
          {"19.lora_forward", examine_forward},
          {"19.lora_backward", examine_backward},
          {"19.lora_merge", examine_merge}};
}

}  // namespace tinygpt::lessons
