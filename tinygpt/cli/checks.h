// Checks that several commands share.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <string>

#include "tinygpt/core/bfloat16.h"
#include "tinygpt/model/gpt.h"
#include "tinygpt/text/tokenizer.h"

namespace tinygpt::cli {

// Refuses what cannot fit the device, before memory runs out in the middle. `what` needs so many
// bytes; `advice` says what would need less.
void check_memory(const Memory& memory, std::int64_t bytes, const std::string& what,
                  const std::string& advice);

// Refuses a tokenizer with more tokens than the model has. (Fewer are usual: embeddings are
// padded.)
void check_belongs(const Tokenizer& tokenizer, const GptConfig& config, const std::string& model);

// What `tinygpt train --dtype bf16` takes of a device: beside the model in bf16 there is one in
// float that writes samples. Its weights are the master weights, which the other's ledger counts
// already.
std::int64_t bf16_training_bytes(const GptConfig& config, const Ops<float>& ops,
                                 const Ops<Bfloat16>& bf16_ops, int B, int T);

// An option for a number from 0 to 2^64 - 1; nothing else is read as one, least of all -1.
CLI::Option* add_seed_option(CLI::App& command, std::uint64_t& seed, const std::string& help);

}  // namespace tinygpt::cli
