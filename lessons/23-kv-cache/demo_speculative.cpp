#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string>

#include "lessons/23-kv-cache/lab.h"
#include "lessons/support/table.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/infer/speculative.h"
#include "tinygpt/text/token_file.h"
#include "tinygpt/text/tokenizer.h"
#include "tinygpt/train/trainer.h"

namespace tinygpt::lessons {
namespace {

constexpr int kTime = 96;

Gpt<float> train(const TokenFile& data, int layers, int width, int steps, const std::string& what) {
  GptConfig c;
  c.family = Family::llama;
  c.vocab_size = 256;
  c.context_length = 1024;
  c.layers = layers;
  c.heads = c.kv_heads = width / 32;
  c.width = width;
  c.hidden = 3 * width;
  c.init_std = 0.05f;
  Gpt<float> model = make_gpt(c, cpu::ops(), host_memory(), Purpose::training, 4, kTime);
  init_parameters(model, 1);
  TrainSettings s;
  s.batch = 4;
  s.time = kTime;
  s.steps = steps;
  s.warmup = 20;
  s.lr = 4e-3f;
  s.min_lr = 4e-4f;
  Trainer trainer = make_trainer(model, s);
  for (int step = 1; step <= steps; ++step) {
    train_step(trainer, data);
    show_progress(what, step, steps);
  }
  return model;
}

}  // namespace

void speculative(const std::vector<Option>& options) {
  const int steps = static_cast<int>(as_number(options, "steps"));
  const int tokens = static_cast<int>(as_number(options, "tokens"));
  const Tokenizer tokenizer = byte_tokenizer();
  std::filesystem::create_directories("lessons-out");
  const std::string path = "lessons-out/23-data.npy";
  write_token_file(path, encode(tokenizer, make_stories(400).train), 256);
  const TokenFile data(path, 256);
  Gpt<float> target = train(data, 6, 128, steps, "the large model");
  Gpt<float> draft = train(data, 1, 64, 2 * steps, "the small model");
  const auto millions = [](const Gpt<float>& m) {
    return static_cast<double>(parameter_ledger(m.config).total) * 1e-6;
  };
  fmt::print("the model has {:.2f}M parameters, the draft {:.2f}M\n\n", millions(target),
             millions(draft));
  Engine<float> engine = make_engine(weights_of(target), {.logit_rows = 9});
  Engine<float> draft_engine = make_engine(weights_of(draft), {});
  const std::vector<int> prompt = encode(tokenizer, "Once upon a time");
  std::vector<std::vector<std::string>> rows;
  double alone = 0;
  for (const int K : {0, 1, 2, 4, 8}) {
    const GenerateSettings how{.sampling = {.temperature = 1}, .max_tokens = tokens};
    Timing t;
    const int a = add_sequence(engine), b = add_sequence(draft_engine);
    if (K == 0) generate<float>(engine, a, prompt, how, {}, &t);
    else
      generate_speculative<float>(engine, a, draft_engine, b, prompt, how, {.draft_tokens = K}, {},
                                  &t);
    remove_sequence(engine, a);
    remove_sequence(draft_engine, b);
    const double rate = static_cast<double>(t.later_tokens) / t.decode;
    if (K == 0) alone = rate;
    const double passes = K == 0 ? tokens : static_cast<double>(t.drafted) / K;
    rows.push_back({K == 0 ? "none" : fmt::format("{}", K),
                    K == 0 ? "-"
                           : fmt::format("{:.0f}%", 100.0 * static_cast<double>(t.accepted) /
                                                        static_cast<double>(t.drafted)),
                    fmt::format("{:.2f}", tokens / passes), fmt::format("{:.0f}", rate),
                    fmt::format("{:.2f}", rate / alone)});
  }
  print_table({"drafted at a time", "accepted", "tokens a pass", "tokens/s", "times"}, rows);
}

}  // namespace tinygpt::lessons
