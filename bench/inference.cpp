// bench-inference: how fast a GGUF file reads a prompt and writes, for comparison with another
// program on the same file (bench/llama_cpp.py).
//
//   bench-inference write q8_0 FILE        a model of random weights, in the shape of 110M LLaMA
//   bench-inference run FILE [THREADS] [ROUNDS] [PROMPT] [TEXT]      one JSON object a line
#include <fmt/format.h>
#include <omp.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "bench/measure.h"
#include "tinygpt/core/error.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/infer/engine.h"
#include "tinygpt/model/gguf_model.h"
#include "tinygpt/model/gpt.h"
#include "tinygpt/text/tokenizer.h"

namespace {

using namespace tinygpt;

GgufType type_of(const std::string& name) {
  for (const GgufType type : {GgufType::f32, GgufType::f16, GgufType::q4_0, GgufType::q8_0}) {
    std::string lower = type_name(type);
    for (char& letter : lower) letter = static_cast<char>(std::tolower(letter));
    if (lower == name) return type;
  }
  throw Error("bench-inference: a type is f32, f16, q8_0 or q4_0");
}

void write(const std::string& type, const std::string& path) {
  Gpt<float> model =
      make_gpt(named_config("llama-110m"), cpu::ops(), host_memory(), Purpose::inference, 1, 1);
  init_parameters(model, 1);
  save_gguf(model, byte_tokenizer(), "random weights", type_of(type), path);
}

double now() {
  using Clock = std::chrono::steady_clock;
  return std::chrono::duration<double>(Clock::now().time_since_epoch()).count();
}

// Seconds to read a prompt, and to write a text from nothing, one token after another.
double read_prompt(Engine<float>& engine, int prompt) {
  std::vector<int> tokens;
  for (int i = 0; i < prompt; ++i) tokens.push_back(i * 7 % 256);
  const int sequence = add_sequence(engine);
  const SequenceInput input{sequence, tokens};
  const double start = now();
  run(engine, {&input, 1});
  logits_of(engine, 0);
  const double seconds = now() - start;
  remove_sequence(engine, sequence);
  return seconds;
}

double write_text(Engine<float>& engine, int text) {
  const int sequence = add_sequence(engine);
  const double start = now();
  for (int i = 0; i < text; ++i) {
    const int token = i * 7 % 256;
    const SequenceInput input{sequence, {&token, 1}};
    run(engine, {&input, 1});
    logits_of(engine, 0);
  }
  const double seconds = now() - start;
  remove_sequence(engine, sequence);
  return seconds;
}

void measure(const std::string& path, int threads, int rounds, int prompt, int text) {
  omp_set_num_threads(threads);
  const auto file = open_gguf_weights(path, cpu::ops(), host_memory());
  EngineSettings settings;
  settings.capacity = std::max(prompt, text);
  Engine<float> engine = make_engine(file->weights, settings);
  read_prompt(engine, prompt);  // memory is touched, threads are there
  write_text(engine, 4);
  for (int round = 0; round < rounds; ++round) {
    const double prefill = prompt / read_prompt(engine, prompt);
    const double decode = text / write_text(engine, text);
    fmt::print("{{\"prefill\": {:.2f}, \"decode\": {:.2f}}}\n", prefill, decode);
    std::fflush(stdout);
  }
  fmt::print("{{\"weight_bytes\": {}, \"bandwidth\": {:.3e}}}\n", file->weights.product_bytes,
             bench::measure_read_bandwidth(threads));
}

int number(const std::vector<std::string>& words, std::size_t i, int otherwise) {
  return i < words.size() ? std::stoi(words[i]) : otherwise;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    if (words.size() == 3 && words[0] == "write") write(words[1], words[2]);
    else if (words.size() >= 2 && words[0] == "run") {
      measure(words[1], number(words, 2, 2), number(words, 3, 5), number(words, 4, 256),
              number(words, 5, 64));
    } else {
      fmt::print(stderr,
                 "bench-inference write TYPE FILE, or bench-inference run FILE [THREADS] "
                 "[ROUNDS] [PROMPT] [TEXT]\n");
      return 2;
    }
  } catch (const std::exception& problem) {
    fmt::print(stderr, "bench-inference: {}\n", problem.what());
    return 1;
  }
}
