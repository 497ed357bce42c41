#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "lessons/19-lora/lab.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/model/folder.h"
#include "tinygpt/text/corpus.h"
#include "tinygpt/text/tinytales.h"

namespace tinygpt::lessons {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBase = "lessons-out/19-base";
constexpr const char* kAdapter = "lessons-out/19-adapter";
constexpr int kBaseSteps = 800;
constexpr int kBatch = 4;

std::unique_ptr<TokenFile> as_file(const std::string& name, const Tokenizer& tokenizer, int end,
                                   const std::vector<std::string>& stories) {
  std::vector<int> all;
  for (const std::string& story : stories) {
    const std::vector<int> tokens = encode(tokenizer, story);
    all.insert(all.end(), tokens.begin(), tokens.end());
    all.push_back(end);
  }
  fs::create_directories("lessons-out/19-data");
  const fs::path path = fs::path("lessons-out/19-data") / (name + ".npy");
  write_token_file(path, all, vocab_size(tokenizer));
  return std::make_unique<TokenFile>(path, vocab_size(tokenizer));
}

Style make_style(const Lab& lab, const TinytalesStyle& style, int stories) {
  const Grammar grammar = parse_grammar(style.grammar, style.file);
  const std::vector<std::string> held_out = draw_stories(grammar, 1, 1'000'000, 200);
  Style s;
  s.train = as_file(style.corpus, lab.tokenizer, lab.end, draw_stories(grammar, 1, 0, stories));
  s.validation = as_file(style.corpus + "-validation", lab.tokenizer, lab.end, held_out);
  s.floor = stories_nats(grammar, held_out) / static_cast<double>(s.validation->size());
  return s;
}

TrainSettings settings_of(int steps, float lr) {
  TrainSettings s;
  s.batch = kBatch;
  s.time = kTime;
  s.steps = steps;
  s.lr = lr;
  s.min_lr = lr / 50;
  s.warmup = steps / 10;
  s.weight_decay = 0;
  s.documents = true;
  return s;
}

}  // namespace

Lab make_lab() {
  constexpr int kVocabulary = 768;
  Lab lab;
  const TinytalesStyle tales = tinytales_style(""), letters = tinytales_style("letters");
  const Grammar grammar = parse_grammar(tales.grammar, tales.file);
  std::string text;
  for (const std::string& story : draw_stories(grammar, 1, 0, 2000)) text += story + "\n";
  const std::vector<std::string> special = {std::string(kEndOfText)};
  lab.tokenizer = train_bpe_tokenizer(text, kVocabulary, special);
  lab.end = find_special(lab.tokenizer, kEndOfText)->id;
  lab.tales = make_style(lab, tales, 8000);
  lab.letters = make_style(lab, letters, 2000);
  GptConfig& c = lab.config;
  c = named_config("demo");
  c.vocab_size = vocab_size(lab.tokenizer);
  c.context_length = kTime;
  c.heads = c.kv_heads = 4;
  c.width = 64;
  c.hidden = 256;
  c.bos_token = c.eos_token = lab.end;
  return lab;
}

Gpt<float> base_model(const Lab& lab, Purpose purpose) {
  if (!fs::exists(fs::path(kBase) / "model.safetensors")) {
    const TrainSettings s = settings_of(kBaseSteps, 6e-3f);
    Gpt<float> model =
        make_gpt(lab.config, cpu::ops(), host_memory(), Purpose::training, s.batch, s.time);
    init_parameters(model, 1);
    Trainer trainer = make_trainer(model, s);
    while (trainer.step < s.steps) {
      train_step(trainer, *lab.tales.train);
      show_progress("the base reads tinytales: step", trainer.step, s.steps);
    }
    save_model(model, kBase);
  }
  Gpt<float> model = make_gpt(lab.config, cpu::ops(), host_memory(), purpose, kBatch, kTime);
  load_parameters(model, kBase);
  return model;
}

TrainSettings tuning(float lr) { return settings_of(kSteps, lr); }

double loss_on(Trainer& trainer, const Style& style) {
  return validate(trainer, *style.validation, eval_starts(trainer, *style.validation, true));
}

Adapted::Adapted(const Lab& lab, int rank, Purpose purpose) : model(base_model(lab, purpose)) {
  LoraConfig lora;
  lora.rank = rank;
  lora.alpha = 2.0f * static_cast<float>(rank);
  adapter = make_adapter(lora_layout(lora, lab.config), model, kBatch * kTime);
  init_adapter(adapter, 1);
  model.adapter = &adapter;
}

void tune(Trainer& trainer, const Lab& lab, const std::string& what) {
  while (trainer.step < trainer.settings.steps) {
    train_step(trainer, *lab.letters.train);
    show_progress(what + ": step", trainer.step, trainer.settings.steps);
  }
}

void load_or_tune(Adapted& adapted, const Lab& lab) {
  LoraConfig lora;
  lora.rank = adapted.adapter.layout.rank;
  lora.alpha = 2.0f * static_cast<float>(lora.rank);
  if (!fs::exists(fs::path(kAdapter) / "adapter_model.safetensors")) {
    Adapted trained(lab, lora.rank);
    Trainer trainer = make_trainer(trained.model, tuning(kLoraRate));
    tune(trainer, lab, "an adapter reads letters");
    save_adapter(trained.adapter, lora, lab.config, kAdapter);
  }
  adapted.adapter = load_adapter(adapted.model, kAdapter, adapted.adapter.rows);
  adapted.model.adapter = &adapted.adapter;
}

}  // namespace tinygpt::lessons
