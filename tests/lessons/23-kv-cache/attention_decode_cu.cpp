// Grades exercises/23-kv-cache/attention_decode.cu.
#include "solutions/23-kv-cache/kv_cache.cuh"
#include "tests/lessons/23-kv-cache/split_exam.h"

namespace tinygpt::lessons {
namespace {

// Stretches end at 64 keys and a warp has 32 lanes: one more than each, among others.
const std::vector<DecodeCase> kCases = {
    {1, 1, 1, 2, 4, {0}, {2}},           {3, 4, 2, 3, 8, {2, 0, 1}, {5, 0, 3}},
    {2, 2, 1, 4, 140, {1, 0}, {63, 64}}, {2, 2, 2, 2, 200, {1, 0, 0}, {130, 127, 128}},
    {1, 2, 1, 33, 66, {0}, {65}},        {1, 1, 1, 4, 70, {0}, {68}, 12},
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
    mistakes.push_back(when(
        [](const Answer& a) {
          return std::any_of(a.actual.begin(), a.actual.end(),
                             [](double x) { return std::isnan(x); });
        },
        "NaN is what was there before, so nobody has written here: is there a warp for each "
        "stretch that a row sees (stretch * kStretch <= position[n]), is its index in the order "
        "row, head, stretch, and does every lane write its part of acc? (Or it is computed: the "
        "largest score begins at -INFINITY, and shrink is exp(before - largest).)"));
    mistakes.push_back(overflowed(c));
    const auto seen = static_cast<int>(places.size()) / (c.HS + 2);
    exam.expect("partial", actual, expected, {{"stretch that a row sees", seen}, {"i", c.HS + 2}},
                {.terms = kKeys + c.HS * c.scale * c.scale, .factor = 4, .magnitudes = sizes},
                mistakes);
  }
}

// Caches in bf16 and int8: what CachedRows<Stored> is for.
void examine_split_type(Exam& exam, CacheType type) {
  SmallCache small(type);
  const DecodeCase& c = small.c;
  const Memory& memory = exam.memory();
  const Values qkv = random_values(c.row(), 5);
  Sandbox& s = exam.call("decode_split over a cache of " + small.name());
  float* partial = s.output(std::int64_t{c.NH} * (c.HS + 2));
  const float* in = s.input(qkv);
  const auto copied = [&](auto from) {
    from.resize(4 * from.size());  // whoever reads the wrong type finds something there
    const std::size_t bytes = from.size() * sizeof(from[0]);
    void* to = memory.allocate(bytes);
    memory.copy_in(to, from.data(), bytes);
    return to;
  };
  KvCache cache{type, c.S, c.NKV, c.capacity, c.HS, copied(small.k_bytes), copied(small.v_bytes)};
  cache.k_scale = static_cast<float*>(copied(small.k_scales));
  cache.v_scale = static_cast<float*>(copied(small.v_scales));
  ref_cuda::decode_split<float>(partial, in, cache, s.input(c.sequence), s.input(c.position), 1,
                                c.NH, 1);
  Values magnitude;
  const Values exact = split(c, qkv, small.k, small.v, {}, &magnitude);
  const Values found = s.values(partial);
  for (void* data :
       {cache.k, cache.v, static_cast<void*>(cache.k_scale), static_cast<void*>(cache.v_scale)}) {
    memory.release(data);
  }
  exam.expect("partial", found, exact, {{"h", c.NH}, {"i", c.HS + 2}},
              {.terms = 100, .factor = 4, .magnitudes = magnitude},
              {when([](const Answer&) { return true; },
                    "cache.type says what Stored is: float, Bfloat16 or std::int8_t. Launch the "
                    "kernel for each, and read the cache by k.at and v.at alone.")});
}

// What the parts are put together to, right or with one thing wrong.
struct CombineSlip {
  bool not_weighted = false, sum_not_weighted = false, all_stretches = false, one_less = false;
  bool not_divided = false, first_alone = false, mean = false;
  bool row_modulo = false, close_parts = false;  // index % N; parts as many as the row sees
  bool inverted = false, last_alone = false, of_lanes = false;
};

Values combine(const DecodeCase& c, const Values& parts, int stretches,
               const CombineSlip& slip = {}) {
  Values out;
  const auto size = static_cast<std::size_t>(c.HS) + 2;
  for (int n = 0; n < c.N(); ++n) {
    for (int h = 0; h < c.NH; ++h) {
      const int row = slip.row_modulo ? (n * c.NH + h) % c.N() : n;
      int count = c.position[static_cast<std::size_t>(row)] / kKeys + 1;
      const auto first =
          static_cast<std::size_t>((n * c.NH + h) * (slip.close_parts ? count : stretches)) * size;
      if (slip.all_stretches) count = stretches;
      if (slip.one_less) count = std::max(count - 1, 1);
      if (slip.first_alone) count = 1;
      double largest = -INFINITY, sum = 0;
      const auto part = [&](int i) { return first + static_cast<std::size_t>(i) * size; };
      const auto adds = [&](int i, std::size_t d) {
        return (!slip.last_alone || i == count - 1) &&
               (!slip.of_lanes || i % 32 == static_cast<int>(d) % 32);
      };
      for (int i = 0; i < count; ++i) largest = std::max(largest, parts[part(i) + size - 2]);
      const auto weight = [&](int i) {
        const double apart = parts[part(i) + size - 2] - largest;
        return slip.not_weighted ? 1.0 : std::exp(slip.inverted ? -apart : apart);
      };
      for (int i = 0; i < count; ++i) {
        sum += (slip.sum_not_weighted ? 1.0 : weight(i)) * parts[part(i) + size - 1];
      }
      for (std::size_t d = 0; d < size - 2; ++d) {
        double value = 0;
        for (int i = 0; i < count; ++i) {
          if (!adds(i, d)) continue;
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
    {{.inverted = true},
     "The weights are turned round: exp(its largest - the largest of all), which is 1 at most."},
    {{.last_alone = true},
     "Only the last stretch's sums of p v are there: add up all of the row's."},
    {{.of_lanes = true},
     "Each lane adds the stretches of its own number. They are shared out for the largest and the "
     "sum; for p v a lane has numbers d, and adds all stretches."},
    {{.row_modulo = true},
     "position is taken of row index % N: a row has NH heads, one behind the other, so it is "
     "index / NH."},
    {{.close_parts = true},
     "A head's parts begin at index * stretches * (HS + 2): there is room for as many stretches as "
     "the longest row has."},
    {{.mean = true},
     "This is the mean of the stretches' averages. One that holds the likely keys weighs more."},
};

// Parts as a first kernel could have left them; `shift` moves all largest scores. Behind what a row
// sees lies what another call has left.
Values random_parts(const DecodeCase& c, int stretches, double shift) {
  const auto size = static_cast<std::size_t>(c.HS) + 2;
  Values parts = random_values(std::int64_t{c.N()} * c.NH * stretches * (c.HS + 2), 5);
  for (std::size_t i = 0; i < parts.size() / size; ++i) {
    double& largest = parts[i * size + size - 2];
    double& sum = parts[i * size + size - 1];
    sum = 1.0 + std::abs(std::floor(sum * 1024)) / 1024;  // a sum of p is 1 or more
    largest = 4 * c.scale * largest + shift;
    const auto n = i / static_cast<std::size_t>(stretches * c.NH);
    const int stretch = static_cast<int>(i) % stretches;
    if (stretch * kKeys > c.position[n]) largest = 1000;
  }
  return parts;
}

std::vector<Mistake> combine_mistakes(const DecodeCase& c, const Values& parts, int stretches) {
  std::vector<Mistake> mistakes;
  for (const NamedCombineSlip& known : kCombineSlips) {
    mistakes.push_back(gives(combine(c, parts, stretches, known.slip), known.nudge));
  }
  Values swapped = parts;
  for (std::size_t i = static_cast<std::size_t>(c.HS); i < parts.size(); i += c.HS + 2) {
    std::swap(swapped[i], swapped[i + 1]);
  }
  mistakes.push_back(gives(combine(c, swapped, stretches),
                           "The two last numbers of a part have changed places: part[HS] is the "
                           "largest score, part[HS + 1] the sum."));
  const auto bad = [](double x) { return !std::isfinite(x); };
  mistakes.push_back(when(
      [=](const Answer& a) {  // NaN beyond the first 32 numbers of each head, and only there
        bool some = false;
        for (std::size_t i = 0; i < a.actual.size(); ++i) {
          const bool beyond = static_cast<int>(i) % c.HS >= 32;
          if (bad(a.actual[i]) != beyond) return false;
          some = some || beyond;
        }
        return some;
      },
      "A head may be wider than a warp: lane i has the numbers i, i + 32, ..."));
  mistakes.push_back(when(
      [=](const Answer& a) {
        return c.N() * c.NH > 4 && bad(a.actual.back()) && !bad(a.actual.front());
      },
      "The last heads were not written: N * NH warps, kWarps to a block."));
  mistakes.push_back(when(
      [=](const Answer& a) { return std::any_of(a.actual.begin(), a.actual.end(), bad); },
      "A division by 0, or exp of more than a float can hold. The largest must be that of all "
      "stretches that the row sees, position[n] / kStretch + 1 of them, however low they are: "
      "begin "
      "at -INFINITY. And a lane that had no stretch has a sum of 0: warp_sum gives all lanes the "
      "sum of all."));
  return mistakes;
}

void examine_combine(Exam& exam) {
  std::vector<std::pair<DecodeCase, double>> cases;
  for (const DecodeCase& c : kCases) cases.emplace_back(c, 0.0);
  cases.emplace_back(DecodeCase{1, 2, 1, 4, 200, {0}, {190}, 60}, 0.0);
  cases.emplace_back(DecodeCase{2, 1, 1, 4, 200, {1, 0}, {190, 70}}, -300.0);
  for (const auto& [c, shift] : cases) {
    const int stretches = (c.longest() + kKeys - 1) / kKeys;
    const auto size = static_cast<std::size_t>(c.HS) + 2;
    const Values parts = random_parts(c, stretches, shift);
    const Values exact = combine(c, parts, stretches);
    Values absolute = parts;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (i % size < size - 2) absolute[i] = std::abs(parts[i]);
    }
    const Values magnitude = combine(c, absolute, stretches);
    Sandbox& s = exam.call(described("decode_combine", c) +
                           (shift < 0 ? fmt::format(", largest scores around {:g}", shift) : ""));
    float* out = s.output(std::int64_t{c.N()} * c.NH * c.HS);
    const float* in = s.input(parts);
    ref_cuda::decode_combine<float>(out, in, s.input(c.position), c.N(), c.NH, c.HS, stretches);
    exam.expect("out", out, exact, out_shape(c),
                {.terms = stretches + 50.0 * c.scale + std::abs(shift),
                 .factor = 4,
                 .magnitudes = magnitude},
                combine_mistakes(c, parts, stretches));
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
           [](Exam& exam) {
             examine_split(exam);
             examine_split_type(exam, CacheType::bf16);
             examine_split_type(exam, CacheType::int8);
           },
           {"a token behind 255, 4 heads of 32", [](const Memory& m) { run_decode(m, true); }}},
          {"23.decode_combine_cuda",
           examine_combine,
           {"4 stretches, 4 heads of 32", [](const Memory& m) { run_decode(m, false); }}}};
}

}  // namespace tinygpt::lessons
