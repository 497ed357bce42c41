// Grades exercises/10-block/residual.cpp.
#include <fmt/format.h>

#include "solutions/10-block/block.h"
#include "tests/lessons/10-block/norm_exam.h"

namespace tinygpt::lessons {
namespace {

constexpr int kLengths[] = {5, 1, 0, 257};

void examine_forward(Exam& exam) {
  for (const int n : kLengths) {
    const Values a = random_values(n, 1), b = random_values(n, 2);
    Values sum = a;
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += b[i];
    Sandbox& s = exam.call(fmt::format("residual_forward(n={})", n));
    float *out = s.output(n), *both = s.accumulator(a);
    const float *a_ = s.input(a), *b_ = s.input(b);
    ref::residual_forward(out, a_, b_, n);
    exam.expect("out", out, sum, {{"i", n}}, {.scale = 4});
    ref::residual_forward(both, both, b_, n);
    exam.expect("out in the place of a", both, sum, {{"i", n}}, {.scale = 4});
  }
}

void examine_backward(Exam& exam) {
  for (const int n : kLengths) {
    const Values dout = random_values(n, 3);
    const char* half = "Half of dout: a sum does not share the gradient out. Each side gets all.";
    Sandbox& s = exam.call(fmt::format("residual_backward(n={})", n));
    float *da = s.accumulator(n, 4), *db = s.accumulator(n, 5);
    const float* d = s.input(dout);
    Values of_da = s.values(da);
    for (std::size_t i = 0; i < of_da.size(); ++i) of_da[i] += dout[i];
    ref::residual_backward(da, db, d, n);
    exam.expect_added("da", da, dout, {{"i", n}}, {.scale = 4}, {gives(times(dout, 0.5), half)});
    exam.expect_added("db", db, dout, {{"i", n}}, {.scale = 4},
                      {gives(times(dout, 0.5), half),
                       gives(of_da,
                             "db gets dout itself, not what da has gathered: da held "
                             "something before the call.")});

    Sandbox& same = exam.call(fmt::format("residual_backward(n={}), da is dout", n));
    float *stream = same.accumulator(dout), *branch = same.accumulator(n, 6);
    ref::residual_backward(stream, branch, stream, n);
    exam.expect("da, which is dout,", stream, dout, {{"i", n}}, {.scale = 4},
                {gives(times(dout, 2),
                       "da is dout here, and holds the gradient already: adding doubles it. "
                       "Compare the two pointers.")});
    exam.expect_added("db", branch, dout, {{"i", n}}, {.scale = 4},
                      {gives(times(dout, 2),
                             "da was doubled first, and db then got the doubled one: da is dout "
                             "here.")});
  }
}

}  // namespace

std::vector<Task> tasks() {
  return {{"10.residual_forward", examine_forward}, {"10.residual_backward", examine_backward}};
}

}  // namespace tinygpt::lessons
