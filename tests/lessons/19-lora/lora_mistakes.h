// What code with a mistake makes of lesson 19's operators on the CPU, and what to say to it.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/lessons/19-lora/lora_exam.h"

namespace tinygpt::lessons {

struct Inputs {
  Values x, a, b;
  explicit Inputs(const LoraSize& s)
      : x(random_values(s.xs(), 1)), a(random_values(s.as(), 2)), b(random_values(s.bs(), 3)) {}
  std::vector<Values> all() const { return {x, a, b}; }
};

// The adapter's part of out with rows of out as far apart as `apart`.
inline Values in_rows(const LoraSize& s, const Values& part, int apart) {
  Values out(static_cast<std::size_t>(s.N * s.width()), 0.0);
  for (int n = 0; n < s.N; ++n) {
    for (int o = 0; o < s.OC; ++o) {
      out[static_cast<std::size_t>(n * apart + s.before + o)] +=
          part[static_cast<std::size_t>(n * s.OC + o)];
    }
  }
  return out;
}

// Rows of out and of b in another place.
inline std::vector<Mistake> forward_places(const LoraSize& s, const Inputs& in,
                                           const Values& right) {
  const Values none(static_cast<std::size_t>(s.N * s.width()), 0.0);
  const Values ax = down(s, in.x, in.a);
  const auto up = [&](auto place) {
    return widened(s,
                   times(product(s.N, s.OC, s.rank,
                                 [&](int n, int o, int r) {
                                   return at(ax, std::int64_t{n} * s.rank + r) *
                                          at(in.b, place(o, r));
                                 }),
                         s.scale),
                   none);
  };
  return {
      gives(in_rows(s, right, s.OC),
            "Rows of out are taken to be OC apart. They are stride apart: row n begins at out + n "
            "* stride."),
      gives(in_rows(s, right, 0),
            "Every row is added to row 0 of out: row n begins at out + n * stride."),
      gives_known(
          up([&](int o, int r) { return std::int64_t{o} * s.OC + r; }),
          "Rows of b are taken to be OC apart. They are rank apart: b[o, r] is at o * rank + r."),
      when(
          [s](const Answer& answer) {
            bool beside = false;
            for (std::size_t i = 0; i < answer.actual.size(); ++i) {
              const int column = static_cast<int>(i) % s.width() - s.before;
              beside |= (column < 0 || column >= s.OC) && !(answer.actual[i] == 0);
            }
            return beside && s.width() > s.OC;
          },
          "Columns beside the adapter's own have changed: it has OC of them. stride says only how "
          "far the next row is."),
      gives(up([&](int o, int r) { return std::int64_t{r} * s.OC + o; }),
            "b is read as [rank, OC]. It is [OC, rank], as PEFT stores lora_B: b[o, r] is at o * "
            "rank + r."),
  };
}

inline std::vector<Mistake> forward_mistakes(const LoraSize& s, const Inputs& in,
                                             const Values& right, const Values& start) {
  const Values none(start.size(), 0.0);
  const Values ax = down(s, in.x, in.a);
  const auto wide = [&](const Values& part) { return widened(s, part, none); };
  // What is added if the result replaces out's own columns.
  Values replaced = wide(right);
  for (int n = 0; n < s.N; ++n) {
    for (int o = 0; o < s.OC; ++o) {
      const auto i = static_cast<std::size_t>(n * s.width() + s.before + o);
      replaced[i] -= start[i];
    }
  }
  // As if the sum over r were added to out each time that it grows.
  const Values growing = product(s.N, s.OC, s.rank, [&](int n, int o, int r) {
    return double(s.rank - r) * s.scale * at(ax, std::int64_t{n} * s.rank + r) *
           at(in.b, std::int64_t{o} * s.rank + r);
  });
  Values scaled = wide(right), from_row_start = right;
  for (int n = 0; n < s.N; ++n) {
    for (int o = 0; o < s.OC; ++o) {
      const auto i = static_cast<std::size_t>(n * s.width() + s.before + o);
      scaled[i] += (s.scale - 1) * start[i];
      const auto k = static_cast<std::size_t>(n * s.OC + o);
      if (o > 0) from_row_start[k] += from_row_start[k - 1];
    }
  }
  return {
      gives(wide(times(right, 1 / double{s.scale})),
            "The scale is missing: out gets scale times the product. Without it alpha means "
            "nothing, and an adapter that another program has trained is too weak or too strong."),
      gives(wide(times(right, 1.0 / s.rank)),
            "You divide by the rank again: scale is alpha / rank already."),
      gives(wide(times(right, s.scale)), "The scale counts twice: once is enough."),
      gives(replaced,
            "out is overwritten. It holds what the frozen layer computed: add to it (+=)."),
      gives(scaled, "The scale is on what out held, too. It belongs to the adapter's part alone."),
      gives(wide(times(right, -1)), "The adapter's part is taken away from out: add it."),
      gives(wide(growing),
            "The running sum is added after each r, so the first products count again and again: "
            "add the whole sum once, behind the loop over r."),
      gives(wide(from_row_start), "The sum runs on from one o to the next: each starts from 0."),
      gives(none, "Nothing is added to out."),
  };
}

// Sums as code with a mistake would make them: from dax and from the scaled rows of dout.
struct Slips {
  const LoraSize& s;
  const Inputs& in;
  const Values& dout;  // [N, OC]
  const Values ax = down(s, in.x, in.a);

  double d(int n, int o) const { return at(dout, std::int64_t{n} * s.OC + o); }
  Values dax(double factor) const {
    return product(s.N, s.rank, s.OC, [&](int n, int r, int o) {
      return factor * d(n, o) * at(in.b, std::int64_t{o} * s.rank + r);
    });
  }
  // As if row n had those before it in it, too.
  Values summed(Values dax) const {
    for (std::size_t i = static_cast<std::size_t>(s.rank); i < dax.size(); ++i) {
      dax[i] += dax[i - static_cast<std::size_t>(s.rank)];
    }
    return dax;
  }
  Values da(const Values& dax) const {
    return product(s.rank, s.C, s.N, [&](int r, int c, int n) {
      return at(dax, std::int64_t{n} * s.rank + r) * at(in.x, std::int64_t{n} * s.C + c);
    });
  }
  Values dx(const Values& dax) const {
    return product(s.N, s.C, s.rank, [&](int n, int c, int r) {
      return at(dax, std::int64_t{n} * s.rank + r) * at(in.a, std::int64_t{r} * s.C + c);
    });
  }
  Values db(double factor) const {
    return product(s.OC, s.rank, s.N, [&](int o, int r, int n) {
      return factor * d(n, o) * at(ax, std::int64_t{n} * s.rank + r);
    });
  }
};

inline std::vector<Mistake> scale_mistakes(const Values& right, double scale, int rank,
                                           const std::string& name) {
  return {
      gives(times(right, -1),
            fmt::format("The sign of {} is turned: a gradient adds up what the forward pass "
                        "multiplies by; whoever steps goes against it.",
                        name)),
      gives(times(right, 1.0 / rank),
            fmt::format("{} is divided by the rank again: scale is alpha / rank already.", name)),
      gives(times(right, 1 / scale),
            fmt::format("The scale is missing in {}: out was scale times the product, so what "
                        "arrives at either factor has the scale, too.",
                        name)),
      gives(times(right, scale),
            fmt::format("The scale is in {} twice. Each gradient has it once: da and dx get it by "
                        "way of dax.",
                        name)),
      gives(Values(right.size(), 0.0), fmt::format("{} gets nothing.", name))};
}

// A matrix of `columns` of which every row has gone to row 0.
inline Values into_row_0(const Values& right, int columns) {
  Values out(right.size(), 0.0);
  for (std::size_t i = 0; i < right.size(); ++i) {
    out[i % static_cast<std::size_t>(columns)] += right[i];
  }
  return out;
}

inline constexpr const char* kRowsOfDout =
    "Rows of dout are taken to be OC apart. They are stride apart: row n begins at dout + n * "
    "stride.";

// close: with rows of dout taken to be OC apart.
inline std::vector<Mistake> db_mistakes(const Slips& slips, const Slips& close, const Values& right,
                                        bool with_dx) {
  const LoraSize& s = slips.s;
  std::vector<Mistake> known;
  if (!with_dx) {
    known.push_back(gives(Values(right.size(), 0.0),
                          "db gets nothing where dx is nullptr. Only dx is not needed then: the "
                          "adapter's own gradients are."));
  }
  const std::vector<Mistake> of_scale = scale_mistakes(right, s.scale, s.rank, "db");
  known.insert(known.end(), of_scale.begin(), of_scale.end());
  const auto turned = [&](int o, int r, int n) {
    const int i = o * s.rank + r;  // where [rank, OC] has r, o
    return s.scale * slips.d(n, i % s.OC) * at(slips.ax, std::int64_t{n} * s.rank + i / s.OC);
  };
  const auto of_row_0 = [&](int o, int r, int n) {
    return s.scale * slips.d(n, o) * at(slips.ax, r);
  };
  const auto with_b = [&](int o, int r, int n) {
    return s.scale * slips.d(n, o) * at(slips.in.b, std::int64_t{o} * s.rank + r);
  };
  const std::vector<Mistake> more = {
      gives(close.db(s.scale), kRowsOfDout),
      gives(times(right, 1.0 / std::max(s.N, 1)),
            "This is the mean over the tokens; the sum is asked for."),
      gives(product(s.OC, s.rank, s.N, turned),
            "db is written as [rank, OC]. It has b's shape: [OC, rank]."),
      gives(product(s.OC, s.rank, s.N, of_row_0),
            "db is made from row 0 of ax for every token: row n begins at ax + n * rank."),
      gives(product(s.OC, s.rank, s.N, with_b),
            "db is made from b itself. Its factor is ax, by which b was multiplied.")};
  known.insert(known.end(), more.begin(), more.end());
  return known;
}

// What arrives at da or dx where something of dax, a or b is taken for something else.
inline std::vector<Mistake> backward_mistakes(const Slips& slips, const std::string& name) {
  const LoraSize& s = slips.s;
  const Values &a = slips.in.a, &b = slips.in.b, &x = slips.in.x;
  // dax with b read at some place, and the term of each o counted `often` times.
  const auto dax = [&](auto&& place, auto&& often) {
    return product(s.N, s.rank, s.OC, [&](int n, int r, int o) {
      return often(o) * s.scale * slips.d(n, o) * at(b, place(o, r));
    });
  };
  const auto right_place = [&](int o, int r) { return std::int64_t{o} * s.rank + r; };
  const auto wrong_place = [&](int o, int r) { return std::int64_t{r} * s.OC + o; };
  const auto once = [](int) { return 1.0; };
  const Values last = dax(right_place, [&](int o) { return o == s.OC - 1 ? 1.0 : 0.0; });
  const Values growing = dax(right_place, [&](int o) { return double(s.OC - o); });
  const Values turned = dax(wrong_place, once);
  const auto result = [&](const Values& d) { return name == "da" ? slips.da(d) : slips.dx(d); };
  std::vector<Mistake> known = {
      gives(result(last),
            "dax holds only what the last o gives: it is a sum over all of them (+=)."),
      gives(result(growing),
            "dax is used before it is complete: first the whole sum over o, then da and dx, behind "
            "that loop."),
      gives(result(turned),
            "b is read as [rank, OC]. It is [OC, rank]: b[o, r] is at o * rank + r.")};
  const Values right = slips.dax(s.scale);
  if (name == "dx") {
    known.push_back(gives(product(s.N, s.C, s.rank,
                                  [&](int n, int c, int r) {
                                    return at(right, std::int64_t{n} * s.rank + r) *
                                           at(a, std::int64_t{c} * s.rank + r);
                                  }),
                          "a is read as [C, rank]. It is [rank, C]: a[r, c] is at r * C + c."));
    known.push_back(gives(into_row_0(slips.dx(right), s.C),
                          "Every token's gradient goes to row 0 of dx: row n begins at dx + n * "
                          "C."));
    return known;
  }
  known.push_back(gives(product(s.rank, s.C, s.N,
                                [&](int r, int c, int n) {
                                  return at(right, std::int64_t{n} * s.rank + r) * at(x, c);
                                }),
                        "da is made from row 0 of x for every token: row n begins at x + n * C."));
  known.push_back(gives(product(s.rank, s.C, s.N,
                                [&](int r, int c, int n) {
                                  return at(right, std::int64_t{n} * s.rank + r) *
                                         at(a, std::int64_t{r} * s.C + c);
                                }),
                        "da is made from a itself. Its factor is x, by which a was multiplied."));
  known.push_back(gives(into_row_0(slips.da(right), s.C),
                        "Every r adds to row 0 of da: da[r, c] is at r * C + c."));
  known.push_back(gives(slips.da(slips.ax),
                        "da is made from ax; it is dax, the gradient of ax, that it needs."));
  known.push_back(gives(product(s.rank, s.C, s.N,
                                [&](int r, int c, int n) {
                                  const int i = r * s.C + c;  // where [C, rank] has c, r
                                  return at(right, std::int64_t{n} * s.rank + i % s.rank) *
                                         at(x, std::int64_t{n} * s.C + i / s.rank);
                                }),
                        "da is written as [C, rank]. It has a's shape: [rank, C]."));
  return known;
}

// What is left where each r takes the place of the last: less what dx held before.
inline Mistake dx_overwritten(const Slips& slips, const Values& start) {
  const LoraSize& s = slips.s;
  const Values dax = slips.dax(s.scale);
  const int r = s.rank - 1;
  return gives(product(s.N, s.C, 1,
                       [&](int n, int c, int) {
                         return at(dax, std::int64_t{n} * s.rank + r) *
                                    at(slips.in.a, std::int64_t{r} * s.C + c) -
                                at(start, std::int64_t{n} * s.C + c);
                       }),
               "dx is overwritten, for each r anew. It holds what came back through the frozen "
               "weight: add to it (+=).");
}

inline std::vector<Mistake> merge_mistakes(const LoraSize& s, const Inputs& in,
                                           const Values& start) {
  const auto b_right = [&](int o, int r) { return at(in.b, std::int64_t{o} * s.rank + r); };
  const auto b_turned = [&](int o, int r) { return at(in.b, std::int64_t{r} * s.OC + o); };
  const auto a_right = [&](int r, int c) { return at(in.a, std::int64_t{r} * s.C + c); };
  const auto a_turned = [&](int r, int c) { return at(in.a, std::int64_t{c} * s.rank + r); };
  const auto merged = [&](auto&& b, auto&& a, auto&& often) {
    return product(s.OC, s.C, s.rank, [&](int o, int c, int r) {
      return often(r) * double{s.scale} * b(o, r) * a(r, c);
    });
  };
  const auto once = [](int) { return 1.0; };
  const Values right = merged(b_right, a_right, once);
  Values replaced = right, scaled = right, on = right, turned = right;
  for (std::size_t i = 0; i < right.size(); ++i) {
    replaced[i] -= start[i];
    scaled[i] += (s.scale - 1) * start[i];
    if (i > 0) on[i] += on[i - 1];
    const auto C = static_cast<std::size_t>(s.C), OC = static_cast<std::size_t>(s.OC);
    turned[i] = right[i % OC * C + i / OC];
  }
  return {
      gives(times(right, 1 / double{s.scale}),
            "The scale is missing: the merged weight is W + scale * B A, or the merged model is "
            "another than the adapted one."),
      gives(times(right, 1.0 / s.rank),
            "You divide by the rank again: scale is alpha / rank already."),
      gives(times(right, s.scale), "The scale counts twice: once is enough."),
      gives(times(right, 2),
            "The product is added twice. Once it is in the weight, adding it again makes the "
            "adapter count double."),
      gives(times(right, -1), "The product is taken away from the weight: add it."),
      gives(merged(b_right, a_right, [&](int r) { return double(s.rank - r); }),
            "The running sum is added after each r, so the first products count again and again: "
            "add the whole sum once, behind the loop over r."),
      gives(on, "The sum runs on from one weight to the next: each starts from 0."),
      gives(replaced, "The weight is overwritten: W + scale * B A keeps W (+=)."),
      gives(scaled, "The scale is on the weight, too. It belongs to B A alone."),
      gives(turned, "The product is added as [C, OC]. The weight is [OC, C]: o * C + c."),
      gives(merged(b_turned, a_turned, once),
            "a and b are read transposed: b[o, r] is at o * rank + r, and a[r, c] at r * C + c."),
      gives(merged(b_turned, a_right, once),
            "b is read as [rank, OC]. It is [OC, rank]: b[o, r] is at o * rank + r."),
      gives(merged(b_right, a_turned, once),
            "a is read as [C, rank]. It is [rank, C]: a[r, c] is at r * C + c."),
  };
}

}  // namespace tinygpt::lessons
