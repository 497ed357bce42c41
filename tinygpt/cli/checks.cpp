#include "tinygpt/cli/checks.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <cstdint>

#include "tinygpt/core/error.h"

namespace tinygpt::cli {
namespace {

std::string seed_problem(const std::string& text) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  const bool is_seed = error == std::errc() && stop == end;
  return is_seed ? "" : fmt::format("'{}' is no whole number from 0 to 2^64 - 1", text);
}

}  // namespace

void check_memory(const MemoryLedger& ledger, const std::string& what, const std::string& advice) {
  const double machine =
      static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
  check(static_cast<double>(ledger.total) <= machine, [&] {
    return fmt::format("{} needs {:.1f} GB of memory and the machine has {:.1f}: {}", what,
                       static_cast<double>(ledger.total) * 1e-9, machine * 1e-9, advice);
  });
}

CLI::Option* add_seed_option(CLI::App& command, std::uint64_t& seed, const std::string& help) {
  return command.add_option("--seed", seed, help)
      ->check(seed_problem, "", "seed")
      ->capture_default_str();
}

}  // namespace tinygpt::cli
