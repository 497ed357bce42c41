// One trained model in three formats, and the speed of a larger one.
#include <fmt/format.h>
#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "lessons/24-quantized-inference/experiments.h"
#include "lessons/support/table.h"
#include "solutions/13-training-loop/batch.h"
#include "solutions/13-training-loop/schedule.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/infer/engine.h"
#include "tinygpt/model/gguf_model.h"
#include "tinygpt/model/gpt.h"

namespace tinygpt::lessons {
namespace {

constexpr int kBatch = 8, kTime = 64;
constexpr GgufType kTypes[] = {GgufType::f32, GgufType::q8_0, GgufType::q4_0};

GptConfig small_model() {
  GptConfig c;
  c.family = Family::llama;
  c.context_length = 2 * kTime;
  c.layers = 2;
  c.heads = c.kv_heads = 4;
  c.width = 128;
  c.hidden = 384;
  c.init_std = 0.06f;
  return c;
}

std::vector<int> bytes_of_text(const std::string& text) {
  std::vector<int> tokens;
  for (const char byte : text) tokens.push_back(static_cast<unsigned char>(byte));
  return tokens;
}

Gpt<float> train_model(const std::vector<int>& text, int steps) {
  Gpt<float> model =
      make_gpt(small_model(), cpu::ops(), host_memory(), Purpose::training, kBatch, kTime);
  init_parameters(model, 1);
  const auto n = static_cast<std::size_t>(model.layout.total);
  std::vector<float> m(n), v(n);
  std::vector<int> tokens(kBatch * kTime), targets(tokens.size());
  Random random{1};
  for (int step = 0; step < steps; ++step) {
    ref::next_batch(tokens, targets, text, kBatch, kTime, random);
    forward(model, tokens, targets, kBatch, kTime);
    zero_gradients(model);
    backward(model);
    AdamwSettings s;
    s.lr = ref::learning_rate_at(step, {5e-3f, 1e-5f, 20, steps});
    s.beta2 = 0.99f;
    s.weight_decay = 0;
    s.step = step + 1;
    model.ops.adamw_step(model.params(), nullptr, m.data(), v.data(), model.grads(),
                         model.layout.total, s);
    show_progress("training", step + 1, steps);
  }
  return model;
}

// A file that is gone when this is.
struct TemporaryFile {
  std::filesystem::path path;
  explicit TemporaryFile(const std::string& name)
      : path(std::filesystem::temp_directory_path() /
             fmt::format("tinygpt-lesson-24-{}-{}", getpid(), name)) {}
  ~TemporaryFile() { std::filesystem::remove(path); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
};

double log_sum_exp(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(x - largest);
  return largest + std::log(sum);
}

// exp of the mean loss over windows of a text, and which token is the likeliest at each place.
double perplexity(Engine<float>& engine, const std::vector<int>& text,
                  std::vector<int>& likeliest) {
  constexpr std::size_t kWindows = 64;
  double loss = 0;
  likeliest.clear();
  for (std::size_t w = 0; w < kWindows; ++w) {
    const int* tokens = text.data() + w * kTime;
    const int sequence = add_sequence(engine);
    const SequenceInput input{sequence, {tokens, kTime}, WantLogits::all};
    run(engine, {&input, 1});
    for (int t = 0; t < kTime; ++t) {
      const std::span<const float> logits = logits_of(engine, t);
      loss += log_sum_exp(logits) - logits[static_cast<std::size_t>(tokens[t + 1])];
      likeliest.push_back(
          static_cast<int>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
    }
    remove_sequence(engine, sequence);
  }
  return std::exp(loss / (kWindows * kTime));
}

// Tokens a second, the best of a few texts.
double decode_speed(Engine<float>& engine, int tokens) {
  double best = 0;
  for (int round = 0; round < 5; ++round) {
    const int sequence = add_sequence(engine);
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < tokens; ++i) {
      const int token = i % 97;
      const SequenceInput input{sequence, {&token, 1}};
      run(engine, {&input, 1});
    }
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, tokens / seconds.count());
    remove_sequence(engine, sequence);
  }
  return best;
}

}  // namespace

void compare_formats(const std::vector<Option>& options) {
  const Stories stories = make_stories(1500);
  const std::vector<int> train = bytes_of_text(stories.train);
  const std::vector<int> held_out = bytes_of_text(stories.validation);
  const Gpt<float> model = train_model(train, static_cast<int>(as_number(options, "steps")));
  std::vector<std::vector<std::string>> rows;
  std::vector<int> of_floats, likeliest;
  double first = 0;
  for (const GgufType type : kTypes) {
    const TemporaryFile file(std::string(type_name(type)) + ".gguf");
    save_gguf(model, byte_tokenizer(), "tinytales", type, file.path);
    const auto opened = open_gguf_weights(file.path, cpu::ops(), host_memory());
    EngineSettings settings;
    settings.logit_rows = kTime;
    Engine<float> engine = make_engine(opened->weights, settings);
    const double value = perplexity(engine, held_out, likeliest);
    if (rows.empty()) first = value, of_floats = likeliest;
    std::size_t same = 0;
    for (std::size_t i = 0; i < likeliest.size(); ++i) same += likeliest[i] == of_floats[i];
    rows.push_back({type_name(type), fmt::format("{}", std::filesystem::file_size(file.path)),
                    fmt::format("{:.4f}", value),
                    fmt::format("{:+.2f} %", 100 * (value / first - 1)),
                    fmt::format("{:.1f} %", 100.0 * static_cast<double>(same) /
                                                static_cast<double>(likeliest.size())),
                    fmt::format("{:.0f}", decode_speed(engine, kTime))});
  }
  print_table({"weights", "bytes", "perplexity", "change", "same first choice", "tokens/s"}, rows);
  fmt::print("perplexity per character of held-out text\n");
}

void compare_speeds(const std::vector<Option>& options) {
  const std::string name = as_text(options, "model");
  const int tokens = static_cast<int>(as_number(options, "tokens"));
  const int threads = static_cast<int>(as_number(options, "threads"));
  omp_set_num_threads(threads);
  const GptConfig config = named_config(name);
  Gpt<float> model = make_gpt(config, cpu::ops(), host_memory(), Purpose::inference, 1, 1);
  init_parameters(model, 1);
  std::vector<std::vector<std::string>> rows;
  for (const GgufType type : kTypes) {
    const TemporaryFile file(std::string(type_name(type)) + ".gguf");
    save_gguf(model, byte_tokenizer(), name, type, file.path);
    const auto opened = open_gguf_weights(file.path, cpu::ops(), host_memory());
    EngineSettings settings;
    settings.capacity = tokens;
    Engine<float> engine = make_engine(opened->weights, settings);
    const double bytes = static_cast<double>(std::filesystem::file_size(file.path));
    const double speed = decode_speed(engine, tokens);
    rows.push_back({type_name(type), fmt::format("{:.0f}", bytes * 1e-6),
                    fmt::format("{:.0f}", speed), fmt::format("{:.1f}", speed * bytes * 1e-9)});
  }
  print_table({"weights", "MB", "tokens/s", "GB/s of weights"}, rows);
  fmt::print("{}, random weights, {} thread{}; the best of five texts of {} tokens\n", name,
             threads, threads == 1 ? "" : "s", tokens);
}

}  // namespace tinygpt::lessons
