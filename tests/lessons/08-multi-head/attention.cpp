// Grades exercises/08-multi-head/attention.cpp.
#include "solutions/08-multi-head/attention.h"

#include "tests/lessons/08-multi-head/attention_exam.h"

namespace tinygpt::lessons {
namespace {

void examine_offsets(Exam& exam) {
  struct Heads {
    int NH, NKV, HS;
  };
  for (const auto& [NH, NKV, HS] : std::vector<Heads>{
           {8, 2, 3}, {1, 1, 1}, {2, 2, 5}, {6, 3, 64}, {6, 2, 7}, {8, 1, 16}, {3, 1, 1}}) {
    for (int h = NH - 1; h >= 0; --h) {  // the last ones tell mistakes apart
      const auto at = [&](int q, int k, int v) { return std::vector<int>{q * HS, k * HS, v * HS}; };
      exam.call(fmt::format("head_offsets(h={}, NH={}, NKV={}, HS={})", h, NH, NKV, HS));
      const ref::HeadOffsets found = ref::head_offsets(h, NH, NKV, HS);
      const int shared = NH / NKV, g = h / shared;
      exam.expect_equal(
          "{q, k, v}", {found.q, found.k, found.v}, at(h, NH + g, NH + NKV + g),
          {{at(h, NH + h % NKV, NH + NKV + h % NKV),
            "Neighbours share a key: heads 0 .. NH / NKV - 1 use the first one. That is a "
            "division, "
            "h / (NH / NKV), not a remainder."},
           {at(h, NH + h, NH + NKV + h),
            "There are NKV keys and values, fewer than heads: head h uses h / (NH / NKV)."},
           {at(h, NH + h / NKV, NH + NKV + h / NKV),
            "A group has NH / NKV heads, not NKV: divide h by that."},
           {at(h, NH + g, NH + NH + g), "NKV keys stand before the values, not NH."},
           {at(h, NH + g, NH + g), "The values begin behind the NKV keys."},
           {at(h, NH + 2 * g, NH + 2 * g + 1),
            "Keys and values do not take turns: all keys come first, then all values."},
           {at(h, g, g), "Keys stand behind the NH queries, values behind the keys."},
           {{h * HS, NH * HS + g, (NH + NKV) * HS + g},
            "HS numbers belong to each key and value, too: key g begins g * HS numbers behind the "
            "first one."},
           {{h, NH * HS + g, (NH + NKV) * HS + g},
            "The heads are interleaved: each head has HS numbers side by side, so it begins at a "
            "multiple of HS."}});
    }
  }
}

// The first is small enough to follow by hand. Then groups, one token, one number, an odd length,
// and scores so large that exp of them is infinite.
const std::vector<Case> kCases = {
    {{1, 3, 2, 2, 2, true}},  {{2, 4, 4, 2, 3, true}},          {{1, 1, 1, 1, 1, true}},
    {{2, 5, 6, 3, 2, false}}, {{1, 7, 6, 1, 5, true}},          {{0, 3, 2, 1, 2, true}},
    {{2, 0, 2, 1, 2, true}},  {{1, 6, 4, 2, 2, true}, 1, true}, {{1, 9, 2, 1, 4, true}, 30},
    {{1, 33, 3, 3, 7, true}}, {{2, 17, 2, 2, 16, false}, 8}};

}  // namespace

std::vector<Task> tasks() {
  return {{"08.head_offsets", examine_offsets},
          {"08.multihead_attention_forward",
           [](Exam& e) { examine_forward(e, ref::multihead_attention_forward, kCases); }},
          {"08.multihead_attention_backward", [](Exam& e) {
             const auto call = [](Sandbox& s, const BackwardArguments& a, const AttentionSize& n) {
               ref::multihead_attention_backward(a.dqkv, a.dout, a.out, a.lse, a.qkv,
                                                 s.scratch(n.T), n.B, n.T, n.NH, n.NKV, n.HS,
                                                 n.causal);
             };
             examine_backward(e, "multihead_attention_backward", Part::all, call, kCases);
           }}};
}

}  // namespace tinygpt::lessons
