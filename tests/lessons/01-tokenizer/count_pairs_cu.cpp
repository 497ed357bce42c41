// Grades exercises/01-tokenizer/count_pairs.cu.
#include "solutions/01-tokenizer/count_pairs.cuh"

#include <fmt/format.h>

#include "tests/lessons/grading/device.h"
#include "tests/lessons/grading/exam.h"

namespace tinygpt::lessons {
namespace {

using Count = void(int*, const int*, std::int64_t, int);

std::vector<int> exact(const std::vector<int>& tokens, int V, bool overlapping) {
  std::vector<int> counts(static_cast<std::size_t>(V * V));
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    std::size_t alike = 0;
    while (alike < i && tokens[i - alike - 1] == tokens[i]) ++alike;
    if (!overlapping && tokens[i] == tokens[i + 1] && alike % 2 == 1) continue;
    ++counts[static_cast<std::size_t>(tokens[i] * V + tokens[i + 1])];
  }
  return counts;
}

void examine(Exam& exam, const char* name, Count* count) {
  for (const auto& [n, V] : std::vector<std::pair<int, int>>{
           {5, 3}, {2, 2}, {1, 3}, {0, 2}, {257, 2}, {256, 5}, {1000, 1}, {9000, 20}}) {
    const std::vector<int> tokens = random_tokens(n, V, 3);
    std::vector<int> expected = exact(tokens, V, false), twice = exact(tokens, V, true);
    std::vector<int> start = random_tokens(std::int64_t{V} * V, 9, 4), without = expected;
    for (std::size_t i = 0; i < start.size(); ++i) expected[i] += start[i], twice[i] += start[i];
    exam.call(fmt::format("{}(n={}, V={})", name, n, V));
    const Memory& memory = exam.memory();
    auto* counts = static_cast<int*>(memory.allocate(start.size() * sizeof(int)));
    auto* text = static_cast<int*>(memory.allocate(tokens.size() * sizeof(int)));
    memory.copy_in(counts, start.data(), start.size() * sizeof(int));
    if (n > 0) memory.copy_in(text, tokens.data(), tokens.size() * sizeof(int));
    count(counts, text, n, V);
    std::vector<int> found(start.size());
    memory.copy_out(found.data(), counts, found.size() * sizeof(int));
    memory.release(text);
    memory.release(counts);
    exam.expect_equal("counts", found, expected,
                      {{twice, "Overlapping occurrences are counted twice: ask pair_counts."},
                       {without, "Counts are to be added to what is there."},
                       {start, "Nothing was counted."}});
  }
}

ProfileRun profile_of(Count* count) {
  return {"8,192 tokens of 16 kinds", [count](const Memory& memory) {
            const std::vector<int> tokens = random_tokens(8192, 16, 1);
            auto* counts = static_cast<int*>(memory.allocate(256 * sizeof(int)));
            auto* text = static_cast<int*>(memory.allocate(tokens.size() * sizeof(int)));
            memory.zero(counts, 256 * sizeof(int));
            memory.copy_in(text, tokens.data(), tokens.size() * sizeof(int));
            count(counts, text, 8192, 16);
            memory.release(text);
            memory.release(counts);
          }};
}

void examine_shared(Exam& exam) {
  examine(exam, "count_pairs_shared", ref_cuda::count_pairs_shared);
  exam.call("count_pairs_shared(n=8192, V=16), watched by the profiler");
  const double shared =
      bytes_stored([&] { profile_of(ref_cuda::count_pairs_shared).run(exam.memory()); });
  exam.expect_true(
      shared < 8192 * sizeof(int) * 0.9,
      fmt::format("{:.0f} KiB are stored to global memory, as many as without shared memory",
                  shared / 1024),
      "Count into a __shared__ table, and add each of its counters to global memory once, at the "
      "end.");
}

}  // namespace

std::vector<Task> tasks() {
  return {{"01.count_pairs_cuda", [](Exam& e) { examine(e, "count_pairs", ref_cuda::count_pairs); },
           profile_of(ref_cuda::count_pairs)},
          {"01.count_pairs_shared_cuda", examine_shared, profile_of(ref_cuda::count_pairs_shared)}};
}

}  // namespace tinygpt::lessons
