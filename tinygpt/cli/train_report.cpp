// What `tinygpt train` says: the plan, progress, samples, the result.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

#include "tinygpt/cli/train_session.h"
#include "tinygpt/core/sha256.h"
#include "tinygpt/infer/generate.h"
#include "tinygpt/model/adapter.h"
#include "tinygpt/text/tinytales.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt::cli {
namespace {

using nlohmann::json;

void print_json(const json& line) {
  fmt::print("{}\n", line.dump());
  std::fflush(stdout);
}

// Bytes of memory that the process has used at most.
double peak_memory() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
#ifdef __APPLE__
  return static_cast<double>(usage.ru_maxrss);
#else
  return static_cast<double>(usage.ru_maxrss) * 1024;
#endif
}

bool has_floor(const Session& s) {
  return s.corpus.info.validation.floor_nats_per_byte.has_value();
}

// Validation losses are shown per byte where there is a floor to stand beside.
double shown_loss(const Session& s) {
  const double loss = *s.trainer.validation_loss;
  return has_floor(s) ? s.corpus.per_byte(loss) : loss;
}

constexpr const char* kRow = "{:>6}  {:>7}  {:>10}  {:>6}  {:>7}  {:>8}  {:>4}  {:>7}  {:>7}";

std::string head_row() {
  return fmt::format(kRow, "step", "loss", "validation", "floor", "rate", "tokens/s", "peak",
                     "left", "memory");
}

// "2:05", "1:02:05"
std::string clock_time(double seconds) {
  const auto s = static_cast<long long>(std::min(seconds, 1e9) + 0.5);
  if (s < 3600) return fmt::format("{}:{:02}", s / 60, s % 60);
  return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

std::string progress_row(const Session& s, const StepResult& result) {
  const int steps = s.trainer.settings.steps;
  const double rate = tokens_per_second(s);
  const FlopLedger ledger = flop_ledger(s.model.config, s.trainer.settings.time);
  // Frozen weights have no gradient: of the backward pass's two products one is left.
  const double flops = (s.model.adapter != nullptr ? 2 * ledger.forward : ledger.step) * rate;
  const double left =
      seconds_since(s.start) / (s.trainer.step - s.first_step) * (steps - s.trainer.step);
  const auto number = [](bool known, double value) {
    return known ? fmt::format("{:.4f}", value) : std::string("-");
  };
  const bool validated = s.trainer.validation_loss.has_value();
  return fmt::format(kRow, s.trainer.step, fmt::format("{:.4f}", result.loss),
                     number(validated, validated ? shown_loss(s) : 0),
                     number(has_floor(s), s.corpus.info.validation.floor_nats_per_byte.value_or(0)),
                     fmt::format("{:.1e}", result.lr), short_number(rate),
                     s.peak_flops > 0 ? fmt::format("{:.0f}%", 100 * flops / s.peak_flops) : "-",
                     clock_time(left), fmt::format("{:.0f} MB", peak_memory() * 1e-6));
}

std::string write_text(Session& s, std::uint64_t seed, int max_tokens) {
  const int end = s.corpus.end_token();
  const std::vector<int> prompt =
      end >= 0 ? std::vector<int>{end} : std::vector<int>{s.corpus.validation[0]};
  GenerateSettings settings;
  settings.seed = seed;
  settings.max_tokens = max_tokens;
  settings.stop_token = end;
  const std::vector<int> tokens = generate(s.model, prompt, settings);
  return replace_invalid_utf8(decode(s.corpus.tokenizer, tokens));
}

// Nothing where the corpus was not drawn from the grammar that is compiled in.
std::optional<StoryReview> review(Session& s) {
  constexpr int kStories = 24;
  const CorpusInfo& info = s.corpus.info;
  const std::vector<TinytalesStyle> styles = tinytales_styles();
  const auto style = std::find_if(styles.begin(), styles.end(), [&](const TinytalesStyle& known) {
    return known.corpus == info.name && sha256(known.grammar) == info.text_sha256;
  });
  if (style == styles.end()) return {};
  const Grammar grammar = parse_grammar(style->grammar, style->file);
  std::vector<std::string> stories;
  for (int i = 0; i < kStories && !was_interrupted(); ++i) {
    if (!s.options.json) s.status.show(fmt::format("reading story {} of {}", i + 1, kStories));
    stories.push_back(write_text(s, 100 + static_cast<std::uint64_t>(i), 400));
  }
  const std::vector<std::string> read = draw_stories(grammar, info.seed, 0, info.train.documents);
  s.status.clear();
  return review_stories(grammar, stories, {read.begin(), read.end()});
}

json result_json(const Session& s, const std::optional<StoryReview>& stories) {
  const double loss = *s.trainer.validation_loss;
  json line = {{"event", "done"},
               {"steps", s.trainer.step},
               {"validation_loss", loss},
               {"validation_nats_per_byte", s.corpus.per_byte(loss)},
               {"elapsed_s", s.trainer.elapsed},
               {s.model.adapter != nullptr ? "adapter" : "model", s.options.out}};
  if (has_floor(s)) line["floor_nats_per_byte"] = *s.corpus.info.validation.floor_nats_per_byte;
  if (stories) {
    line["stories"] = stories->stories;
    line["stories_well_formed"] = stories->well_formed;
    line["stories_well_formed_and_new"] = stories->novel;
  }
  return line;
}

}  // namespace

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double tokens_per_second(const Session& s) {
  const TrainSettings& t = s.trainer.settings;
  const double tokens = static_cast<double>(t.batch) * t.time * t.accumulate;
  return s.step_seconds > 0 ? tokens / s.step_seconds : 0;
}

void print_plan(const Session& s) {
  if (s.options.json) return;
  const GptConfig& c = s.model.config;
  const TrainSettings& t = s.trainer.settings;
  const std::string passes = t.accumulate > 1 ? fmt::format(" in {} passes", t.accumulate) : "";
  fmt::print("{:<10}{}: {} tokens to train on, {} to validate\n", "corpus", s.corpus.info.name,
             short_number(static_cast<double>(s.corpus.train.size())),
             short_number(static_cast<double>(s.corpus.validation.size())));
  fmt::print("{:<10}{}: {} layers, {} heads, width {}, vocabulary {}: {} parameters\n", "model",
             c.family == Family::gpt2 ? "gpt2" : "llama", c.layers, c.heads, c.width, c.vocab_size,
             short_number(static_cast<double>(parameter_ledger(c).total)));
  if (!s.adapter_plan.empty()) fmt::print("{:<10}{}\n", "adapter", s.adapter_plan);
  fmt::print("{:<10}{} steps of {} x {} tokens{}\n", "training", t.steps, t.batch * t.accumulate,
             t.time, passes);
  const KernelChoice& k = s.options.kernels;
  if (k.device == "cpu") {
    const bool bf16 = t.matmul_precision == "bf16";
    fmt::print("{:<10}{} threads, {} kernels{}; peak{}: {:.0f} GFLOP/s\n", "machine", k.threads,
               k.kernels, bf16 ? ", products of bf16" : "", bf16 ? " in float" : "",
               s.peak_flops * 1e-9);
  } else {
    fmt::print("{:<10}{} kernels in {} on {}\n", "machine", k.kernels, t.dtype,
               k.device == "cuda" ? "the GPU" : "an emulated GPU: for looking, not for speed");
  }
  if (s.first_step > 0) fmt::print("{:<10}after step {}\n", "resumed", s.first_step);
  fmt::print("{:<10}loss in nats per token; {}\n\n{}\n", "units",
             has_floor(s) ? "validation and its floor in nats per byte" : "validation too",
             bold(head_row()));
  std::fflush(stdout);
}

json describe(const Session& s) {
  const GptConfig& c = s.model.config;
  json line = {
      {"event", "start"},
      {"corpus", s.corpus.info.name},
      {"corpus_tokens", s.corpus.train.size()},
      {"device", s.options.kernels.device},
      {"kernels", s.options.kernels.kernels},
      {"threads", s.options.kernels.threads},
      {"peak_gflops", std::round(s.peak_flops * 1e-9)},
      {"parameters", parameter_ledger(c).total},
      {"trained_parameters", s.model.adapter != nullptr ? s.model.adapter->layout.parameters()
                                                        : parameter_ledger(c).total},
      {"model",
       {{"family", c.family == Family::gpt2 ? "gpt2" : "llama"},
        {"vocab_size", c.vocab_size},
        {"context", c.context_length},
        {"layers", c.layers},
        {"heads", c.heads},
        {"kv_heads", c.kv_heads},
        {"width", c.width},
        {"hidden", c.hidden},
        {"tied", c.tied_head},
        {"dropout", c.dropout}}},
      {"settings", settings_to_json(s.trainer.settings)}};
  if (has_floor(s)) line["floor_nats_per_byte"] = *s.corpus.info.validation.floor_nats_per_byte;
  return line;
}

json describe_step(const Session& s, const StepResult& result, bool validated) {
  json line = {{"step", s.trainer.step},
               {"loss", result.loss},
               {"lr", result.lr},
               {"grad_norm", result.grad_norm},
               {"tokens_per_second", std::round(tokens_per_second(s))},
               {"elapsed_s", std::round(s.trainer.elapsed * 100) / 100}};
  if (validated) {
    line["validation_loss"] = *s.trainer.validation_loss;
    line["validation_nats_per_byte"] = s.corpus.per_byte(*s.trainer.validation_loss);
  }
  return line;
}

void show_progress(Session& s, const StepResult& result, bool keep) {
  if (s.options.json) return;
  if (keep || (!output_is_terminal() && seconds_since(s.last_kept) >= 30)) {
    s.last_kept = Clock::now();
    s.status.keep(progress_row(s, result));
  } else {
    s.status.show(progress_row(s, result));
  }
}

void show_sample(Session& s) {
  const std::string text = write_text(s, 7, 200);
  if (s.options.json) {
    print_json({{"event", "sample"}, {"step", s.trainer.step}, {"text", text}});
    return;
  }
  const auto width = static_cast<std::size_t>(std::min(terminal_width(), 80));
  const bool last = s.trainer.step == s.trainer.settings.steps;
  s.status.keep(fmt::format("\n{}\n{}",
                            bold(fmt::format("After step {}, it writes:", s.trainer.step)),
                            wrapped(replace_controls(text), width, "  ")));
  if (!last) s.status.keep(bold(head_row()));
}

void print_result(Session& s) {
  const std::optional<StoryReview> stories = review(s);
  if (s.options.json) {
    print_json(result_json(s, stories));
    return;
  }
  const TrainSettings& t = s.trainer.settings;
  const double tokens = static_cast<double>(t.steps) * t.batch * t.accumulate * t.time;
  fmt::print("\n{}\n", bold(fmt::format("Trained: {} steps, {} tokens, {}.", t.steps,
                                        short_number(tokens), duration(s.trainer.elapsed))));
  const auto row = [](const char* what, const std::string& value) {
    fmt::print("  {:<42}{:>8}\n", what, value);
  };
  row("validation loss, nats per token", fmt::format("{:.4f}", *s.trainer.validation_loss));
  const double per_byte = s.corpus.per_byte(*s.trainer.validation_loss);
  row("validation loss, nats per byte", fmt::format("{:.4f}", per_byte));
  if (has_floor(s)) {
    const double floor = *s.corpus.info.validation.floor_nats_per_byte;
    row("floor: the best that any model can reach", fmt::format("{:.4f}", floor));
    row("above the floor", fmt::format("{:.1f}%", 100 * (per_byte / floor - 1)));
  }
  if (stories) {
    row(fmt::format("stories written, at temperature {}", SamplingSettings{}.temperature).c_str(),
        fmt::format("{}", stories->stories));
    row("  well-formed to the last fact", fmt::format("{}", stories->well_formed));
    row("  of these, not in the training text", fmt::format("{}", stories->novel));
  }
  fmt::print("The {} is in {}\n", s.model.adapter != nullptr ? "adapter" : "model", s.options.out);
}

}  // namespace tinygpt::cli
