// How long a forward pass takes in C++, for speed_test.py: forward_speed FOLDER T PASSES prints the
// shortest one's microseconds, logits on the host included.
#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>

#include "tinygpt/cpu/table.h"
#include "tinygpt/model/folder.h"
#include "tinygpt/model/gpt.h"

using namespace tinygpt;

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  using Clock = std::chrono::steady_clock;
  const std::filesystem::path folder = argv[1];
  const int T = std::stoi(argv[2]), passes = std::stoi(argv[3]);
  omp_set_num_threads(1);
  const GptConfig config = read_model_config(folder);
  Gpt<float> model = make_gpt(config, cpu::ops(), host_memory(), Purpose::inference, 1, T);
  load_parameters(model, folder);
  std::vector<int> tokens(static_cast<std::size_t>(T));
  for (int t = 0; t < T; ++t) tokens[static_cast<std::size_t>(t)] = t % config.vocab_size;
  double shortest = INFINITY;
  for (int i = 0; i < passes; ++i) {
    const auto start = Clock::now();
    forward(model, tokens, {}, 1, T);
    std::vector<float> logits(tokens.size() * static_cast<std::size_t>(config.vocab_size));
    copy_logits(model, 0, std::span<float>(logits));
    const std::chrono::duration<double, std::micro> took = Clock::now() - start;
    shortest = std::min(shortest, took.count());
  }
  fmt::print("{:.1f}\n", shortest);
}
