// Batches of tokens and their targets: the target of a token is the token after it.
#pragma once

#include <cstdint>
#include <span>

#include "tinygpt/core/random.h"
#include "tinygpt/text/token_file.h"

namespace tinygpt {

// Fills tokens and targets [B, T] with B windows that start at random places. The windows are a
// function of the random state alone, so that a resumed training sees what it would have seen.
// Throws Error unless the file holds at least T + 1 tokens.
void next_batch(std::span<int> tokens, std::span<int> targets, const TokenFile& file, int B, int T,
                Random& random);

// Fixed windows for validation, spread evenly over the whole file: window i of `count`.
//
// The first `context` targets of a window are ignored, so that every token that counts is predicted
// with at least `context` tokens before it: 0 is the usual way, in which a window's first tokens
// are guessed almost blindly; T / 2 measures what the model knows when it has something to go on.
void validation_window(std::span<int> tokens, std::span<int> targets, const TokenFile& file,
                       std::int64_t i, std::int64_t count, int T, int context);

// How many windows cover the file's tokens once (each counts T - context of them), at least 1.
std::int64_t validation_window_count(const TokenFile& file, int T, int context);

}  // namespace tinygpt
