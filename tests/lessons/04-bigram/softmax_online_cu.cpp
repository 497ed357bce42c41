// Grades exercises/04-bigram/softmax_online.cu.
#include "solutions/04-bigram/softmax.cuh"
#include "tests/lessons/04-bigram/softmax_exam.h"

namespace tinygpt::lessons {
namespace {

struct Part {
  double largest, sum;
};

// What the kernel answers whose merge rescales only some of its two sums.
Values half_rescaled(const Values& x, int N, int V, bool first, bool second) {
  constexpr int kBlock = 256;
  const auto merge = [&](Part a, Part b) -> Part {
    const double largest = std::max(a.largest, b.largest);
    if (largest == -INFINITY) return {largest, 0};
    return {largest, a.sum * (first ? std::exp(a.largest - largest) : 1) +
                         b.sum * (second ? std::exp(b.largest - largest) : 1)};
  };
  Values out(x.size());
  for (int n = 0; n < N; ++n) {
    std::vector<Part> parts(kBlock, Part{-INFINITY, 0});
    const auto at = [&](int v) { return x[static_cast<std::size_t>(n * V + v)]; };
    for (int v = 0; v < V; ++v) {
      Part& part = parts[static_cast<std::size_t>(v % kBlock)];
      part = merge(part, {at(v), 1});
    }
    for (std::size_t half = kBlock / 2; half > 0; half /= 2) {
      for (std::size_t i = 0; i < half; ++i) parts[i] = merge(parts[i], parts[i + half]);
    }
    for (int v = 0; v < V; ++v) {
      out[static_cast<std::size_t>(n * V + v)] = std::exp(at(v) - parts[0].largest) / parts[0].sum;
    }
  }
  return out;
}

template <class Is>
Mistake everywhere(Is is, const char* nudge) {
  return when([is](const Answer& a) { return std::all_of(a.actual.begin(), a.actual.end(), is); },
              nudge);
}

std::vector<Mistake> merge_mistakes(const Values& x, int N, int V) {
  const char* rescale =
      "Both sums were taken with a largest value of their own: each is multiplied "
      "by exp(its own largest - the largest of both), also where it comes second.";
  std::vector<Mistake> all = {
      everywhere([](double value) { return std::isnan(value); },
                 "NaN everywhere. If the values are written at all, ask merge: two parts that hold "
                 "nothing make -INFINITY - -INFINITY; and an exponent is its own largest minus the "
                 "new one, never above 0."),
      everywhere([](double value) { return std::isinf(value); },
                 "Divided by 0: a single value is the part {value, 1}, since exp(value - value) is "
                 "1.")};
  for (const auto& [first, second] : {std::pair{false, true}, {true, false}, {false, false}}) {
    all.push_back(gives(half_rescaled(x, N, V, first, second), rescale));
  }
  for (Mistake& mistake : block_mistakes(x, N, V)) all.push_back(std::move(mistake));
  return all;
}

}  // namespace

std::vector<Task> tasks() {
  const auto run = [](const Memory& memory) {
    constexpr std::size_t kBytes = 4 * 1024 * sizeof(float);
    auto* x = static_cast<float*>(memory.allocate(kBytes));
    auto* out = static_cast<float*>(memory.allocate(kBytes));
    memory.zero(x, kBytes);
    ref_cuda::softmax_online(out, x, 4, 1024);
    memory.release(x);
    memory.release(out);
  };
  return {{"04.softmax_online_cuda",
           [](Exam& e) {
             examine_softmax(e, "softmax_online", ref_cuda::softmax_online, false, merge_mistakes);
           },
           {"4 rows of 1,024", run}}};
}

}  // namespace tinygpt::lessons
