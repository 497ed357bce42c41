#include "tinygpt/train/settings.h"

#include <fmt/format.h>

#include <cstdint>
#include <nlohmann/json.hpp>

#include "tinygpt/core/error.h"
#include "tinygpt/io/json.h"

namespace tinygpt {
namespace {

// NaN is in no range.
void check_range(const char* option, double value, double low, double high) {
  check(value >= low && value <= high, [&] {
    return fmt::format("{} is {}: it must be between {} and {}", option, value, low, high);
  });
}

// Calls visit(name, field) for every setting.
template <class Settings, class Visit>
void for_each_setting(Settings& s, Visit&& visit) {
  visit("batch", s.batch);
  visit("time", s.time);
  visit("accumulate", s.accumulate);
  visit("steps", s.steps);
  visit("lr", s.lr);
  visit("min_lr", s.min_lr);
  visit("warmup", s.warmup);
  visit("beta1", s.beta1);
  visit("beta2", s.beta2);
  visit("weight_decay", s.weight_decay);
  visit("clip", s.clip);
  visit("seed", s.seed);
  visit("documents", s.documents);
  visit("eval_every", s.eval_every);
  visit("eval_tokens", s.eval_tokens);
  visit("last_eval_tokens", s.last_eval_tokens);
  visit("eval_context", s.eval_context);
}

void check_matmul_precision(const TrainSettings& s) {
  check(s.matmul_precision == "float" || s.matmul_precision == "bf16", [&] {
    return fmt::format("--matmul-precision: there is no '{}'; there are: float, bf16",
                       s.matmul_precision);
  });
  check(s.matmul_precision == "float" || s.dtype == "float",
        "--matmul-precision bf16 is for --dtype float: --dtype bf16 rounds more than that");
}

}  // namespace

void check_settings(const TrainSettings& s, const GptConfig& config) {
  check_range("--batch", s.batch, 1, 1 << 20);
  check_range("--accumulate", s.accumulate, 1, 1 << 20);
  check_range("--steps", s.steps, 1, 1e9);
  check_range("--lr", s.lr, 0, 100);
  check_range("--min-lr", s.min_lr, 0, s.lr);
  check_range("--warmup", s.warmup, 0, s.steps);
  check_range("--beta1", s.beta1, 0, 0.99999);
  check_range("--beta2", s.beta2, 0, 0.9999999);
  check_range("--weight-decay", s.weight_decay, 0, 1);
  check_range("--clip", s.clip, 0, 1e9);
  check_range("--time", s.time, 1, config.context_length);
  check_range("--eval-every", s.eval_every, 1, 1e9);
  check_range("--eval-tokens", static_cast<double>(s.eval_tokens), 1, 1e12);
  check_range("--last-eval-tokens", static_cast<double>(s.last_eval_tokens), 1, 1e12);
  check_range("--eval-context", s.eval_context, 0, s.time - 1);
  check(s.dtype == "float" || s.dtype == "bf16",
        [&] { return fmt::format("--dtype: there is no '{}'; there are: float, bf16", s.dtype); });
  check_matmul_precision(s);
  check(!s.documents || config.eos_token >= 0,
        "--documents: this corpus is one text without ends of documents");
  check(std::int64_t{s.batch} * s.time < (std::int64_t{1} << 31), [&] {
    return fmt::format("--batch {} times {} tokens is too much for one pass: use --accumulate",
                       s.batch, s.time);
  });
}

nlohmann::json settings_to_json(const TrainSettings& settings) {
  nlohmann::json value;
  for_each_setting(settings, [&](const char* name, const auto& field) { value[name] = field; });
  value["dtype"] = settings.dtype;
  value["matmul_precision"] = settings.matmul_precision;
  return value;
}

TrainSettings settings_from_json(const nlohmann::json& value) {
  TrainSettings settings;
  for_each_setting(settings,
                   [&](const char* name, auto& field) { read_field(value, name, field); });
  // Older ones do not say.
  if (value.contains("dtype")) read_field(value, "dtype", settings.dtype);
  if (value.contains("matmul_precision")) {
    read_field(value, "matmul_precision", settings.matmul_precision);
  }
  return settings;
}

}  // namespace tinygpt
