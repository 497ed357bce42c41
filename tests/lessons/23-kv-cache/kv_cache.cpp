// Grades exercises/23-kv-cache/kv_cache.cpp.
#include "solutions/23-kv-cache/kv_cache.h"

#include "tests/lessons/23-kv-cache/decode_exam.h"
#include "tinygpt/core/bfloat16.h"

namespace tinygpt::lessons {
namespace {

// One token; three sequences of different length, not in order; several tokens of one sequence.
const std::vector<DecodeCase> kCases = {
    {1, 1, 1, 2, 4, {0}, {2}},         {3, 4, 2, 3, 6, {2, 0, 1}, {5, 0, 3}},
    {1, 1, 1, 1, 1, {0}, {0}},         {2, 6, 3, 2, 9, {1, 1, 1, 0}, {4, 5, 6, 2}},
    {2, 2, 1, 5, 40, {1, 0}, {38, 7}}, {1, 3, 3, 4, 8, {0}, {6}, 30},
    {2, 2, 2, 2, 5, {}, {}},
};

// Where appended rows go, right or with one thing wrong.
struct AppendSlip {
  bool sequence_is_row = false, first_sequence = false, position_is_row = false;
  int further = 0;  // positions
  enum class From { right, queries, swapped, same_head, values_behind_heads } from = From::right;
  bool position_major = false, first_head_only = false;
};

struct Filled {
  Values k, v;
};

Filled append(const DecodeCase& c, const Values& qkv, Filled cache, const AppendSlip& slip = {}) {
  using From = AppendSlip::From;
  for (int n = 0; n < c.N(); ++n) {
    const auto at = static_cast<std::size_t>(n);
    const int s = slip.sequence_is_row ? n : slip.first_sequence ? 0 : c.sequence[at];
    const int p = (slip.position_is_row ? n : c.position[at]) + slip.further;
    for (int g = 0; g < (slip.first_head_only ? 1 : c.NKV); ++g) {
      int k_head = c.NH + g, v_head = c.NH + c.NKV + g;
      if (slip.from == From::queries) k_head = g, v_head = c.NKV + g;
      if (slip.from == From::swapped) std::swap(k_head, v_head);
      if (slip.from == From::same_head) k_head = c.NH, v_head = c.NH + c.NKV;
      if (slip.from == From::values_behind_heads) v_head = c.NH + c.NH + g;
      std::size_t to = c.place(s, g, p);
      if (slip.position_major) {
        to = static_cast<std::size_t>(((std::int64_t{s} * c.capacity + p) * c.NKV + g) * c.HS);
      }
      for (int d = 0; d < c.HS; ++d) {
        const auto from = [&](int head) {
          const auto i = static_cast<std::size_t>(n * c.row() + head * c.HS + d);
          return i < qkv.size() ? qkv[i] : std::nan("");
        };
        if (s >= c.S || p < 0 || to + static_cast<std::size_t>(d) >= cache.k.size()) continue;
        cache.k[to + static_cast<std::size_t>(d)] = from(k_head);
        cache.v[to + static_cast<std::size_t>(d)] = from(v_head);
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
    {{.first_head_only = true}, "Only key-value head 0 is there: there are NKV of them."},
};

void examine_append(Exam& exam) {
  for (const DecodeCase& c : kCases) {
    const Values qkv = random_values(c.N() * c.row(), 1);
    const Filled before{random_values(c.rows() * c.HS, 2), random_values(c.rows() * c.HS, 3)};
    const Filled expected = append(c, qkv, before);
    Sandbox& s = exam.call(described("kv_append", c));
    float *k = s.accumulator(before.k), *v = s.accumulator(before.v);
    const float* in = s.input(qkv);
    ref::kv_append(cache_over(c, k, v), in, s.input(c.sequence), s.input(c.position), c.N(), c.NH);
    std::vector<Mistake> of_k, of_v;
    for (const NamedAppendSlip& known : kAppendSlips) {
      const Filled wrong = append(c, qkv, before, known.slip);
      of_k.push_back(gives(wrong.k, known.nudge));
      of_v.push_back(gives(wrong.v, known.nudge));
    }
    const Shape shape = {{"s", c.S}, {"g", c.NKV}, {"p", c.capacity}, {"d", c.HS}};
    exam.expect("k", k, expected.k, shape, {.scale = 1}, of_k);
    exam.expect("v", v, expected.v, shape, {.scale = 1}, of_v);
  }
  // Another type: what write_cache_row is for.
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
    float* scratch = s.scratch(c.longest() + c.HS);
    ref::attention_decode(out, in, cache_over(c, keys, values), sequence, position, scratch, c.N(),
                          c.NH, c.longest());
    std::vector<Mistake> mistakes;
    for (const NamedDecodeSlip& known : decode_slips()) {
      mistakes.push_back(decode_mistake(c, qkv, k, v, known));
    }
    mistakes.push_back(overflowed());
    exam.expect("out", out, exact.out, out_shape(c), within(c, exact), mistakes);
  }
  // Another type: what read_cache_row is for.
  const DecodeCase c{1, 1, 1, 4, 3, {0}, {2}};
  const Values qkv = random_values(c.row(), 5), k = random_values(12, 6), v = random_values(12, 7);
  std::vector<Bfloat16> keys, values;
  Values k_rounded, v_rounded;
  for (std::size_t i = 0; i < 12; ++i) {
    keys.emplace_back(static_cast<float>(k[i]));
    values.emplace_back(static_cast<float>(v[i]));
    k_rounded.push_back(float{keys[i]});
    v_rounded.push_back(float{values[i]});
  }
  Sandbox& s = exam.call("attention_decode over a cache of bf16");
  float* out = s.output(4);
  const float* in = s.input(qkv);
  const KvCache cache{CacheType::bf16, 1, 1, 3, 4, keys.data(), values.data()};
  ref::attention_decode(out, in, cache, s.input(c.sequence), s.input(c.position), s.scratch(7), 1,
                        1, 3);
  const Decoded exact = decode(c, qkv, k_rounded, v_rounded);
  exam.expect("out", out, exact.out, out_shape(c), within(c, exact),
              {when([](const Answer&) { return true; },
                    "A cache may be kept in bf16 or int8: read_cache_row makes floats of a row.")});
}

}  // namespace

std::vector<Task> tasks() {
  return {{"23.kv_append", examine_append}, {"23.attention_decode", examine_decode}};
}

}  // namespace tinygpt::lessons
