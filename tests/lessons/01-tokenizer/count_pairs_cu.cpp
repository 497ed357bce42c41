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

// What other mistakes make of the counts of all pairs but those that `left_out` names by place.
template <class Predicate>
std::vector<int> exact_without(const std::vector<int>& tokens, int V, Predicate&& left_out) {
  std::vector<int> counts = exact(tokens, V, false);
  for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
    std::size_t alike = 0;
    while (alike < i && tokens[i - alike - 1] == tokens[i]) ++alike;
    if (tokens[i] == tokens[i + 1] && alike % 2 == 1) continue;
    if (left_out(i)) --counts[static_cast<std::size_t>(tokens[i] * V + tokens[i + 1])];
  }
  return counts;
}

// Answers with a mistake in them, and what to say to it.
std::vector<Exam::Slip<std::vector<int>>> slips(const std::vector<int>& tokens, int V,
                                                const std::vector<int>& start) {
  const std::vector<int> right = exact(tokens, V, false);
  const auto size = static_cast<std::size_t>(V);
  std::vector<int> turned(right.size()), each_thread = right, wider(right.size());
  for (std::size_t a = 0; a < size; ++a) {
    for (std::size_t b = 0; b < size; ++b) {
      turned[b * size + a] = right[a * size + b];
      const std::size_t wide = a * ref_cuda::kMostTokens + b;
      if (wide < wider.size()) wider[wide] = right[a * size + b];
    }
  }
  for (int& count : each_thread) count *= 256;
  std::vector<Exam::Slip<std::vector<int>>> all = {
      {exact(tokens, V, true), "Overlapping occurrences are counted twice: ask pair_counts."},
      {turned, "Row and column are swapped: the counter of (a, b) is at a * V + b."},
      {wider,
       "A row of the table is V counters long, where you count and where you add alike: the "
       "counter of (a, b) is at a * V + b in both tables."},
      {each_thread,
       "Every thread of the block adds all counters of the block's table. Share them: thread t "
       "adds counters t, t + blockDim.x, ..."},
      {exact_without(tokens, V, [](std::size_t i) { return i % 256 == 255; }),
       "The pairs of two blocks are missing: the last token of a block's 256 has its neighbour in "
       "the next block's."},
      {std::vector<int>(right.size(), 0), "Nothing was counted."}};
  for (std::size_t end = 256; end < tokens.size(); end += 256) {
    all.push_back({exact_without(tokens, V, [&](std::size_t i) { return i >= end; }),
                   fmt::format("Only the first {} places were counted: the grid has no more "
                               "threads than that. Let them come round (index_stride()), or "
                               "launch more blocks.",
                               end)});
  }
  for (auto& slip : all) {
    for (std::size_t i = 0; i < start.size(); ++i) slip.answer[i] += start[i];
  }
  all.push_back({right, "Counts are to be added to what is there."});
  return all;
}

void examine(Exam& exam, const char* name, Count* count) {
  for (const auto& [n, V] : std::vector<std::pair<int, int>>{
           {5, 3}, {2, 2}, {1, 3}, {0, 2}, {257, 2}, {256, 5}, {1000, 1}, {9000, 20}}) {
    const std::vector<int> tokens = random_tokens(n, V, 3);
    std::vector<int> expected = exact(tokens, V, false);
    const std::vector<int> start = random_tokens(std::int64_t{V} * V, 9, 4);
    for (std::size_t i = 0; i < start.size(); ++i) expected[i] += start[i];
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
    exam.expect_equal("counts", found, expected, slips(tokens, V, start));
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
      "Count into a __shared__ table, and add each of its counters that is not 0 to global memory "
      "once, at the end. If you do: a block that counts 256 places has a table as long as its "
      "text. Launch fewer blocks (at most 32, say), whose threads come round for more places.");
}

}  // namespace

std::vector<Task> tasks() {
  return {{"01.count_pairs_cuda", [](Exam& e) { examine(e, "count_pairs", ref_cuda::count_pairs); },
           profile_of(ref_cuda::count_pairs)},
          {"01.count_pairs_shared_cuda", examine_shared, profile_of(ref_cuda::count_pairs_shared)}};
}

}  // namespace tinygpt::lessons
