// Lesson 13: what a step looks at.
#pragma once

#include <span>

#include "tinygpt/core/random.h"

namespace tinygpt::mine {

// Fills tokens and targets [B, T] with B windows of a text of N tokens. For each row b, in order,
// one random number says where the window starts:
//
//   start         = random.below(N - T)       0 .. N - T - 1, all equally likely
//   tokens[b, t]  = text[start + t]
//   targets[b, t] = text[start + t + 1]       the token after it
//
// The windows are a function of the random state alone, and the state is moved on: whoever saves it
// and puts it back gets the same windows once more. Throws Error where N <= T.
void next_batch(std::span<int> tokens, std::span<int> targets, std::span<const int> text, int B,
                int T, Random& random);

}  // namespace tinygpt::mine
