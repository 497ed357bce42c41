// How decoding over a cache is examined, on the CPU or as kernels.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "tests/lessons/grading/exam.h"
#include "tinygpt/ops/kv_cache.h"

namespace tinygpt::lessons {

// Rows of several sequences: row n is position[n] of sequence[n].
struct DecodeCase {
  int S, NH, NKV, HS, capacity;
  std::vector<int> sequence, position;
  double scale = 1.0;

  int N() const { return static_cast<int>(sequence.size()); }
  int longest() const {
    int most = 0;
    for (const int p : position) most = std::max(most, p);
    return most + 1;
  }
  // What a call passes: it may be more than is needed.
  int given_longest() const { return std::min(longest() + 2, capacity); }
  std::int64_t row() const { return std::int64_t{NH + 2 * NKV} * HS; }
  std::int64_t rows() const { return std::int64_t{S} * NKV * capacity; }
  std::size_t place(int s, int g, int p) const {
    return static_cast<std::size_t>(((std::int64_t{s} * NKV + g) * capacity + p) * HS);
  }
};

inline std::string described(const std::string& name, const DecodeCase& c) {
  std::string rows;
  for (std::size_t n = 0; n < c.sequence.size(); ++n) {
    rows += fmt::format("{}{} of sequence {}", n > 0 ? ", " : "", c.position[n], c.sequence[n]);
  }
  return fmt::format("{}(N={}, NH={}, NKV={}, HS={}, capacity={}){}, rows at position {}", name,
                     c.N(), c.NH, c.NKV, c.HS, c.capacity,
                     c.scale > 1 ? fmt::format(", numbers around {:g}", c.scale) : "", rows);
}

// A cache over the sandbox's buffers, in floats.
inline KvCache cache_over(const DecodeCase& c, const float* k, const float* v) {
  KvCache cache{CacheType::f32, c.S, c.NKV, c.capacity, c.HS};
  cache.k = const_cast<float*>(k);
  cache.v = const_cast<float*>(v);
  return cache;
}

// Caches of the other types, in host memory, with other scales for values than for keys; and what
// they hold, as floats.
struct SmallCache {
  DecodeCase c{1, 2, 1, 4, 3, {0}, {2}};
  CacheType type;
  Values k, v;  // as they read
  std::vector<unsigned char> k_bytes, v_bytes;
  std::vector<float> k_scales, v_scales;

  explicit SmallCache(CacheType cache_type) : type(cache_type) {
    fill(k, k_bytes, k_scales, 6, 1.0f / 64), fill(v, v_bytes, v_scales, 7, 1.0f / 128);
  }
  void fill(Values& values, std::vector<unsigned char>& bytes, std::vector<float>& scales,
            std::uint64_t seed, float scale) const {
    const auto n = static_cast<std::size_t>(c.rows() * c.HS);
    const Values x = random_values(c.rows() * c.HS, seed, 20);
    bytes.resize(n * static_cast<std::size_t>(bytes_of(type)));
    for (std::size_t i = 0; i < n; ++i) {
      const Bfloat16 half(static_cast<float>(x[i] / 20));
      const auto whole = static_cast<std::int8_t>(x[i]);
      const bool bf16 = type == CacheType::bf16;
      if (bf16) std::memcpy(&bytes[2 * i], &half, 2);
      else std::memcpy(&bytes[i], &whole, 1);
      if (i % static_cast<std::size_t>(c.HS) == 0) {
        scales.push_back(scale * static_cast<float>(scales.size() + 1));
      }
      values.push_back(bf16 ? double{float{half}} : double{scales.back()} * whole);
    }
  }
  std::string name() const { return type == CacheType::bf16 ? "bf16" : "int8"; }
};

// One way to decode, right or with one thing wrong.
struct DecodeSlip {
  int more_keys = 0;             // seen beyond position[n]
  bool all_keys = false;         // the whole capacity
  bool keys_of_longest = false;  // every row sees as many as the longest
  bool sequence_is_row = false, first_sequence = false, sequence_of_first = false;
  bool position_is_row = false, position_of_first = false;
  enum class Group { right, modulo, own, first, by_kv_heads } group = Group::right;
  enum class Query { right, of_first_row, narrow_rows, its_key, of_group } query = Query::right;
  double scale_power = 0.5;  // of HS
  bool keys_as_values = false, values_as_keys = false;
  bool not_divided = false;
  bool position_major = false;  // reads the cache as [S, capacity, NKV, HS]
  bool own_value_missing = false;
  bool dot_runs_on = false, sum_runs_on = false;  // from key to key, from head to head
  bool mean = false, by_count = false;            // of all values; divided by how many there are
  bool heads_first = false;                       // out as [NH, N, HS]

  std::int64_t query_at(const DecodeCase& c, int n, int h) const {
    if (query == Query::of_first_row) return std::int64_t{h} * c.HS;
    if (query == Query::narrow_rows) return (std::int64_t{n} * c.NH + h) * c.HS;
    if (query == Query::its_key) return n * c.row() + std::int64_t{c.NH} * c.HS;
    if (query == Query::of_group) return n * c.row() + std::int64_t{h / (c.NH / c.NKV)} * c.HS;
    return n * c.row() + std::int64_t{h} * c.HS;
  }
};

struct Decoded {
  Values out, magnitude;
};

// exp(s), and the sum that divides it.
inline double weigh(Values& scores, const DecodeSlip& slip, double before) {
  const double largest = *std::max_element(scores.begin(), scores.end());
  double sum = slip.sum_runs_on ? before : 0;
  for (double& x : scores) sum += x = slip.mean ? 1.0 : std::exp(x - largest);
  if (slip.not_divided) return 1;
  return slip.by_count ? static_cast<double>(scores.size()) : sum;
}

// out [N, NH, HS] as it lies where rows and heads have changed places.
inline Values heads_first(const DecodeCase& c, const Values& out) {
  Values turned(out.size());
  for (int n = 0; n < c.N(); ++n) {
    for (int h = 0; h < c.NH; ++h) {
      for (int d = 0; d < c.HS; ++d) {
        turned[static_cast<std::size_t>((h * c.N() + n) * c.HS + d)] =
            out[static_cast<std::size_t>((n * c.NH + h) * c.HS + d)];
      }
    }
  }
  return turned;
}

// NaN where the slip reads what is not there.
inline Decoded decode(const DecodeCase& c, const Values& qkv, const Values& k, const Values& v,
                      const DecodeSlip& slip = {}) {
  Decoded d;
  const double nan = std::nan("");
  double sum = 0;
  for (int n = 0; n < c.N(); ++n) {
    const auto at = static_cast<std::size_t>(n);
    const int s = slip.sequence_is_row     ? n
                  : slip.first_sequence    ? 0
                  : slip.sequence_of_first ? c.sequence[0]
                                           : c.sequence[at];
    const int last = slip.position_is_row     ? n
                     : slip.position_of_first ? c.position[0]
                                              : c.position[at];
    int keys = last + 1 + slip.more_keys;
    if (slip.all_keys) keys = c.capacity;
    if (slip.keys_of_longest) keys = c.given_longest();
    for (int h = 0; h < c.NH; ++h) {
      const int g = slip.group == DecodeSlip::Group::modulo        ? h % c.NKV
                    : slip.group == DecodeSlip::Group::own         ? h
                    : slip.group == DecodeSlip::Group::first       ? 0
                    : slip.group == DecodeSlip::Group::by_kv_heads ? h / c.NKV
                                                                   : h / (c.NH / c.NKV);
      const auto query = static_cast<std::size_t>(slip.query_at(c, n, h));
      const bool there = s < c.S && g < c.NKV && keys >= 1 && keys <= c.capacity;
      const auto start = [&](int u) {
        if (!slip.position_major) return c.place(s, g, u);
        return static_cast<std::size_t>(((std::int64_t{s} * c.capacity + u) * c.NKV + g) * c.HS);
      };
      const auto value = [&](const Values& from, int u, int i) {
        return from[start(u) + static_cast<std::size_t>(i)];
      };
      Values p;
      double dot = 0;
      for (int u = 0; there && u < keys; ++u) {
        if (!slip.dot_runs_on) dot = 0;
        for (int i = 0; i < c.HS; ++i) {
          dot +=
              qkv[query + static_cast<std::size_t>(i)] * value(slip.values_as_keys ? v : k, u, i);
        }
        p.push_back(dot / std::pow(c.HS, slip.scale_power));
      }
      if (there) sum = weigh(p, slip, sum);
      for (int i = 0; i < c.HS; ++i) {
        double out = 0, magnitude = 0;
        for (int u = 0; there && u < keys - (slip.own_value_missing ? 1 : 0); ++u) {
          const double term =
              p[static_cast<std::size_t>(u)] * value(slip.keys_as_values ? k : v, u, i) / sum;
          out += term;
          magnitude += std::abs(term);
        }
        d.out.push_back(there ? out : nan);
        d.magnitude.push_back(magnitude);
      }
    }
  }
  if (slip.heads_first) d.out = heads_first(c, d.out);
  return d;
}

struct NamedDecodeSlip {
  DecodeSlip slip;
  std::string nudge;
};

// Of places: which rows are read, and where out goes.
inline std::vector<NamedDecodeSlip> place_slips() {
  using Group = DecodeSlip::Group;
  using Query = DecodeSlip::Query;
  return {
      {{.more_keys = -1},
       "The position is off by one: a row sees its own key, too. At position p it sees the keys "
       "0 .. p, which are p + 1."},
      {{.more_keys = 1},
       "The position is off by one: a row at position p sees the keys 0 .. p. Yours sees one more, "
       "where there is nothing yet, or what another text has left."},
      {{.keys_of_longest = true},
       "Every row sees as many keys as the longest one. Each has a position of its own: "
       "position[n]."},
      {{.all_keys = true},
       "Every place of the cache is seen, also those behind the row's position, where other texts "
       "have left something: only 0 .. position[n] count."},
      {{.sequence_is_row = true},
       "This is the cache of another sequence: row n belongs to sequence[n], not to sequence n."},
      {{.first_sequence = true},
       "This is the cache of another sequence: every row reads sequence 0. Row n belongs to "
       "sequence[n]."},
      {{.position_is_row = true},
       "Row n is taken for position n. It is position[n] that says how many keys it sees."},
      {{.group = Group::modulo},
       "The group index: head h uses key-value head h / (NH / NKV), since neighbours share one; "
       "yours is h % NKV."},
      {{.group = Group::own},
       "Head h uses key-value head h here; there are NKV of them, and it is h / (NH / NKV)."},
      {{.group = Group::first}, "Every head uses key-value head 0. Head h uses h / (NH / NKV)."},
      {{.group = Group::by_kv_heads},
       "The group index: NH / NKV heads share a key-value head, so head h uses h / (NH / NKV); "
       "yours is h / NKV."},
      {{.sequence_of_first = true},
       "This is the cache of another sequence: every row reads that of row 0. Row n belongs to "
       "sequence[n]."},
      {{.position_of_first = true},
       "Every row sees as many keys as row 0. Each has a position of its own: position[n]."},
      {{.query = Query::of_first_row}, "Every row asks with the query of row 0."},
      {{.query = Query::narrow_rows},
       "Rows of qkv are taken to be NH * HS apart. A row has keys and values, too: the next one is "
       "(NH + 2 NKV) * HS further on."},
      {{.query = Query::its_key}, "The row's key is used as its query: row n begins with queries."},
      {{.query = Query::of_group},
       "Heads of a group ask with one query. They share keys and values; the query of head h is at "
       "h * HS."},
      {{.heads_first = true},
       "out is written as [NH, N, HS]. It is [N, NH, HS]: head h of row n begins at "
       "(n * NH + h) * HS."},
      {{.position_major = true},
       "You read the cache as [S, capacity, NKV, HS]. It is [S, NKV, capacity, HS]: the keys of a "
       "head lie one behind the other; cache_row(cache, s, g, p) knows it."},
  };
}

// Of what is computed from them.
inline std::vector<NamedDecodeSlip> value_slips() {
  return {
      {{.own_value_missing = true},
       "The last value is missing from the sum: its weight is there, so it counts, too."},
      {{.dot_runs_on = true},
       "The dot product runs on from one key to the next: each starts from 0."},
      {{.sum_runs_on = true},
       "The sum of exp(s) runs on from one head to the next: each starts from 0."},
      {{.mean = true}, "This is the mean of the values: each counts by its weight, exp(s) / sum."},
      {{.by_count = true},
       "The weights are divided by how many there are. It is their own sum that makes them 1 "
       "together."},
      {{.scale_power = -0.5},
       "The scores are multiplied by the square root of HS: they are divided by it."},
      {{.scale_power = 0}, "The scores are not scaled: each is divided by the square root of HS."},
      {{.scale_power = 1}, "The scores are divided by HS; its square root is asked for."},
      {{.keys_as_values = true}, "The keys are used as values: the sum is one of rows of v."},
      {{.values_as_keys = true}, "The scores are made from v: a score is query times key."},
      {{.not_divided = true}, "The weights are exp(s), not yet divided by their sum."},
  };
}

// Recognised where the answer is that of the slip wherever the slip reads what is there, and not
// the right one everywhere.
inline Mistake decode_mistake(const DecodeCase& c, const Values& qkv, const Values& k,
                              const Values& v, const NamedDecodeSlip& known) {
  return when(
      [=](const Answer& a) {
        const Values wrong = decode(c, qkv, k, v, known.slip).out;
        bool differs = false;
        for (std::size_t i = 0; i < wrong.size(); ++i) {
          if (std::isnan(wrong[i])) continue;
          if (!(std::abs(a.actual[i] - wrong[i]) <= 4 * a.allowed[i])) return false;
          differs |= std::abs(wrong[i] - a.expected[i]) > 8 * a.allowed[i];
        }
        return differs;
      },
      known.nudge);
}

inline Shape out_shape(const DecodeCase& c) { return {{"n", c.N()}, {"h", c.NH}, {"d", c.HS}}; }

inline Tolerance within(const DecodeCase& c, const Decoded& exact) {
  return {
      .terms = c.longest() + c.HS * c.scale * c.scale, .factor = 4, .magnitudes = exact.magnitude};
}

inline Mistake overflowed(const DecodeCase& c) {
  return when(
      [](const Answer& a) {
        return std::any_of(a.actual.begin(), a.actual.end(),
                           [](double x) { return !std::isfinite(x); });
      },
      c.scale > 1
          ? "Not a number, or infinite. exp of a large score overflows: take the largest "
            "score off all of them first."
          : "Not a number, or infinite: does every sum begin at 0, and the largest score at "
            "-INFINITY? out, and what is laid aside, hold nothing yet.");
}

}  // namespace tinygpt::lessons
