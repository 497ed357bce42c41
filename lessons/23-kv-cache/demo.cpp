// The experiments of lesson 23.
#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "lessons/23-kv-cache/lab.h"
#include "lessons/support/chart.h"
#include "lessons/support/demo.h"
#include "lessons/support/table.h"
#include "solutions/23-kv-cache/kv_cache.h"
#include "solutions/23-kv-cache/speculative.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/infer/generate.h"

using namespace tinygpt;
using namespace tinygpt::lessons;

namespace {

// snippet: worked
// One sequence, one head of two numbers, room for five tokens. Three are there.
const std::vector<std::vector<float>> kKeys = {{1, 0}, {0, 1}, {1, 1}};
const std::vector<std::vector<float>> kValues = {{1, 2}, {3, 0}, {0, 4}};
const std::vector<float> kNewToken = {2, 1, /* key */ 0, 2, /* value */ 5, 1};
// end of snippet

void worked(const std::vector<Option>&) {
  std::vector<float> k(10), v(10);
  for (std::size_t p = 0; p < kKeys.size(); ++p) {
    std::copy(kKeys[p].begin(), kKeys[p].end(), k.begin() + static_cast<std::ptrdiff_t>(2 * p));
    std::copy(kValues[p].begin(), kValues[p].end(), v.begin() + static_cast<std::ptrdiff_t>(2 * p));
  }
  const KvCache cache{CacheType::f32, 1, 1, 5, 2, k.data(), v.data()};
  const int sequence = 0, position = 3;
  ref::kv_append(cache, kNewToken.data(), &sequence, &position, 1, 1);
  std::vector<float> out(2), scratch(6);
  ref::attention_decode(out.data(), kNewToken.data(), cache, &sequence, &position, scratch.data(),
                        1, 1, 4);
  fmt::print("position         0      1      2      3\n");
  const auto row = [&](const char* name, const std::vector<float>& from, std::size_t d) {
    fmt::print("{:<12}", name);
    for (std::size_t p = 0; p < 4; ++p) fmt::print("{:>6.0f}{}", from[2 * p + d], p < 3 ? " " : "");
    fmt::print("\n");
  };
  row("key", k, 0), row("", k, 1), row("value", v, 0), row("", v, 1);
  fmt::print("\nquery (2, 1), root of HS {:.3f}\nscore       ", std::sqrt(2.0));
  double sum = 0;
  std::vector<double> e;
  for (std::size_t p = 0; p < 4; ++p) {
    const double score = (2 * k[2 * p] + k[2 * p + 1]) / std::sqrt(2.0);
    e.push_back(std::exp(score - 3 / std::sqrt(2.0)));
    sum += e.back();
    fmt::print("{:>6.3f}{}", score, p < 3 ? " " : "");
  }
  fmt::print("\nexp(s - max) ");
  for (std::size_t p = 0; p < 4; ++p) fmt::print("{:>4.3f}  ", e[p]);
  fmt::print(" sum {:.3f}\nweight      ", sum);
  for (std::size_t p = 0; p < 4; ++p) fmt::print("{:>6.3f}{}", e[p] / sum, p < 3 ? " " : "");
  fmt::print("\nout         {:>6.3f} {:>6.3f}\n", out[0], out[1]);

  const std::vector<double> p = {0.5, 0.3, 0.2}, q = {0.2, 0.7, 0.1};
  fmt::print("\ntoken                 cat     dog     sun\nthe model, p     ");
  for (const double x : p) fmt::print("{:>8.3f}", x);
  fmt::print("\nthe draft, q     ");
  for (const double x : q) fmt::print("{:>8.3f}", x);
  fmt::print("\nstands, min(1,p/q)");
  for (std::size_t w = 0; w < 3; ++w)
    fmt::print("{:>{}.3f}", std::min(1.0, p[w] / q[w]), w ? 8 : 7);
  fmt::print("\nmissing, max(0,p-q)");
  double missing = 0;
  for (std::size_t w = 0; w < 3; ++w) missing += std::max(0.0, p[w] - q[w]);
  for (std::size_t w = 0; w < 3; ++w)
    fmt::print("{:>{}.3f}", std::max(0.0, p[w] - q[w]), w ? 8 : 6);
  fmt::print("   sum {:.3f}\n", missing);
  for (const auto& [u, x] : {std::pair{0.3, 0.5}, std::pair{0.6, 0.5}, std::pair{0.6, 0.9}}) {
    const char* const words[] = {"cat", "dog", "sun"};
    fmt::print("draft dog, u = {}, v = {}: {}\n", u, x,
               words[ref::speculative_accept(p, q, 1, u, x)]);
  }
}

// Bytes of a cache: known from the shape alone.
void memory(const std::vector<Option>&) {
  struct Shape {
    std::string name;
    int layers, kv_heads, head_size;
  };
  const std::vector<Shape> shapes = {{"the demo model", 2, 5, 32},
                                     {"GPT-2, 124M", 12, 12, 64},
                                     {"LLaMA, 7B", 32, 32, 128},
                                     {"the same, 8 key-value heads", 32, 8, 128},
                                     {"the same, 1 key-value head", 32, 1, 128}};
  std::vector<std::vector<std::string>> rows;
  for (const Shape& s : shapes) {
    std::vector<std::string> row = {s.name};
    for (const CacheType type : {CacheType::f32, CacheType::bf16, CacheType::int8}) {
      const std::int64_t bytes = s.layers * cache_bytes_per_token(type, s.kv_heads, s.head_size);
      row.push_back(fmt::format("{:.1f}", static_cast<double>(bytes) / 1024));
      if (type == CacheType::bf16) {
        row.push_back(fmt::format("{:.2f}", static_cast<double>(bytes) * 4096 / (1 << 30)));
      }
    }
    std::swap(row[3], row[4]);
    rows.push_back(row);
  }
  print_table({"KiB for each token", "f32", "bf16", "int8", "GiB for 4,096, bf16"}, rows);
}

// The shortest of several runs: what the machine can do when nothing else runs on it.
double seconds_of(int runs, const std::function<void()>& run) {
  double best = 1e9;
  for (int i = 0; i < runs; ++i) {
    const auto start = std::chrono::steady_clock::now();
    run();
    const auto end = std::chrono::steady_clock::now();
    best = std::min(best, std::chrono::duration<double>(end - start).count());
  }
  return best;
}

// Milliseconds of one more token behind a text of some length: with and without the cache.
void speed(const std::vector<Option>& options) {
  omp_set_num_threads(static_cast<int>(as_number(options, "threads")));
  GptConfig c = named_config(as_text(options, "config"));
  c.vocab_size = 4096;
  c.context_length = 1040;
  Gpt<float> model =
      make_gpt(c, cpu::ops(), host_memory(), Purpose::inference, 1, c.context_length);
  init_parameters(model, 1);
  Engine<float> engine = make_engine(weights_of(model), {});
  const int sequence = add_sequence(engine),
            rounds = static_cast<int>(as_number(options, "rounds"));
  std::vector<std::vector<std::string>> rows;
  Series with{"with the cache", {}}, without{"without", {}};
  for (const int length : {32, 64, 128, 256, 512, 1024}) {
    std::vector<int> text(static_cast<std::size_t>(length), 7);
    std::vector<float> logits(static_cast<std::size_t>(c.vocab_size));
    // snippet: passes
    const double plain = seconds_of(rounds, [&] {
      forward(model, text, {}, 1, length);  // every token so far, once more
      copy_last_logits(model, 0, std::span<float>(logits));
    });
    const SequenceInput prompt{sequence, std::span(text).first(text.size() - 1), WantLogits::none};
    const double prefill = seconds_of(rounds, [&] {
      truncate(engine, sequence, 0);
      run<float>(engine, {&prompt, 1});  // prefill: all but the last, together
    });
    const double cached = seconds_of(12, [&] {
      const SequenceInput next{sequence, std::span(text).last(1)};
      run<float>(engine, {&next, 1});  // decode: one row
    });
    // end of snippet
    rows.push_back({fmt::format("{}", length), fmt::format("{:.2f}", 1e3 * plain),
                    fmt::format("{:.2f}", 1e3 * cached), fmt::format("{:.0f}", plain / cached),
                    fmt::format("{:.0f}", (length - 1) / prefill)});
    with.points.push_back({double(length), 1 / cached});
    without.points.push_back({double(length), 1 / plain});
  }
  print_table({"tokens so far", "ms without", "ms with", "times", "prompt, tokens/s"}, rows);
  const Axes axes{.x = "tokens so far", .y = "tokens a second", .log_x = true, .log_y = true};
  print_lines({with, without}, axes);
  write_line_chart("lessons-out/23-speed.svg", "One more token", {with, without}, axes);
}

}  // namespace

int main(int argc, char** argv) {
  return run_demo(argc, argv, "Lesson 23: why is generation slow, and how is it made fast?",
                  {{"worked", "the numbers of the lesson's worked example", worked},
                   {"memory", "what a cache takes for each token", memory},
                   {"speed",
                    "one more token, with and without the cache, against the length",
                    speed,
                    {{"config", "a named shape, with random weights", "llama-15m"},
                     {"threads", "that compute", "1"},
                     {"rounds", "passes without the cache, of which the shortest counts", "3"}}},
                   {"speculative",
                    "two models learn stories; the small one drafts for the large one",
                    speculative,
                    {{"steps", "steps of the large model's training", "300"},
                     {"tokens", "tokens to write", "400"}}}});
}
