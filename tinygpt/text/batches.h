// Batches of tokens and their targets: the target of a token is the token after it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tinygpt/core/random.h"
#include "tinygpt/text/token_file.h"

namespace tinygpt {

// For `boundary` below: windows may start anywhere.
inline constexpr int kAnywhere = -1;

// Fills tokens and targets [B, T] with B windows that start at random places: at the next boundary
// token behind them, where one is given. A model of short documents learns faster from windows that
// begin where a document begins, and it is how it will be asked to write.
//
// The windows are a function of the random state alone, so that a resumed training sees what it
// would have seen. Throws Error unless the file holds at least T + 1 tokens, with a boundary among
// those that a window can start at.
void next_batch(std::span<int> tokens, std::span<int> targets, const TokenFile& file, int B, int T,
                int boundary, Random& random);

// What a validation reads, always the same.
struct ValidationPlan {
  int time = 0;  // T
  // The first `context` targets of a window are ignored, so that every token that counts is
  // predicted with at least so many before it: 0 is the usual way, in which a window's first tokens
  // are guessed almost blindly; T / 2 measures what the model knows when it has something to go on.
  // Without meaning where there is a boundary.
  int context = 0;
  // With a boundary token, windows start at one, and only the document behind it counts, to the
  // boundary that ends it: every document (of T tokens or less) is then judged whole, and alone.
  int boundary = kAnywhere;
};

// Where the windows start: they cover the file's tokens once, or, where that takes more than `most`
// windows, are spread evenly over it. At least one. Throws Error as next_batch does.
std::vector<std::int64_t> validation_starts(const TokenFile& file, const ValidationPlan& plan,
                                            std::int64_t most);

// Fills tokens and targets [T]; targets that do not count are kIgnoreTarget. Gives how many count.
int validation_window(std::span<int> tokens, std::span<int> targets, const TokenFile& file,
                      std::int64_t start, const ValidationPlan& plan);

}  // namespace tinygpt
