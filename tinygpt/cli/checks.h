// Checks that several commands share.
#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <string>

#include "tinygpt/model/gpt.h"

namespace tinygpt::cli {

// Refuses what cannot fit this machine, before memory runs out in the middle. `what` needs it;
// `advice` says what would need less.
void check_memory(const MemoryLedger& ledger, const std::string& what, const std::string& advice);

// An option for a number from 0 to 2^64 - 1; nothing else is read as one, least of all -1.
CLI::Option* add_seed_option(CLI::App& command, std::uint64_t& seed, const std::string& help);

}  // namespace tinygpt::cli
