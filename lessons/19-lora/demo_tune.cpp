// Rank against loss and bytes; how an adapter must start; what stays as it was; and merging.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "lessons/19-lora/lab.h"
#include "lessons/support/chart.h"
#include "lessons/support/table.h"
#include "tinygpt/core/sha256.h"
#include "tinygpt/infer/generate.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt::lessons {
namespace {

// "59,136"
std::string with_commas(std::int64_t n) {
  std::string digits = fmt::format("{}", n);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<std::size_t>(at), 1, ',');
  }
  return digits;
}

std::string kilobytes(std::int64_t bytes) {
  return fmt::format("{:.1f}", static_cast<double>(bytes) / 1000);
}

// The first nine digits of the digest: enough to see that one is another.
std::string digest_of(const Gpt<float>& model) {
  const auto* bytes = reinterpret_cast<const char*>(model.params());
  const std::string hex =
      sha256({bytes, static_cast<std::size_t>(model.layout.total) * sizeof(float)});
  return fmt::format("{:09}", std::stoull(hex.substr(0, 15), nullptr, 16) % 1'000'000'000);
}

std::string text_by(Gpt<float>& model, const Lab& lab) {
  const std::vector<int> prompt = {lab.end};
  GenerateSettings settings;
  settings.sampling.temperature = 0;
  settings.max_tokens = 60;
  settings.stop_token = lab.end;
  return replace_invalid_utf8(decode(lab.tokenizer, generate(model, prompt, settings)));
}

struct Tuned {
  std::string name;
  std::int64_t parameters = 0;
  double loss = 0;
};

Tuned tune_rank(const Lab& lab, int rank) {
  Adapted adapted(lab, rank);
  Trainer trainer = make_trainer(adapted.model, tuning(kLoraRate));
  tune(trainer, lab, fmt::format("rank {}", rank));
  return {fmt::format("rank {}", rank), adapted.adapter.layout.parameters(),
          loss_on(trainer, lab.letters)};
}

Tuned tune_all(const Lab& lab) {
  Gpt<float> model = base_model(lab, Purpose::training);
  Trainer trainer = make_trainer(model, tuning(kFullRate));
  tune(trainer, lab, "all weights");
  return {"all weights", parameter_ledger(lab.config).total, loss_on(trainer, lab.letters)};
}

double untuned_loss(const Lab& lab, const Style& style) {
  Gpt<float> model = base_model(lab, Purpose::training);
  Trainer trainer = make_trainer(model, tuning(kFullRate));
  return loss_on(trainer, style);
}

// How an adapter may start: each half random or zero.
void set_start(Adapter<float>& adapter, bool a_random, bool b_random) {
  for (const AdapterPart& p : adapter.layout.parts) {
    Random random{7, 0, static_cast<std::uint64_t>(p.weight)};
    const auto fill = [&](float* to, std::int64_t n, bool is_random) {
      const double bound = 1 / std::sqrt(static_cast<double>(p.in));
      for (std::int64_t i = 0; i < n; ++i) {
        to[i] = is_random ? static_cast<float>(bound * (2 * random.uniform() - 1)) : 0.0f;
      }
    };
    const std::int64_t rank = adapter.layout.rank;
    fill(adapter.params() + p.a, rank * p.in, a_random);
    fill(adapter.params() + p.b, rank * p.out, b_random);
  }
}

}  // namespace

void compare_ranks(const std::vector<Option>&) {
  const Lab lab = make_lab();
  const std::int64_t all = parameter_ledger(lab.config).total;
  const double before = untuned_loss(lab, lab.letters);
  std::vector<Tuned> tuned;
  for (const int rank : {1, 2, 4, 8, 16}) tuned.push_back(tune_rank(lab, rank));
  const Tuned full = tune_all(lab);
  fmt::print("{} steps on letters; floor {:.3f} nats per token\n\n", kSteps, lab.letters.floor);
  std::vector<std::vector<std::string>> rows = {
      {"the base, as it is", "0", "-", "-", fmt::format("{:.3f}", before), "-"}};
  Series series{"LoRA", {}};
  tuned.push_back(full);
  for (const Tuned& t : tuned) {
    rows.push_back({t.name, with_commas(t.parameters),
                    fmt::format("{:.1f}", 100.0 * static_cast<double>(t.parameters) /
                                              static_cast<double>(all)),
                    kilobytes(4 * t.parameters), fmt::format("{:.3f}", t.loss),
                    fmt::format("{:.1f}", 100 * (before - t.loss) / (before - full.loss))});
    if (t.name != full.name)
      series.points.emplace_back(4e-3 * static_cast<double>(t.parameters), t.loss);
  }
  print_table({"what learns", "parameters", "% of all", "kB in a file", "loss", "% of the gap"},
              rows);
  write_line_chart("lessons-out/19-rank.svg", "Loss on letters against the adapter's size",
                   {series},
                   {.x = "kB of the adapter's file: rank 1, 2, 4, 8, 16",
                    .y = "nats per token",
                    .log_x = true,
                    .reference = full.loss,
                    .reference_label = "all weights"});
}

void compare_starts(const std::vector<Option>&) {
  const Lab lab = make_lab();
  struct Start {
    const char* name;
    bool a, b;
  };
  std::vector<std::vector<std::string>> rows;
  for (const Start& start : {Start{"A random, B zero", true, false},
                             {"A zero, B random", false, true},
                             {"both random", true, true},
                             {"both zero", false, false}}) {
    Adapted adapted(lab, 8);
    set_start(adapted.adapter, start.a, start.b);
    TrainSettings s = tuning(kLoraRate);
    s.steps = 60;
    s.warmup = 6;
    Trainer trainer = make_trainer(adapted.model, s);
    const double tales = loss_on(trainer, lab.tales), before = loss_on(trainer, lab.letters);
    tune(trainer, lab, start.name);
    rows.push_back({start.name, fmt::format("{:.3f}", tales), fmt::format("{:.3f}", before),
                    fmt::format("{:.3f}", loss_on(trainer, lab.letters))});
  }
  fmt::print("rank 8, 60 steps on letters; nats per token\n\n");
  print_table({"start", "on tinytales, before", "on letters, before", "after"}, rows);
}

void prove_frozen(const std::vector<Option>&) {
  const Lab lab = make_lab();
  Adapted adapted(lab, 8);
  const std::string before = digest_of(adapted.model);
  Trainer trainer = make_trainer(adapted.model, tuning(kLoraRate));
  tune(trainer, lab, "rank 8");
  const std::string after = digest_of(adapted.model);
  Gpt<float> whole = base_model(lab, Purpose::training);
  Trainer full = make_trainer(whole, tuning(kFullRate));
  tune(full, lab, "all weights");
  std::int64_t changed = 0;
  for (const Parameter& p : whole.layout.parameters) {
    for (std::int64_t i = p.offset; i < p.offset + p.size(); ++i) {
      changed += whole.params()[i] != adapted.model.params()[i];
    }
  }
  fmt::print("the base's weights\n\n");
  print_table({"", "SHA-256 modulo 10^9", ""},
              {{"before", before, ""},
               {fmt::format("after {} steps of LoRA", kSteps), after,
                after == before ? "the same to the bit" : "CHANGED"},
               {fmt::format("after {} steps of all weights", kSteps), digest_of(whole),
                fmt::format("{} of {} changed", with_commas(changed),
                            with_commas(parameter_ledger(lab.config).total))}});
  const AdapterLedger a = adapter_ledger(adapted.adapter.layout, lab.config, whole.ops,
                                         Purpose::adapting, adapted.adapter.rows);
  const MemoryLedger w = memory_ledger(lab.config, whole.ops, Purpose::training, 4, kTime);
  const MemoryLedger f = memory_ledger(lab.config, whole.ops, Purpose::adapting, 4, kTime);
  const auto row = [](const char* name, std::int64_t all, std::int64_t lora) {
    return std::vector<std::string>{name, kilobytes(all), kilobytes(lora)};
  };
  fmt::print("\nmemory of a training, kB\n\n");
  print_table({"", "all weights", "LoRA, rank 8"},
              {row("weights", w.parameters, f.parameters), row("adapter", 0, a.parameters),
               row("gradients", w.gradients, f.gradients + a.gradients),
               row("AdamW's moments", w.optimizer, f.optimizer + a.optimizer)});
}

void merge_and_unmerge(const std::vector<Option>&) {
  const Lab lab = make_lab();
  Adapted adapted(lab, 8);
  load_or_tune(adapted, lab);
  Gpt<float>& model = adapted.model;
  Trainer trainer = make_trainer(model, tuning(kLoraRate));
  std::vector<std::vector<std::string>> rows;
  const auto logits = [&] {
    std::vector<int> tokens(kTime);
    for (int t = 0; t < kTime; ++t)
      tokens[static_cast<std::size_t>(t)] = (*lab.letters.validation)[t];
    forward(model, tokens, {}, 1, kTime);
    std::vector<float> values(static_cast<std::size_t>(kTime) *
                              static_cast<std::size_t>(lab.config.vocab_size));
    copy_logits(model, 0, values);
    return values;
  };
  const std::vector<float> expected = logits();
  const auto measure = [&](const std::string& name) {
    const std::vector<float> now = logits();
    float most = 0;
    for (std::size_t i = 0; i < now.size(); ++i)
      most = std::max(most, std::fabs(now[i] - expected[i]));
    rows.push_back({name, fmt::format("{:.3f}", loss_on(trainer, lab.tales)),
                    fmt::format("{:.3f}", loss_on(trainer, lab.letters)),
                    fmt::format("{:.0e}", most)});
  };
  // A model for adapting cannot run without an adapter, so an empty one stands in for none.
  Adapter<float> empty = make_adapter(adapted.adapter.layout, model, adapted.adapter.rows);
  const auto use_none = [&] { model.adapter = &empty; };
  use_none();
  measure("the base alone");
  model.adapter = &adapted.adapter;
  measure("with the adapter");
  merge_adapter(model);
  use_none();
  measure("merged");
  model.adapter = &adapted.adapter;
  merge_adapter(model);
  use_none();
  measure("merged twice");
  for (int i = 0; i < 2; ++i) {
    model.adapter = nullptr;
    unmerge_adapter(model, adapted.adapter);
  }
  use_none();
  measure("taken out twice");
  fmt::print("rank 8; loss in nats per token, and the largest difference of a logit\n\n");
  print_table({"", "on tinytales", "on letters", "from the adapter's"}, rows);
}

void write_texts(const std::vector<Option>&) {
  const Lab lab = make_lab();
  Adapted adapted(lab, 8, Purpose::inference);
  load_or_tune(adapted, lab);
  fmt::print("with the adapter\n  {}\n", text_by(adapted.model, lab));
  adapted.model.adapter = nullptr;
  fmt::print("without\n  {}\n", text_by(adapted.model, lab));
}

}  // namespace tinygpt::lessons
