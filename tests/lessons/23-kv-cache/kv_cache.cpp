// Grades exercises/23-kv-cache/kv_cache.cpp.
#include "solutions/23-kv-cache/kv_cache.h"

#include "tests/lessons/23-kv-cache/decode_exam.h"
#include "tinygpt/core/bfloat16.h"

namespace tinygpt::lessons {
namespace {

// One token; three sequences of different length, not in order; several tokens of one sequence.
const std::vector<DecodeCase> kCases = {
    {1, 1, 1, 2, 6, {0}, {2}},         {3, 4, 2, 3, 8, {2, 0, 1}, {5, 0, 3}},
    {1, 1, 1, 1, 1, {0}, {0}},         {2, 6, 3, 2, 11, {1, 1, 1, 0}, {4, 5, 6, 2}},
    {2, 2, 1, 5, 40, {1, 0}, {38, 7}}, {1, 3, 3, 4, 8, {0}, {6}, 30},
    {2, 2, 2, 2, 5, {}, {}},
};

// Where appended rows go, right or with one thing wrong.
struct AppendSlip {
  bool sequence_is_row = false, first_sequence = false, position_is_row = false;
  int further = 0;  // positions
  enum class From {
    right,
    queries,
    swapped,
    same_head,
    values_behind_heads,
    keys_twice,
    pairs,
    close_heads,
    queries_as_values
  } from = From::right;
  bool position_major = false, first_head_only = false, first_row_only = false;
  bool all_heads = false, sequence_and_head_swapped = false, place_of_value = false,
       values_to_k = false;
  bool position_of_first = false, row_of_first = false, keys_alone = false;
  int row_heads = 0;  // that a row of qkv is taken to have; 0: NH + 2 NKV
};

struct Filled {
  Values k, v;
};

Filled append(const DecodeCase& c, const Values& qkv, Filled cache, const AppendSlip& slip = {}) {
  using From = AppendSlip::From;
  for (int n = 0; n < (slip.first_row_only ? std::min(c.N(), 1) : c.N()); ++n) {
    const auto at = static_cast<std::size_t>(n);
    const int s = slip.sequence_is_row ? n : slip.first_sequence ? 0 : c.sequence[at];
    const int p =
        (slip.position_is_row ? n : c.position[slip.position_of_first ? 0 : at]) + slip.further;
    for (int g = 0; g < (slip.first_head_only ? 1 : slip.all_heads ? c.NH : c.NKV); ++g) {
      int k_head = c.NH + g, v_head = c.NH + c.NKV + g;
      if (slip.from == From::queries) k_head = g, v_head = c.NKV + g;
      if (slip.from == From::swapped) std::swap(k_head, v_head);
      if (slip.from == From::same_head) k_head = c.NH, v_head = c.NH + c.NKV;
      if (slip.from == From::values_behind_heads) v_head = c.NH + c.NH + g;
      if (slip.from == From::keys_twice) v_head = k_head;
      if (slip.from == From::queries_as_values) v_head = g;
      if (slip.from == From::pairs) k_head = c.NH + 2 * g, v_head = k_head + 1;
      const bool close = slip.from == From::close_heads;
      std::size_t to = c.place(s, g, p);
      if (slip.position_major) {
        to = static_cast<std::size_t>(((std::int64_t{s} * c.capacity + p) * c.NKV + g) * c.HS);
      }
      if (slip.sequence_and_head_swapped) to = c.place(g, s, p);
      if (slip.place_of_value) to *= static_cast<std::size_t>(c.HS);
      const std::int64_t row = slip.row_heads > 0 ? slip.row_heads * c.HS : c.row();
      for (int d = 0; d < c.HS; ++d) {
        const auto from = [&](int head) {
          const int start = close ? (head - g) * c.HS + g : head * c.HS;
          const auto i = static_cast<std::size_t>((slip.row_of_first ? 0 : n) * row + start + d);
          return i < qkv.size() ? qkv[i] : std::nan("");
        };
        if (s >= c.S || p < 0 || to + static_cast<std::size_t>(d) >= cache.k.size()) continue;
        cache.k[to + static_cast<std::size_t>(d)] = from(k_head);
        if (slip.values_to_k) cache.k[to + static_cast<std::size_t>(d)] = from(v_head);
        else if (!slip.keys_alone) cache.v[to + static_cast<std::size_t>(d)] = from(v_head);
      }
    }
  }
  return cache;
}

struct NamedAppendSlip {
  AppendSlip slip;
  const char* nudge;
};

const std::vector<NamedAppendSlip> kAppendSlips = {
    {{.sequence_is_row = true},
     "This is the cache of another sequence: row n belongs to sequence[n], not to sequence n."},
    {{.first_sequence = true}, "All rows went to sequence 0: row n belongs to sequence[n]."},
    {{.position_is_row = true},
     "Row n went to position n. position[n] says where it belongs: a text that goes on is longer "
     "than this call."},
    {{.further = 1}, "The position is off by one: the row went one place too far."},
    {{.further = -1}, "The position is off by one: the row went one place too low, over another."},
    {{.from = AppendSlip::From::queries},
     "These are queries: a row of qkv begins with NH of them. The keys stand behind."},
    {{.from = AppendSlip::From::swapped},
     "Keys and values are swapped: behind the queries come all keys, then all values."},
    {{.from = AppendSlip::From::same_head},
     "Every key-value head got the first one's numbers: head g begins g * HS further on."},
    {{.from = AppendSlip::From::values_behind_heads},
     "The values begin behind the NKV keys, of which there are fewer than heads."},
    {{.position_major = true},
     "You write the cache as [S, capacity, NKV, HS]. It is [S, NKV, capacity, HS]: "
     "cache_row(cache, s, g, p) knows it."},
    {{.from = AppendSlip::From::keys_twice},
     "v holds the keys: the values begin NKV heads behind."},
    {{.from = AppendSlip::From::pairs},
     "You take key and value of a head in turn. Behind the queries come all keys, then all "
     "values."},
    {{.from = AppendSlip::From::close_heads},
     "Heads are taken to be one number apart. They are HS apart: head g begins g * HS further on."},
    {{.from = AppendSlip::From::queries_as_values},
     "v holds queries: a row has NH queries, NKV keys, then the values."},
    {{.position_of_first = true},
     "Every row went to the position of row 0. Each has its own: position[n]."},
    {{.row_of_first = true},
     "Every row brought the numbers of row 0: row n of qkv begins at n * stride."},
    {{.keys_alone = true}, "v is as it was: values are kept, too, by a second write_cache_row."},
    {{.values_to_k = true}, "The values went to cache.k, over the keys: theirs is cache.v."},
    {{.first_row_only = true}, "Only row 0 is there: all N rows bring something."},
    {{.sequence_and_head_swapped = true},
     "cache_row takes the sequence first, then the head: cache_row(cache, s, g, p)."},
    {{.place_of_value = true},
     "cache_row counts rows, as write_cache_row does: do not multiply by HS."},
    {{.all_heads = true},
     "There are NKV heads of keys and values, fewer than NH: the rest went over other places."},
    {{.first_head_only = true}, "Only key-value head 0 is there: there are NKV of them."},
};

std::vector<NamedAppendSlip> append_slips(const DecodeCase& c) {
  std::vector<NamedAppendSlip> all = kAppendSlips;
  const char* apart = "Rows of qkv are (NH + 2 NKV) * HS numbers apart: `stride`.";
  all.push_back({{.row_heads = 3 * c.NH}, apart});
  all.push_back({{.row_heads = c.NH}, apart});
  all.push_back({{.row_heads = c.NH + c.NKV}, apart});
  return all;
}

// Other types: what write_cache_row is for.
void examine_append_bf16(Exam& exam) {
  const DecodeCase c{1, 2, 1, 4, 3, {0}, {1}};
  const Values qkv = random_values(c.row(), 4);
  exam.call("kv_append into a cache of bf16");
  std::vector<Bfloat16> k(12, Bfloat16(7.0f)), v(12, Bfloat16(7.0f));
  const std::vector<float> in(qkv.begin(), qkv.end());
  ref::kv_append({CacheType::bf16, 1, 1, 3, 4, k.data(), v.data()}, in.data(), c.sequence.data(),
                 c.position.data(), 1, 2);
  Values found, wanted;
  for (std::size_t i = 0; i < 12; ++i) {
    found.push_back(float{k[i]});
    wanted.push_back(i / 4 == 1 ? double{float{Bfloat16(in[8 + i % 4])}} : 7.0);
  }
  exam.expect("k", found, wanted, {{"p", 3}, {"d", 4}}, {.scale = 0.01},
              {when([](const Answer&) { return true; },
                    "A cache may be kept in bf16 or int8: write_cache_row rounds to its type.")});
}

void examine_append_int8(Exam& exam) {
  const std::vector<float> qkv = {1, 1, 1, 1, 1, 1, 1, 1, 127, -64, 3, 0, 2, -254, 4, 0};
  const int sequence = 0, position = 1;
  exam.call("kv_append into a cache of int8");
  std::vector<std::int8_t> k(12, 7), v(12, 7);
  std::vector<float> k_scale(3, 9.0f), v_scale(3, 9.0f);
  ref::kv_append({CacheType::int8, 1, 1, 3, 4, k.data(), v.data(), k_scale.data(), v_scale.data()},
                 qkv.data(), &sequence, &position, 1, 2);
  const auto judge = [&](const char* name, const std::vector<float>& found, const Values& wanted) {
    exam.expect(name, Values(found.begin(), found.end()), wanted, {{"p", 3}}, {.scale = 0.01},
                {when([](const Answer&) { return true; },
                      "In int8 each row has a scale: cache.k_scale goes with cache.k, and "
                      "cache.v_scale with cache.v.")});
  };
  judge("k_scale", k_scale, {9, 1, 9});
  judge("v_scale", v_scale, {9, 2, 9});
}

void examine_append(Exam& exam) {
  for (const DecodeCase& c : kCases) {
    const Values qkv = random_values(c.N() * c.row(), 1);
    const Filled before{random_values(c.rows() * c.HS, 2), random_values(c.rows() * c.HS, 3)};
    const Filled expected = append(c, qkv, before);
    Sandbox& s = exam.call(described("kv_append", c));
    float *k = s.accumulator(before.k), *v = s.accumulator(before.v);
    const float* in = s.input(qkv);
    ref::kv_append(cache_over(c, k, v), in, s.input(c.sequence), s.input(c.position), c.N(), c.NH);
    // A mistake explains keys and values together.
    const Values found_k = s.values(k), found_v = s.values(v);
    std::vector<Mistake> known;
    const auto same = [](const Values& found, const Values& wrong) {
      for (std::size_t i = 0; i < found.size(); ++i) {
        if (!std::isnan(wrong[i]) && !(std::abs(found[i] - wrong[i]) < 1e-5)) return false;
      }
      return true;
    };
    for (const NamedAppendSlip& slip : append_slips(c)) {
      const Filled wrong = append(c, qkv, before, slip.slip);
      known.push_back(
          when([=](const Answer&) { return same(found_k, wrong.k) && same(found_v, wrong.v); },
               slip.nudge));
    }
    const Shape shape = {{"s", c.S}, {"g", c.NKV}, {"p", c.capacity}, {"d", c.HS}};
    exam.expect("k", k, expected.k, shape, {.scale = 1}, known);
    exam.expect("v", v, expected.v, shape, {.scale = 1}, known);
  }
  examine_append_bf16(exam);
  examine_append_int8(exam);
}

// What read_cache_row is for.
void examine_other_type(Exam& exam, CacheType type) {
  SmallCache small(type);
  const DecodeCase& c = small.c;
  const Values qkv = random_values(c.row(), 5);
  Sandbox& s = exam.call("attention_decode over a cache of " + small.name());
  float* out = s.output(std::int64_t{c.NH} * c.HS);
  const float* in = s.input(qkv);
  const KvCache cache{type,
                      c.S,
                      c.NKV,
                      c.capacity,
                      c.HS,
                      small.k_bytes.data(),
                      small.v_bytes.data(),
                      small.k_scales.data(),
                      small.v_scales.data()};
  ref::attention_decode(out, in, cache, s.input(c.sequence), s.input(c.position),
                        s.scratch(c.longest() + c.HS), 1, c.NH, c.longest());
  const Decoded exact = decode(c, qkv, small.k, small.v);
  exam.expect("out", out, exact.out, out_shape(c), within(c, exact),
              {when([](const Answer&) { return true; },
                    "A cache may be kept in bf16 or int8: read_cache_row makes floats of a row. "
                    "cache.k_scale goes with cache.k, and cache.v_scale with cache.v.")});
}

// Scores around 200 in one row, and around -200 in the next, which sees fewer keys.
void examine_far_apart(Exam& exam) {
  const DecodeCase c{2, 1, 1, 1, 4, {0, 1}, {3, 1}};
  const Values qkv = {20, 0, 0, -20, 0, 0}, k = {10, 10.1, 10.2, 10, 10, 10.1, 99, 99};
  const Values v = random_values(8, 3);
  const Decoded exact = decode(c, qkv, k, v);
  Sandbox& s = exam.call("attention_decode(N=2, HS=1), scores around 200, then around -200");
  float* out = s.output(2);
  const float *in = s.input(qkv), *keys = s.input(k), *values = s.input(v);
  ref::attention_decode(out, in, cache_over(c, keys, values), s.input(c.sequence),
                        s.input(c.position), s.scratch(5), 2, 1, 4);
  exam.expect("out", out, exact.out, out_shape(c),
              {.terms = 1000, .factor = 4, .magnitudes = exact.magnitude},
              {when([](const Answer& a) { return !std::isfinite(a.actual[1]); },
                    "0 / 0: the largest score must be one of this row's own, however low they are. "
                    "Begin with -INFINITY, and look at 0 .. position[n] alone: what lies behind is "
                    "left from another row.")});
}

void examine_decode(Exam& exam) {
  for (const DecodeCase& c : kCases) {
    const Values qkv = random_values(c.N() * c.row(), 1, c.scale);
    const Values k = random_values(c.rows() * c.HS, 2, c.scale);
    const Values v = random_values(c.rows() * c.HS, 3);
    const Decoded exact = decode(c, qkv, k, v);
    Sandbox& s = exam.call(described("attention_decode", c));
    float* out = s.output(std::int64_t{c.N()} * c.NH * c.HS);
    const float *in = s.input(qkv), *keys = s.input(k), *values = s.input(v);
    const int *sequence = s.input(c.sequence), *position = s.input(c.position);
    float* scratch = s.scratch(c.given_longest() + c.HS);
    ref::attention_decode(out, in, cache_over(c, keys, values), sequence, position, scratch, c.N(),
                          c.NH, c.given_longest());
    std::vector<Mistake> mistakes;
    for (const std::vector<NamedDecodeSlip>& slips : {place_slips(), value_slips()}) {
      for (const NamedDecodeSlip& known : slips) {
        mistakes.push_back(decode_mistake(c, qkv, k, v, known));
      }
    }
    mistakes.push_back(overflowed(c));
    exam.expect("out", out, exact.out, out_shape(c), within(c, exact), mistakes);
  }
  examine_far_apart(exam);
  for (const CacheType type : {CacheType::bf16, CacheType::int8}) examine_other_type(exam, type);
}

}  // namespace

std::vector<Task> tasks() {
  return {{"23.kv_append", examine_append}, {"23.attention_decode", examine_decode}};
}

}  // namespace tinygpt::lessons
