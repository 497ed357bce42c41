// Grades exercises/07-self-attention/self_attention.cu.
#include "solutions/07-self-attention/self_attention.cuh"

#include "tests/lessons/07-self-attention/attention_exam.h"
#include "tests/lessons/grading/device.h"

namespace tinygpt::lessons {
namespace {

// Values do not matter to the profiler, addresses do: n floats of 0.
float* zeros(const Memory& memory, std::int64_t n) {
  const std::size_t bytes = static_cast<std::size_t>(n) * sizeof(float);
  void* data = memory.allocate(bytes);
  memory.zero(data, bytes);
  return static_cast<float*>(data);
}

template <class Function>
void run(const Memory& memory, Function&& function, std::int64_t n0, std::int64_t n1,
         std::int64_t n2) {
  float* arrays[] = {zeros(memory, n0), zeros(memory, n1), zeros(memory, n2)};
  function(arrays[0], arrays[1], arrays[2]);
  for (float* array : arrays) memory.release(array);
}

void run_scores(const Memory& memory) {
  run(
      memory, [](float* s, float* q, float* k) { ref_cuda::attention_scores(s, q, k, 16, 128); },
      256, 2048, 2048);
}

void run_softmax(const Memory& memory) {
  run(
      memory, [](float* p, float* s, float*) { ref_cuda::masked_softmax(p, s, nullptr, 64); }, 4096,
      4096, 1);
}

void run_weighted_sum(const Memory& memory) {
  run(
      memory, [](float* out, float* w, float* x) { ref_cuda::weighted_sum(out, w, x, 64, 64); },
      4096, 4096, 4096);
}

void examine_scores_kernel(Exam& exam) {
  examine_scores(exam, ref_cuda::attention_scores,
                 {{3, 5}, {4, 3}, {1, 1}, {3, 1}, {2, 32}, {5, 33}, {0, 4}, {3, 100}, {17, 2}},
                 true);
  exam.call("attention_scores(T=16, HS=128), watched by the profiler");
  const double sectors = sectors_per_request([&] { run_scores(exam.memory()); });
  exam.expect_true(
      sectors < 5,
      fmt::format("a warp's request moves {:.1f} sectors of 32 bytes on average", sectors),
      "The 32 lanes of a warp must read neighbours: lane i reads d = i, i + 32, ... of one row of "
      "q and one of k. Then each load is one piece of 128 bytes, 4 sectors.");
}

enum class Sight { all, past, random, loud };  // loud: the largest scores may not be looked at

const char* words(Sight sight) {
  switch (sight) {
    case Sight::all:
      return "mask=nullptr";
    case Sight::past:
      return "each query looks back and at itself";
    case Sight::random:
      return "a random mask, the first query looks nowhere";
    case Sight::loud:
      return "a mask that hides the largest scores";
  }
  return "";
}

// With a score of `loud` in each place that a mask hides, if that is what is wanted.
std::vector<int> mask_of(Sight sight, int T, Grid& scores) {
  std::vector<int> mask(static_cast<std::size_t>(T) * static_cast<std::size_t>(T), 1);
  const std::vector<int> random = random_tokens(std::int64_t{T} * T, 2, 7);
  for (int t = 0; t < T; ++t) {
    for (int u = 0; u < T; ++u) {
      const std::size_t i = scores.index(t, u);
      if (sight == Sight::past) mask[i] = u <= t;
      if (sight == Sight::random) mask[i] = t == 0 ? 0 : 2 * random[i];
      if (sight == Sight::loud && (mask[i] = (t + u) % 2 == 0) == 0) scores(t, u) = 1e4;
    }
  }
  return mask;
}

std::vector<Mistake> softmax_mistakes(const Grid& scores, const std::vector<int>& mask, Sight sight,
                                      bool large, bool low) {
  const Grid all = row_softmax(scores);
  const auto seen = [&](int t, int u) { return mask[scores.index(t, u)] != 0; };
  const Grid zeroed =
      grid(scores.rows, scores.rows, [&](int t, int u) { return seen(t, u) ? all(t, u) : 0; });
  const Grid alike = row_softmax(grid(scores.rows, scores.rows, [](int, int) { return 0; }), seen);
  const Grid columns =
      flipped(row_softmax(flipped(scores), [&](int t, int u) { return seen(u, t); }));
  // What may not be looked at has a score of 0, and a share or none.
  const Grid shared = row_softmax(
      grid(scores.rows, scores.rows, [&](int t, int u) { return seen(t, u) ? scores(t, u) : 0; }));
  const Grid counted =
      grid(scores.rows, scores.rows, [&](int t, int u) { return seen(t, u) ? shared(t, u) : 0; });
  const Grid right = row_softmax(scores, seen);
  const Grid alike_nowhere = grid(scores.rows, scores.rows, [&](int t, int u) {
    return sight == Sight::random && t == 0 ? 1.0 / scores.rows : right(t, u);
  });
  const char* const score_of_0 =
      "Keys that may not be looked at count as if their score were 0, and exp(0) is 1. They must "
      "not count at all: leave them out, or take -INFINITY for their score.";
  return {
      when([low](const Answer& a) { return low && overflowed(a); },
           "All scores are far below 0 here, and beside a maximum of 0 all their exponentials are "
           "0. Begin the search for the largest at -INFINITY."),
      gives(shared.values, score_of_0),
      gives(counted.values, score_of_0),
      gives(alike_nowhere.values,
            "Query 0 may look nowhere, and its row of p must be all 0. A large negative number for "
            "the hidden scores makes them all alike there, and each gets 1 / T."),
      gives(sight == Sight::random ? Values(scores.values.size(), 0.0) : Values{},
            "Every value is 0: any number but 0 in the mask says that a query may look. Here it is "
            "2."),
      when(
          [sight](const Answer& a) { return sight == Sight::random && overflowed(a); },
          "A query that may look nowhere has no sum to divide by: its row of p is all 0. NaN comes "
          "from 0 / 0, or from -INFINITY - -INFINITY."),
      when([sight](const Answer& a) { return sight == Sight::loud && overflowed(a); },
           "The largest score of a row is one that may not be looked at. Take the maximum over "
           "those that may: beside the other one all exponentials are 0."),
      when([large](const Answer& a) { return large && overflowed(a); },
           "These scores are large. exp(89) is infinite in float already: subtract the row's "
           "largest score before exp."),
      gives(columns.values,
            "The softmax runs over the queries: here each column of p sums to 1. It must run over "
            "the keys, so that each row sums to 1."),
      gives(
          alike.values,
          "All keys of a row get the same: each was compared with itself. The maximum must be the "
          "whole row's; warp_reduce<Max> makes one of what the 32 lanes have."),
      gives(row_softmax(scores, [&](int t, int u) { return !seen(t, u); }).values,
            "The mask is the wrong way round: a query may look where it is not 0, and not where it "
            "is 0."),
      gives(row_softmax(scores, [&](int t, int u) { return seen(u, t); }).values,
            "The mask is transposed: mask[t, u] says whether query t may look at key u."),
      gives(all.values, "The mask is not applied: keys that may not be looked at have a share."),
      gives(zeroed.values,
            "Keys that may not be looked at are 0 in p, but they are counted in the sum: the rest "
            "of each row must sum to 1."),
  };
}

void examine_softmax_kernel(Exam& exam) {
  struct Case {
    int T;
    Sight sight;
    double scale;
    bool low = false;  // scores are around -500
  };
  for (const auto& [T, sight, scale, low] : std::vector<Case>{{3, Sight::all, 1},
                                                              {4, Sight::past, 1},
                                                              {1, Sight::all, 1},
                                                              {0, Sight::all, 1},
                                                              {5, Sight::random, 1},
                                                              {33, Sight::all, 1},
                                                              {37, Sight::past, 2},
                                                              {6, Sight::loud, 1},
                                                              {35, Sight::random, 3},
                                                              {5, Sight::all, 500},
                                                              {3, Sight::all, 1, true}}) {
    Grid scores = random_grid(T, T, 1, scale);
    for (double& score : scores.values) score -= low ? 500 : 0;
    const std::vector<int> mask = mask_of(sight, T, scores);
    const Grid expected =
        row_softmax(scores, [&](int t, int u) { return mask[scores.index(t, u)] != 0; });
    Sandbox& s = exam.call(
        low ? fmt::format("masked_softmax(T={}), scores around -500, {}", T, words(sight))
            : fmt::format("masked_softmax(T={}), scores of size {}, {}", T, scale, words(sight)));
    float* p = s.output(std::int64_t{T} * T);
    const float* scores_ = s.input(scores.values);
    const int* mask_ = sight == Sight::all ? nullptr : s.input(mask);
    ref_cuda::masked_softmax(p, scores_, mask_, T);
    exam.expect("p", p, expected.values, square(T), {.terms = 32},
                softmax_mistakes(scores, mask, sight, scale > 20, low));
  }
}

void examine_weighted_sum_kernel(Exam& exam) {
  examine_weighted_sum(
      exam, ref_cuda::weighted_sum,
      {{4, 3}, {1, 1}, {2, 65}, {65, 2}, {0, 4}, {3, 0}, {67, 64}, {130, 5}},
      {when(
          [](const Answer& a) { return ends_after(a, static_cast<std::size_t>(a.shape[1].size)); },
          "Only row 0 is written. blockIdx.x counts the rows and blockIdx.y the "
          "pieces of 64 columns: does the grid have T in its first dimension?")});
  exam.call("weighted_sum(T=64, C=64), watched by the profiler");
  const double loaded = bytes_loaded([&] { run_weighted_sum(exam.memory()); });
  const double of_x = 64.0 * 64 * 64 * sizeof(float);
  exam.expect_true(
      loaded <= 1.25 * of_x,
      fmt::format("it loads {:.0f} KiB from global memory, of which x needs {:.0f}", loaded / 1024,
                  of_x / 1024),
      "All threads of a block need the same weights. Each weight is to be loaded once, by one "
      "thread, into the shared tile, where all of them read it.");
}

}  // namespace

std::vector<Task> tasks() {
  return {
      {"07.attention_scores_cuda", examine_scores_kernel, {"16 queries, heads of 128", run_scores}},
      {"07.masked_softmax_cuda", examine_softmax_kernel, {"64 rows of 64", run_softmax}},
      {"07.weighted_sum_cuda",
       examine_weighted_sum_kernel,
       {"64 queries, 64 columns", run_weighted_sum}},
  };
}

}  // namespace tinygpt::lessons
