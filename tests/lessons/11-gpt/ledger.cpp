// Grades exercises/11-gpt/ledger.cpp.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "solutions/11-gpt/gpt.h"
#include "tests/lessons/11-gpt/machine_exam.h"

namespace tinygpt::lessons {
namespace {

const std::vector<GptShape> kShapes = {{5, 3, 1, 1, 2},
                                       {7, 4, 3, 2, 6},
                                       {61, 11, 2, 4, 32},
                                       {256, 64, 4, 4, 128},
                                       {50257, 1024, 12, 12, 768},
                                       {50257, 1024, 48, 25, 1600},
                                       {50257, 2048, 96, 96, 12288}};

std::string text_of(const GptShape& s) {
  return fmt::format("V={}, max_T={}, L={}, NH={}, C={}", s.V, s.max_T, s.L, s.NH, s.C);
}

void examine_count(Exam& exam) {
  for (const GptShape& s : kShapes) {
    exam.call(fmt::format("gpt_parameter_count({})", text_of(s)));
    const std::int64_t C = s.C;
    std::int64_t matrices = 0, vectors = 0, biases = 0;
    for (std::size_t k = 0; k < kBlockTensors; ++k) {
      // The shapes of block tensors do not overflow: C is at most 12288 here.
      const Shape shape = tensor_shape(k, s.C);
      (shape.size() == 2 ? matrices : vectors) += count_of(shape);
      if (shape.size() == 1 && k != 0 && k != 6) biases += count_of(shape);
    }
    const std::int64_t tables = s.V * C + s.max_T * C;
    const std::int64_t right = tables + s.L * (matrices + vectors) + 2 * C;
    exam.expect_equal(
        "the count", ref::gpt_parameter_count(s), right,
        {{right + s.V * C,
          "The head is counted, too. It is the embedding table: the same numbers, counted once."},
         {right - s.L * biases - C,
          "The biases are missing: each linear layer and each norm has "
          "one."},
         {right - s.L * (biases - 2 * C),
          "The biases of the linear layers are missing: one for each output."},
         {right - s.max_T * C, "The positions are missing: a row of C for each of max_T places."},
         {right - s.V * C, "The token embedding is missing: a row of C for each of V tokens."},
         {right - 2 * C, "The norm before the head is missing: a weight and a bias."},
         {right - s.L * 4 * C - 2 * C,
          "The norms are missing: 2 L + 1 of them, each with a weight "
          "and a bias."},
         {tables + matrices + vectors + 2 * C, "Only one block is counted."},
         {right + s.L * (s.NH - 1) * 3 * C,
          "The bias of qkv is counted for each head. The heads share its 3 C numbers."},
         {right + s.L * (s.NH - 1) * (3 * C * C + 3 * C),
          "qkv is counted for each head. The heads share its 3 C outputs: C / NH each."},
         {static_cast<std::int64_t>(static_cast<std::int32_t>(
              static_cast<std::uint32_t>(static_cast<std::uint64_t>(right)))),
          "This is the count modulo 2^32: an int was multiplied before it was widened."}});
  }
}

bool too_small(const Answer& a) { return a.actual[0] < 0.9 * a.expected[0]; }

void examine_flops(Exam& exam) {
  for (const GptShape& s : kShapes) {
    for (const int T : {1, 2, s.max_T}) {
      exam.call(fmt::format("gpt_flops({}, T={})", text_of(s), T));
      const double C = s.C;
      double weights = 0;
      for (std::size_t k = 0; k < kBlockTensors; ++k) {
        if (const Shape shape = tensor_shape(k, s.C); shape.size() == 2) {
          weights += static_cast<double>(count_of(shape));
        }
      }
      const double keys = (T + 1) / 2.0;
      const auto total = [&](double linears, double attention, double head) {
        return Values{s.L * (linears + attention) + head};
      };
      const double linears = 2 * weights, attention = 4 * C * keys, head = 2 * C * s.V;
      exam.expect(
          "the count", Values{ref::gpt_flops(s, T)}, total(linears, attention, head), {}, {},
          {gives(total(weights, attention / 2, head / 2),
                 "Half of it: a multiply-add is two operations."),
           gives(total(linears, 4 * C * T, head),
                 "Every query is counted with all T keys. A causal one sees 1, 2, ..., T of them: "
                 "(T + 1) / 2 on average."),
           gives(total(linears, 4 * C * ((T + 1) / 2), head),
                 "(T + 1) / 2 was divided as an int: for an even T half a key is lost."),
           gives(total(linears, attention / 2, head),
                 "Attention has two products, q . k and p v. One is missing."),
           gives(total(linears, 0, head), "The attention's two products are missing."),
           gives(total(linears, attention, 0),
                 "The head is missing: tied or not, it is a product with V outputs."),
           gives(total(linears, attention * s.NH, head),
                 "The attention is counted for each head with all C channels. The heads share C: "
                 "each has C / NH of them."),
           gives({T * total(linears, attention, head)[0]},
                 "This is the cost of the whole text. What is asked for is that of one token."),
           gives({3 * total(linears, attention, head)[0]},
                 "Three times: that is a step of training. This is the forward pass alone."),
           when([](const Answer& a) { return a.expected[0] > 0x1.0p31 && too_small(a); },
                "More than 2^31, and here alone it is wrong: an int has overflowed. Make C a "
                "double before it is multiplied.")});
    }
  }
}

struct Moments {
  double mean = 0, deviation = 0, kurtosis = 0;
};
Moments moments(const Values& x) {
  Moments m;
  const auto n = static_cast<double>(x.size());
  for (const double v : x) m.mean += v / n;
  double fourth = 0;
  for (const double v : x) {
    const double d = (v - m.mean) * (v - m.mean);
    m.deviation += d / n, fourth += d * d / n;
  }
  m.kurtosis = fourth / (m.deviation * m.deviation);
  m.deviation = std::sqrt(m.deviation);
  return m;
}

void expect_normal(Exam& exam, const std::string& name, const Values& x, double wanted, double base,
                   const GptShape& shape) {
  const int L = shape.L;
  const Moments m = moments(x);
  const double n = static_cast<double>(x.size()), slack = 6 / std::sqrt(2 * n);
  const auto near = [&](double value) { return std::abs(m.deviation / value - 1) < slack; };
  std::string nudge;
  if (near(base)) {
    nudge =
        "This one writes to the stream, and 2 L of its kind add up there: its deviation is "
        "divided by sqrt(2 L).";
  } else if (near(wanted * std::sqrt(2.0)) && wanted < base) {
    nudge = "Divided by sqrt(L). Two branches of each block write to the stream, so there are 2 L.";
  } else if (near(base / (2 * L)) && wanted < base) {
    nudge =
        "Divided by 2 L. Variances add up, and a deviation is the root of a variance: sqrt(2 L).";
  } else if (near(base / std::sqrt(2.0 * L))) {
    nudge = "Scaled down like one that writes to the stream. Only proj and down do.";
  } else if (near(base / std::sqrt(2.0)) && wanted < base) {
    nudge =
        "Divided by sqrt(2), as if this block were the only one. Every block's share is the same, "
        "whatever its number: sqrt(2 L).";
  } else if (near(std::sqrt(wanted))) {
    nudge = "The deviation was taken for a variance.";
  } else if (near(wanted / std::sqrt(shape.C))) {
    nudge = "Divided by sqrt(C). GPT-2 starts with the same deviation whatever its width.";
  }
  exam.expect_true(near(wanted),
                   fmt::format("{} has a standard deviation of {:.5f}, expected {:.5f}", name,
                               m.deviation, wanted),
                   nudge);
  exam.expect_true(std::abs(m.mean) < 6 * wanted / std::sqrt(n),
                   fmt::format("{} has a mean of {:.5f}, expected about 0", name, m.mean));
  exam.expect_true(std::abs(m.kurtosis - 3) < 6 * std::sqrt(24 / n),
                   fmt::format("{} is not normal: its fourth moment is {:.2f} times the square of "
                               "its variance, expected 3",
                               name, m.kurtosis));
}

bool differ(const Values& x) {
  return std::all_of(x.begin() + 1, x.end(),
                     [&](double value) { return std::isfinite(value) && value != x[0]; });
}

void examine_init(Exam& exam) {
  for (const GptShape& s : std::vector<GptShape>{{97, 31, 3, 2, 32}, {61, 40, 8, 1, 24}}) {
    const double deviation = 0.02;
    Sandbox& box = exam.call(fmt::format("gpt_init(deviation=0.02, seed=7, {})", text_of(s)));
    GptParameters<float> p;
    const auto take = [&](std::int64_t n) { return box.output(n); };
    p.wte = take(std::int64_t{s.V} * s.C), p.wpe = take(std::int64_t{s.max_T} * s.C);
    for (int l = 0; l < s.L; ++l) {
      const auto places = members(p.blocks.emplace_back());
      for (std::size_t k = 0; k < kBlockTensors; ++k) {
        *places[k] = take(count_of(tensor_shape(k, s.C)));
      }
    }
    p.norm_f_weight = take(s.C), p.norm_f_bias = take(s.C);
    ref::gpt_init(p, static_cast<float>(deviation), 7, s);

    std::set<double> firsts;
    const auto expect_random = [&](const std::string& name, const float* buffer, double wanted) {
      const Values x = box.values(buffer);
      for (const double value : x) {
        exam.expect_true(!std::isnan(value), name + " holds NaN, as before the call",
                         "Was the whole tensor written?");
      }
      expect_normal(exam, name, x, wanted, deviation, s);
      exam.expect_true(firsts.insert(x[0] / wanted).second,
                       name + " begins with the numbers of another tensor",
                       "Tensors drawn from one stream are equal: each needs a stream of its own.");
    };
    const auto expect_constant = [&](const std::string& name, const float* buffer, double value) {
      const Values x = box.values(buffer);
      exam.expect(name, buffer, Values(x.size(), value), {{"c", static_cast<int>(x.size())}}, {},
                  {gives(Values(x.size(), 0.0),
                         "A norm with weight 0 gives 0, whatever comes in: nothing passes the "
                         "block, and no gradient comes back. It starts at 1."),
                   when([](const Answer& a) { return a.actual.size() > 1 && differ(a.actual); },
                        "These are random numbers. Only matrices and the two tables are drawn: "
                        "biases start at 0, the weights of norms at 1.")});
    };
    expect_random("wte", p.wte, deviation), expect_random("wpe", p.wpe, deviation);
    for (int l = 0; l < s.L; ++l) {
      const auto places = members(p.blocks[at(l)]);
      for (std::size_t k = 0; k < kBlockTensors; ++k) {
        const std::string name = fmt::format("blocks[{}].{}", l, kTensorNames[k]);
        const bool to_stream = k == 4 || k == 10;
        if (tensor_shape(k, s.C).size() == 1) {
          expect_constant(name, *places[k], k == 0 || k == 6 ? 1.0 : 0.0);
        } else {
          expect_random(name, *places[k], to_stream ? deviation / std::sqrt(2.0 * s.L) : deviation);
        }
      }
    }
    expect_constant("norm_f_weight", p.norm_f_weight, 1.0);
    expect_constant("norm_f_bias", p.norm_f_bias, 0.0);
  }
}

}  // namespace

std::vector<Task> tasks() {
  return {{"11.gpt_parameter_count", examine_count},
          {"11.gpt_flops", examine_flops},
          {"11.gpt_init", examine_init}};
}

}  // namespace tinygpt::lessons
