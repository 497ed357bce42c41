#include "tinygpt/text/batches.h"

#include <fmt/format.h>

#include <algorithm>

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

void copy_window(int* tokens, int* targets, const TokenFile& file, std::int64_t start, int T) {
  for (int t = 0; t < T; ++t) {
    tokens[t] = file[start + t];
    targets[t] = file[start + t + 1];
  }
}

}  // namespace

void next_batch(std::span<int> tokens, std::span<int> targets, const TokenFile& file, int B, int T,
                Random& random) {
  check_length(file, T);
  for (int b = 0; b < B; ++b) {
    const auto start = random.below(static_cast<std::uint64_t>(file.size() - T));
    const std::size_t row = static_cast<std::size_t>(b) * static_cast<std::size_t>(T);
    copy_window(&tokens[row], &targets[row], file, static_cast<std::int64_t>(start), T);
  }
}

void validation_window(std::span<int> tokens, std::span<int> targets, const TokenFile& file,
                       std::int64_t i, std::int64_t count, int T, int context) {
  check_length(file, T);
  const std::int64_t last = file.size() - T - 1;  // the last place where a window can start
  const std::int64_t start = count > 1 ? last * i / (count - 1) : 0;
  copy_window(tokens.data(), targets.data(), file, start, T);
  std::fill_n(targets.begin(), context, kIgnoreTarget);
}

std::int64_t validation_window_count(const TokenFile& file, int T, int context) {
  return std::max<std::int64_t>(1, (file.size() - 1 - context) / (T - context));
}

}  // namespace tinygpt
