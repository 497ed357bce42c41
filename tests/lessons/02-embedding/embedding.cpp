// Grades exercises/02-embedding/embedding.cpp.
#include "solutions/02-embedding/embedding.h"

#include "tests/lessons/02-embedding/embedding_exam.h"

namespace tinygpt::lessons {
namespace {

void examine_one_hot(Exam& exam) {
  for (const auto& [N, V] :
       std::vector<std::pair<int, int>>{{4, 3}, {1, 1}, {0, 5}, {3, 17}, {20, 6}}) {
    const std::vector<int> tokens = random_tokens(N, V, 3);
    Values expected(static_cast<std::size_t>(N * V)), transposed = expected;
    Values narrow(expected.size(), std::numeric_limits<double>::quiet_NaN()),
        narrow_ones = expected;
    for (int n = 0; n < N; ++n) {
      expected[static_cast<std::size_t>(n * V + tokens[static_cast<std::size_t>(n)])] = 1;
      transposed[static_cast<std::size_t>(tokens[static_cast<std::size_t>(n)] * N + n)] = 1;
    }
    for (int n = 0; n < N; ++n) {  // rows that begin every N values
      for (int v = 0; v < V; ++v) {
        const auto at = static_cast<std::size_t>(n * N + v);
        if (at >= narrow.size()) continue;
        narrow[at] = v == tokens[static_cast<std::size_t>(n)];
        narrow_ones[at] = narrow[at] == 1 ? 1 : narrow_ones[at];
      }
    }
    const char* begins = "Row n begins at n * V: each row has V values, side by side.";
    Sandbox& s = exam.call(fmt::format("one_hot(N={}, V={})", N, V));
    float* out = s.output(std::int64_t{N} * V);
    ref::one_hot(out, s.input(tokens), N, V);
    exam.expect(
        "out", out, expected, {{"n", N}, {"v", V}}, {},
        {gives(transposed, "Row and column are swapped: out is [N, V], a row for each token."),
         gives_with_gaps(narrow, begins), gives_with_gaps(narrow_ones, begins),
         when(
             [](const Answer& a) {
               for (std::size_t i = 0; i < a.actual.size(); ++i) {
                 if (a.expected[i] == 1 && a.actual[i] != 1) return false;
               }
               return true;
             },
             "The ones are right. Everything else must be written, too: it is 0 only if you make "
             "it so.")});
  }
}

}  // namespace

std::vector<Task> tasks() {
  return {{"02.one_hot", examine_one_hot},
          {"02.embedding_forward", [](Exam& e) { examine_gather(e, ref::embedding_forward); }},
          {"02.embedding_backward", [](Exam& e) {
             examine_scatter(e, ref::embedding_backward);
             examine_order(e, ref::embedding_backward);
           }}};
}

}  // namespace tinygpt::lessons
