// Grades exercises/23-kv-cache/attention_decode.cu.
#include "solutions/23-kv-cache/kv_cache.cuh"
#include "tests/lessons/23-kv-cache/decode_exam.h"

namespace tinygpt::lessons {
namespace {

constexpr int kKeys = 64;  // of a stretch: ref_cuda::kStretch

// Stretches end at 64 keys and a warp has 32 lanes: one more than each, among others.
const std::vector<DecodeCase> kCases = {
    {1, 1, 1, 2, 4, {0}, {2}},           {3, 4, 2, 3, 6, {2, 0, 1}, {5, 0, 3}},
    {2, 2, 1, 4, 140, {1, 0}, {63, 64}}, {2, 2, 2, 2, 200, {1, 0, 0}, {130, 127, 128}},
    {1, 2, 1, 33, 66, {0}, {65}},        {1, 1, 1, 4, 70, {0}, {68}, 12},
};

// partial [N, NH, stretches, HS + 2], right or with one thing wrong.
struct SplitSlip {
  int more_keys = 0;
  bool sequence_is_row = false, first_sequence = false, all_keys = false;
  bool group_modulo = false, unscaled = false, keys_as_values = false;
  bool divided = false;  // by the sum already
  bool acc_not_shrunk = false, sum_not_shrunk = false;
  bool position_of_stretch = false;  // the stretch begins at 0
};

Values split(const DecodeCase& c, const Values& qkv, const Values& k, const Values& v,
             const SplitSlip& slip = {}, Values* magnitude = nullptr) {
  Values all;
  const int stretches = (c.longest() + kKeys - 1) / kKeys;
  const double unknown = std::nan("");
  for (int n = 0; n < c.N(); ++n) {
    const auto at = static_cast<std::size_t>(n);
    const int s = slip.sequence_is_row ? n : slip.first_sequence ? 0 : c.sequence[at];
    for (int h = 0; h < c.NH; ++h) {
      const int g = slip.group_modulo ? h % c.NKV : h / (c.NH / c.NKV);
      for (int i = 0; i < stretches; ++i) {
        const int begin = slip.position_of_stretch ? 0 : i * kKeys;
        int end = std::min((i + 1) * kKeys, c.position[at] + 1 + slip.more_keys);
        if (slip.all_keys) end = std::min((i + 1) * kKeys, c.capacity);
        const bool there = i * kKeys <= c.position[at] && s < c.S && end <= c.capacity;
        Values acc(static_cast<std::size_t>(c.HS)), size(acc);
        double largest = -INFINITY, sum = 0;
        for (int u = begin; there && u < end; ++u) {
          double dot = 0;
          for (int d = 0; d < c.HS; ++d) {
            dot += qkv[static_cast<std::size_t>(n * c.row() + h * c.HS + d)] *
                   k[c.place(s, g, u) + static_cast<std::size_t>(d)];
          }
          const double score = dot / (slip.unscaled ? 1.0 : std::sqrt(c.HS));
          const double before = largest;
          largest = std::max(largest, score);
          const double shrink = std::exp(before - largest), p = std::exp(score - largest);
          sum = sum * (slip.sum_not_shrunk ? 1.0 : shrink) + p;
          for (std::size_t d = 0; d < acc.size(); ++d) {
            const double term = p * (slip.keys_as_values ? k : v)[c.place(s, g, u) + d];
            acc[d] = acc[d] * (slip.acc_not_shrunk ? 1.0 : shrink) + term;
            size[d] = size[d] * shrink + std::abs(term);
          }
        }
        for (std::size_t d = 0; d < acc.size(); ++d) {
          all.push_back(there ? acc[d] / (slip.divided ? sum : 1.0) : unknown);
          if (magnitude != nullptr) magnitude->push_back(size[d]);
        }
        all.push_back(there ? largest : unknown);
        all.push_back(there ? sum : unknown);
        if (magnitude != nullptr) magnitude->insert(magnitude->end(), {std::abs(largest), sum});
      }
    }
  }
  return all;
}

struct NamedSplitSlip {
  SplitSlip slip;
  const char* nudge;
};

const std::vector<NamedSplitSlip> kSplitSlips = {
    {{.more_keys = -1},
     "The position is off by one: a row sees its own key, too. Its last key is position[n]."},
    {{.more_keys = 1},
     "The position is off by one: the last key is position[n]. Yours takes one more, where there "
     "is nothing yet, or what another text has left."},
    {{.all_keys = true}, "A stretch ends at position[n], where the row's text ends."},
    {{.sequence_is_row = true},
     "This is the cache of another sequence: row n belongs to sequence[n], not to sequence n."},
    {{.first_sequence = true},
     "This is the cache of another sequence: every row reads sequence 0. Row n belongs to "
     "sequence[n]."},
    {{.group_modulo = true},
     "The group index: head h uses key-value head h / (NH / NKV), since neighbours share one; "
     "yours is h % NKV."},
    {{.unscaled = true}, "The scores are not scaled: times `scale`, which is 1 / sqrt(HS)."},
    {{.keys_as_values = true}, "The keys are used as values."},
    {{.divided = true},
     "You divide by the stretch's sum already. Other stretches follow: decode_combine divides, by "
     "the sum of all."},
    {{.acc_not_shrunk = true},
     "What acc holds must shrink whenever a larger score turns up: times exp(before - largest)."},
    {{.sum_not_shrunk = true},
     "The sum must shrink whenever a larger score turns up: times exp(before - largest)."},
    {{.position_of_stretch = true},
     "Every stretch begins at key 0: stretch i begins at i * kStretch."},
};

void examine_split(Exam& exam) {
  for (const DecodeCase& c : kCases) {
    const Values qkv = random_values(c.N() * c.row(), 1, c.scale);
    const Values k = random_values(c.rows() * c.HS, 2, c.scale);
    const Values v = random_values(c.rows() * c.HS, 3);
    Values magnitude;
    const Values exact = split(c, qkv, k, v, {}, &magnitude);
    const int stretches = (c.longest() + kKeys - 1) / kKeys;
    Sandbox& s = exam.call(described("decode_split", c));
    const auto n = static_cast<std::int64_t>(exact.size());
    float* partial = s.output(n);
    const float *in = s.input(qkv), *keys = s.input(k), *values = s.input(v);
    const int *sequence = s.input(c.sequence), *position = s.input(c.position);
    ref_cuda::decode_split<float>(partial, in, cache_over(c, keys, values), sequence, position,
                                  c.N(), c.NH, stretches);
    // Nothing is asked of stretches that a row does not see.
    const Values all = s.values(partial);
    Values actual, expected, sizes;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < exact.size(); ++i) {
      if (std::isnan(exact[i])) continue;
      places.push_back(i);
      actual.push_back(all[i]), expected.push_back(exact[i]), sizes.push_back(magnitude[i]);
    }
    std::vector<Mistake> mistakes;
    for (const NamedSplitSlip& known : kSplitSlips) {
      mistakes.push_back(when(
          [&, known](const Answer& a) {
            const Values wrong = split(c, qkv, k, v, known.slip);
            bool differs = false;
            for (std::size_t i = 0; i < places.size(); ++i) {
              const double w = wrong[places[i]];
              if (std::isnan(w)) continue;
              if (!(std::abs(a.actual[i] - w) <= 4 * a.allowed[i])) return false;
              differs |= std::abs(w - a.expected[i]) > 8 * a.allowed[i];
            }
            return differs;
          },
          known.nudge));
    }
    mistakes.push_back(overflowed());
    const auto seen = static_cast<int>(places.size()) / (c.HS + 2);
    exam.expect("partial", actual, expected, {{"stretch that a row sees", seen}, {"i", c.HS + 2}},
                {.terms = kKeys + c.HS * c.scale * c.scale, .factor = 4, .magnitudes = sizes},
                mistakes);
  }
}

// What the parts are put together to, right or with one thing wrong.
struct CombineSlip {
  bool not_weighted = false, sum_not_weighted = false, all_stretches = false, one_less = false;
  bool not_divided = false, first_alone = false, mean = false;
};

Values combine(const DecodeCase& c, const Values& parts, int stretches,
               const CombineSlip& slip = {}) {
  Values out;
  const auto size = static_cast<std::size_t>(c.HS) + 2;
  for (int n = 0; n < c.N(); ++n) {
    for (int h = 0; h < c.NH; ++h) {
      const auto first = static_cast<std::size_t>((n * c.NH + h) * stretches) * size;
      int count = c.position[static_cast<std::size_t>(n)] / kKeys + 1;
      if (slip.all_stretches) count = stretches;
      if (slip.one_less) count = std::max(count - 1, 1);
      if (slip.first_alone) count = 1;
      double largest = -INFINITY, sum = 0;
      const auto part = [&](int i) { return first + static_cast<std::size_t>(i) * size; };
      for (int i = 0; i < count; ++i) largest = std::max(largest, parts[part(i) + size - 2]);
      const auto weight = [&](int i) {
        return slip.not_weighted ? 1.0 : std::exp(parts[part(i) + size - 2] - largest);
      };
      for (int i = 0; i < count; ++i) {
        sum += (slip.sum_not_weighted ? 1.0 : weight(i)) * parts[part(i) + size - 1];
      }
      for (std::size_t d = 0; d < size - 2; ++d) {
        double value = 0;
        for (int i = 0; i < count; ++i) {
          value += (slip.mean ? 1.0 / count / parts[part(i) + size - 1] : weight(i)) *
                   parts[part(i) + d];
        }
        out.push_back(value / (slip.not_divided || slip.mean ? 1.0 : sum));
      }
    }
  }
  return out;
}

struct NamedCombineSlip {
  CombineSlip slip;
  const char* nudge;
};

const std::vector<NamedCombineSlip> kCombineSlips = {
    {{.not_weighted = true},
     "The stretches have sums under different largest scores: multiply what each has summed by "
     "exp(its largest - the largest of all) first."},
    {{.sum_not_weighted = true},
     "The sums of p must be weighted as the sums of p v are: by exp(its largest - the largest of "
     "all)."},
    {{.all_stretches = true},
     "Stretches that row n does not see hold what somebody has left there: it has "
     "position[n] / kStretch + 1."},
    {{.one_less = true},
     "The last stretch is missing: row n has position[n] / kStretch + 1 of them."},
    {{.first_alone = true}, "Only the first stretch is there: add up all of the row's."},
    {{.not_divided = true}, "The sum of p v is not yet divided by the sum of p."},
    {{.mean = true},
     "This is the mean of the stretches' averages. One that holds the likely keys weighs more."},
};

void examine_combine(Exam& exam) {
  for (const DecodeCase& c : kCases) {
    const int stretches = (c.longest() + kKeys - 1) / kKeys;
    const auto size = static_cast<std::size_t>(c.HS) + 2;
    Values parts = random_values(std::int64_t{c.N()} * c.NH * stretches * (c.HS + 2), 5);
    for (std::size_t i = size - 1; i < parts.size(); i += size) {
      parts[i] = 1.0 + std::abs(std::floor(parts[i] * 1024)) / 1024;  // a sum of p is 1 or more
      parts[i - 1] *= 4 * c.scale;
    }
    Values exact = combine(c, parts, stretches), magnitude;
    Values absolute = parts;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (i % size < size - 2) absolute[i] = std::abs(parts[i]);
    }
    magnitude = combine(c, absolute, stretches);
    Sandbox& s = exam.call(described("decode_combine", c));
    float* out = s.output(std::int64_t{c.N()} * c.NH * c.HS);
    const float* in = s.input(parts);
    ref_cuda::decode_combine<float>(out, in, s.input(c.position), c.N(), c.NH, c.HS, stretches);
    std::vector<Mistake> mistakes;
    for (const NamedCombineSlip& known : kCombineSlips) {
      mistakes.push_back(gives(combine(c, parts, stretches, known.slip), known.nudge));
    }
    mistakes.push_back(overflowed());
    exam.expect("out", out, exact, out_shape(c),
                {.terms = stretches + 50.0 * c.scale, .factor = 4, .magnitudes = magnitude},
                mistakes);
  }
}

// A token behind 256 others, four heads of 32.
void run_decode(const Memory& memory, bool split) {
  constexpr int NH = 4, HS = 32, keys = 256;
  const auto zeros = [&](std::size_t floats) {
    void* data = memory.allocate(floats * sizeof(float));
    memory.zero(data, floats * sizeof(float));
    return data;
  };
  auto* qkv = static_cast<float*>(zeros(3 * NH * HS));
  auto* out = static_cast<float*>(zeros(NH * HS));
  auto* partial = static_cast<float*>(zeros(NH * keys / kKeys * (HS + 2)));
  auto* sequence = static_cast<int*>(zeros(1));
  auto* position = static_cast<int*>(zeros(1));
  const int last = keys - 1;
  memory.copy_in(position, &last, sizeof(last));
  KvCache cache{CacheType::f32, 1, NH, keys, HS, zeros(NH * keys * HS), zeros(NH * keys * HS)};
  if (split) {
    ref_cuda::decode_split<float>(partial, qkv, cache, sequence, position, 1, NH, keys / kKeys);
  } else {
    ref_cuda::decode_combine<float>(out, partial, position, 1, NH, HS, keys / kKeys);
  }
  for (void* data :
       {static_cast<void*>(qkv), static_cast<void*>(out), static_cast<void*>(partial),
        static_cast<void*>(sequence), static_cast<void*>(position), cache.k, cache.v}) {
    memory.release(data);
  }
}

}  // namespace

std::vector<Task> tasks() {
  return {{"23.decode_split_cuda",
           examine_split,
           {"a token behind 255, 4 heads of 32", [](const Memory& m) { run_decode(m, true); }}},
          {"23.decode_combine_cuda",
           examine_combine,
           {"4 stretches, 4 heads of 32", [](const Memory& m) { run_decode(m, false); }}}};
}

}  // namespace tinygpt::lessons
