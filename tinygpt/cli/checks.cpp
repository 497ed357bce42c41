#include "tinygpt/cli/checks.h"

#include <fmt/format.h>

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

void check_memory(const Memory& memory, std::int64_t bytes, const std::string& what,
                  const std::string& advice) {
  const auto there = static_cast<double>(memory.available()), needed = static_cast<double>(bytes);
  check(needed <= there, [&] {
    return fmt::format("{} needs {:.3g} GB of memory, and the device has {:.3g}: {}", what,
                       needed * 1e-9, there * 1e-9, advice);
  });
}

void check_belongs(const Tokenizer& tokenizer, const GptConfig& config, const std::string& model) {
  check(vocab_size(tokenizer) <= config.vocab_size, [&] {
    return fmt::format(
        "{}: the tokenizer has {} tokens and the model {}: they do not belong together", model,
        vocab_size(tokenizer), config.vocab_size);
  });
}

std::int64_t bf16_training_bytes(const GptConfig& config, const Ops<float>& ops,
                                 const Ops<Bfloat16>& bf16_ops, int B, int T) {
  const MemoryLedger master =
      memory_ledger(config, ops, Purpose::inference, 1, config.context_length);
  return memory_ledger(config, bf16_ops, Purpose::training, B, T).total + master.total -
         master.parameters;
}

CLI::Option* add_seed_option(CLI::App& command, std::uint64_t& seed, const std::string& help) {
  return command.add_option("--seed", seed, help)
      ->check(seed_problem, "", "seed")
      ->capture_default_str();
}

}  // namespace tinygpt::cli
