#include <fmt/format.h>

#include <algorithm>

#include "bench/kernels.h"
#include "tinygpt/text/tokenizer.h"

namespace tinygpt::bench {

namespace {

Tokenizer train_timed(Report& report, const std::string& text) {
  const double megabytes = static_cast<double>(text.size()) * 1e-6;
  constexpr int kVocabulary = 4096;
  Tokenizer tokenizer;
  // Once: it takes seconds, and nothing in it depends on chance.
  const Timing training = time_in_turn(
      {{"tinygpt", [&] { tokenizer = train_bpe_tokenizer(text, kVocabulary); }}}, 1, 0)[0];
  report.rows.push_back({"tokenizer",
                         fmt::format("train bpe to {} on {:.1f} MB", kVocabulary, megabytes),
                         "MB/s",
                         0,
                         {speed("tinygpt", training, megabytes)}});
  return tokenizer;
}

}  // namespace

void bench_tokenizer(Report& report, const Settings& settings, const std::string& text,
                     const Tokenizer* given) {
  const double megabytes = static_cast<double>(text.size()) * 1e-6;
  const Tokenizer tokenizer = given != nullptr ? *given : train_timed(report, text);
  std::vector<int> ids;
  const auto encode_on = [&](int threads) {
    const EncodeOptions options{.allow_special = false, .threads = threads};
    const Timing encoding =
        time_in_turn({{"tinygpt", [&] { ids = encode(tokenizer, text, options); }}},
                     settings.rounds, settings.min_seconds)[0];
    report.rows.push_back(
        {"tokenizer",
         fmt::format("encode {:.1f} MB, {}", megabytes,
                     threads == 1 ? "one thread" : fmt::format("{} threads", threads)),
         "MB/s",
         0,
         {speed("tinygpt", encoding, megabytes)}});
  };
  encode_on(1);
  if (settings.threads > 1) encode_on(settings.threads);
  const Timing decoding = time_in_turn({{"tinygpt", [&] { decode(tokenizer, ids); }}},
                                       settings.rounds, settings.min_seconds)[0];
  report.rows.push_back({"tokenizer",
                         fmt::format("decode {} tokens", ids.size()),
                         "MB/s",
                         0,
                         {speed("tinygpt", decoding, megabytes)}});
}

}  // namespace tinygpt::bench
