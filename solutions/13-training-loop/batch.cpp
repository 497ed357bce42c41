#include "solutions/13-training-loop/batch.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>

#include "tinygpt/core/error.h"

namespace tinygpt::ref {

// For each row b, in order:
//   start         = random.below(N - T)
//   tokens[b, t]  = text[start + t]
//   targets[b, t] = text[start + t + 1]
void next_batch(std::span<int> tokens, std::span<int> targets, std::span<const int> text, int B,
                int T, Random& random) {
  const std::size_t N = text.size();
  check(N > static_cast<std::size_t>(T), [&] {
    return fmt::format("next_batch: a window of {} tokens needs a text of {}; this one has {}", T,
                       std::int64_t{T} + 1, N);
  });
  // your code: 13.next_batch
  const auto length = static_cast<std::size_t>(T);
  for (std::size_t b = 0; b < static_cast<std::size_t>(B); ++b) {
    const std::size_t start = random.below(N - length);
    for (std::size_t t = 0; t < length; ++t) {
      tokens[b * length + t] = text[start + t];
      targets[b * length + t] = text[start + t + 1];
    }
  }
  // end of your code
}

}  // namespace tinygpt::ref
