// Grades exercises/08-multi-head/attention.cu.
#include "solutions/08-multi-head/attention.cuh"
#include "tests/lessons/08-multi-head/attention_exam.h"

namespace tinygpt::lessons {
namespace {

// A tile has four positions, a warp 32 lanes: one more than each of them, among others.
const std::vector<Case> kCases = {{{1, 3, 2, 2, 2, true}},  {{2, 5, 4, 2, 3, true}},
                                  {{1, 1, 1, 1, 1, true}},  {{2, 4, 3, 1, 2, false}},
                                  {{1, 6, 2, 1, 33, true}}, {{0, 3, 2, 1, 2, true}},
                                  {{2, 0, 2, 1, 2, true}},  {{1, 5, 2, 1, 4, true}, 30}};

void call_queries(Exam& exam, Sandbox& s, const BackwardArguments& a, const AttentionSize& n) {
  float* delta = s.output(n.lse());
  ref_cuda::attention_backward_queries<float>(a.dqkv, delta, a.dout, a.out, a.lse, a.qkv, n.B, n.T,
                                              n.NH, n.NKV, n.HS, n.causal);
  Values magnitude;
  for (const double d : a.delta) magnitude.push_back(std::abs(d) + n.HS);
  exam.expect("delta", delta, a.delta, n.lse_shape(),
              {.terms = static_cast<double>(n.HS), .magnitudes = magnitude},
              {slipped([&] { return delta_of(n, a.out_values, a.dout_values, 32); },
                       "This is lane 0's share of the sum over d. warp_dot, or warp_sum of what "
                       "each lane has, makes one sum of all 32.")});
}

void call_keys(Sandbox& s, const BackwardArguments& a, const AttentionSize& n) {
  ref_cuda::attention_backward_keys<float>(a.dqkv, s.input(a.delta), a.dout, a.lse, a.qkv, n.B, n.T,
                                           n.NH, n.NKV, n.HS, n.causal);
}

// Two heads of 32 numbers over 32 tokens.
ProfileRun profile_of(Part part) {
  return {"32 tokens, 2 heads of 32", [part](const Memory& memory) {
            constexpr int T = 32, NH = 2, HS = 32;
            const auto zeros = [&](int floats) {
              const auto bytes = static_cast<std::size_t>(floats) * sizeof(float);
              void* data = memory.allocate(bytes);
              memory.zero(data, bytes);
              return static_cast<float*>(data);
            };
            float *qkv = zeros(T * 3 * NH * HS), *dqkv = zeros(T * 3 * NH * HS);
            float *out = zeros(T * NH * HS), *dout = zeros(T * NH * HS);
            float *lse = zeros(NH * T), *delta = zeros(NH * T);
            if (part == Part::all) {
              ref_cuda::multihead_attention_forward<float>(out, lse, qkv, nullptr, 1, T, NH, NH, HS,
                                                           true);
            } else if (part == Part::queries) {
              ref_cuda::attention_backward_queries<float>(dqkv, delta, dout, out, lse, qkv, 1, T,
                                                          NH, NH, HS, true);
            } else {
              ref_cuda::attention_backward_keys<float>(dqkv, delta, dout, lse, qkv, 1, T, NH, NH,
                                                       HS, true);
            }
            for (float* data : {qkv, dqkv, out, dout, lse, delta}) memory.release(data);
          }};
}

}  // namespace

std::vector<Task> tasks() {
  return {
      {"08.multihead_attention_forward_cuda",
       [](Exam& e) { examine_forward(e, ref_cuda::multihead_attention_forward<float>, kCases); },
       profile_of(Part::all)},
      {"08.attention_backward_queries_cuda",
       [](Exam& e) {
         const auto call = [&](Sandbox& s, const BackwardArguments& a, const AttentionSize& n) {
           call_queries(e, s, a, n);
         };
         examine_backward(e, "attention_backward_queries", Part::queries, call, kCases);
       },
       profile_of(Part::queries)},
      {"08.attention_backward_keys_cuda",
       [](Exam& e) {
         examine_backward(e, "attention_backward_keys", Part::keys_and_values, call_keys, kCases);
       },
       profile_of(Part::keys_and_values)}};
}

}  // namespace tinygpt::lessons
