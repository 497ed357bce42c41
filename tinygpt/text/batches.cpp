#include "tinygpt/text/batches.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "tinygpt/core/error.h"
#include "tinygpt/ops/cross_entropy.h"

namespace tinygpt {
namespace {

void check_length(const TokenFile& file, int T) {
  check(file.size() > T, [&] {
    return fmt::format(
        "{}: {} tokens, fewer than the {} that one window needs; choose a shorter "
        "--context or a longer text",
        file.path().string(), file.size(), T + 1);
  });
}

// Windows of T tokens start before this: the last token is a target only.
std::int64_t start_limit(const TokenFile& file, int T) { return file.size() - T; }

[[noreturn]] void fail_without_boundary(const TokenFile& file, int T) {
  throw Error(
      fmt::format("{}: no document begins where a window of {} tokens can start: leave out "
                  "--documents, or choose a shorter --context",
                  file.path().string(), T));
}

// The first boundary at or behind `at`, searched from the file's start again behind its end.
std::int64_t next_boundary(const TokenFile& file, int T, int boundary, std::int64_t at) {
  const std::int64_t limit = start_limit(file, T);
  for (std::int64_t i = at; i < limit; ++i) {
    if (file[i] == boundary) return i;
  }
  for (std::int64_t i = 0; i < at; ++i) {
    if (file[i] == boundary) return i;
  }
  fail_without_boundary(file, T);
}

void copy_window(int* tokens, int* targets, const TokenFile& file, std::int64_t start, int T) {
  for (int t = 0; t < T; ++t) {
    tokens[t] = file[start + t];
    targets[t] = file[start + t + 1];
  }
}

// Every place where a window may start that judges something no other window judges.
std::vector<std::int64_t> all_starts(const TokenFile& file, const ValidationPlan& plan) {
  const int T = plan.time;
  std::vector<std::int64_t> starts;
  if (plan.boundary != kAnywhere) {
    for (std::int64_t i = 0; i < start_limit(file, T); ++i) {
      if (file[i] == plan.boundary) starts.push_back(i);
    }
    if (starts.empty()) fail_without_boundary(file, T);
    return starts;
  }
  const std::int64_t stride = T - plan.context;
  const std::int64_t count = std::max<std::int64_t>(1, (file.size() - 1 - plan.context) / stride);
  const std::int64_t last = start_limit(file, T) - 1;
  for (std::int64_t i = 0; i < count; ++i) {
    starts.push_back(count > 1 ? last * i / (count - 1) : 0);
  }
  return starts;
}

}  // namespace

void next_batch(std::span<int> tokens, std::span<int> targets, const TokenFile& file, int B, int T,
                int boundary, Random& random) {
  check_length(file, T);
  for (int b = 0; b < B; ++b) {
    auto start =
        static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(start_limit(file, T))));
    if (boundary != kAnywhere) start = next_boundary(file, T, boundary, start);
    const std::size_t row = static_cast<std::size_t>(b) * static_cast<std::size_t>(T);
    copy_window(&tokens[row], &targets[row], file, start, T);
  }
}

std::vector<std::int64_t> validation_starts(const TokenFile& file, const ValidationPlan& plan,
                                            std::int64_t most) {
  check_length(file, plan.time);
  const std::vector<std::int64_t> all = all_starts(file, plan);
  const auto count = static_cast<std::int64_t>(all.size());
  if (count <= most) return all;
  std::vector<std::int64_t> chosen;
  for (std::int64_t i = 0; i < std::max<std::int64_t>(most, 1); ++i) {
    // From the first to the last.
    const std::int64_t at = most > 1 ? (count - 1) * i / (most - 1) : 0;
    chosen.push_back(all[static_cast<std::size_t>(at)]);
  }
  return chosen;
}

int validation_window(std::span<int> tokens, std::span<int> targets, const TokenFile& file,
                      std::int64_t start, const ValidationPlan& plan) {
  const int T = plan.time;
  copy_window(tokens.data(), targets.data(), file, start, T);
  if (plan.boundary == kAnywhere) {
    std::fill_n(targets.begin(), plan.context, kIgnoreTarget);
    return T - plan.context;
  }
  const auto end = std::find(targets.begin(), targets.begin() + T, plan.boundary);
  if (end == targets.begin() + T) return T;  // a document longer than the window
  std::fill(end + 1, targets.begin() + T, kIgnoreTarget);
  return static_cast<int>(end - targets.begin()) + 1;
}

}  // namespace tinygpt
