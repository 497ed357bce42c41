// Text over the cache is the text without it.
#include <algorithm>

#include "tests/infer/engine_models.h"
#include "tests/support/catch.h"
#include "tinygpt/core/error.h"
#include "tinygpt/infer/generate.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

// Greedy, by temperature alone (drawn on the device, where there is one), and with a cut.
std::vector<SamplingSettings> ways() {
  return {{.temperature = 0}, {.temperature = 1}, {.top_k = 5}, {.top_p = 0.7f}};
}

std::vector<int> cached(Engine<float>& e, const std::vector<int>& prompt, const GenerateSettings& s,
                        Timing* timing = nullptr) {
  const int sequence = add_sequence(e);
  const std::vector<int> text = generate<float>(e, sequence, prompt, s, {}, timing);
  remove_sequence(e, sequence);
  return text;
}

}  // namespace

TEST_CASE("text with a cache is the text without, on every device",
          "[engine][generate][device][lesson-23]") {
  const Implementation cpu = implementations()[1];
  for (const GptConfig& config : engine_configs()) {
    Gpt<float> expected = model_on(cpu, config, 1);
    for (const Implementation& i : implementations()) {
      const bool emulated = i.device == Device::emulated;  // slow: one slide there, two elsewhere
      Gpt<float> model = model_on(i, config, 1);
      Engine<float> engine = make_engine(weights_of(model), {.rows = 10});
      for (const SamplingSettings& sampling : ways()) {
        if (emulated && sampling.top_k + sampling.top_p != 1) continue;  // cut on the host
        const GenerateSettings s{.sampling = sampling, .max_tokens = emulated ? 26 : 40};
        for (const std::vector<int>& prompt : {std::vector<int>{1, 2}, std::vector<int>(30, 7)}) {
          if (emulated && prompt.size() > 2) continue;
          INFO(i.name << ", " << describe(config) << ", temperature " << sampling.temperature);
          CHECK(cached(engine, prompt, s) == generate(expected, prompt, s));
        }
      }
    }
  }
}

TEST_CASE("texts that grow together are the texts that grow alone", "[engine][generate]") {
  const Implementation cpu = implementations()[1];
  for (const GptConfig& config : engine_configs()) {
    Gpt<float> model = model_on(cpu, config, 1);
    Engine<float> engine = make_engine(weights_of(model), {.sequences = 3});
    const std::vector<std::vector<int>> prompts = {{1, 2, 3}, {4}, {5, 6, 7, 8, 9}};
    GenerateSettings s{.sampling = {.temperature = 1}, .max_tokens = 30};
    std::vector<std::vector<int>> expected;
    std::vector<TextStart> starts;
    for (std::size_t k = 0; k < prompts.size(); ++k) {
      s.seed = k + 1;
      starts.push_back({prompts[k], s.seed});
      expected.push_back(cached(engine, prompts[k], s));
    }
    Timing timing;
    CHECK(generate_together<float>(engine, starts, s, {}, &timing) == expected);
    CHECK(timing.prompt_tokens == 9);
    CHECK(timing.later_tokens == 3 * 29);
    // Each ends by itself.
    s.stop_token = expected[0][3];
    for (auto& text : expected)
      text.erase(std::find(text.begin(), text.end(), s.stop_token), text.end());
    CHECK(generate_together<float>(engine, starts, s) == expected);
    for (auto& text : expected) text.resize(std::min<std::size_t>(text.size(), 2));
    std::vector<int> heard(3);
    CHECK(generate_together<float>(engine, starts, s, [&](int text, int) {
            return ++heard[static_cast<std::size_t>(text)] < 2;
          }) == expected);
  }
}

TEST_CASE("a context may end a text instead of sliding", "[engine][generate]") {
  const Implementation cpu = implementations()[1];
  Gpt<float> model = model_on(cpu, engine_configs()[1], 1);
  Engine<float> engine = make_engine(weights_of(model), {.sequences = 2, .capacity = 10});
  const GenerateSettings s{
      .sampling = {.temperature = 0}, .max_tokens = 40, .context_end = ContextEnd::stop};
  const std::vector<int> prompt = {1, 2, 3};
  // Ten tokens are read, and the tenth gives one more.
  CHECK(cached(engine, prompt, s).size() == 8);
  const std::vector<TextStart> starts = {{prompt}, {prompt}};
  for (const auto& text : generate_together<float>(engine, starts, s)) CHECK(text.size() == 8);
  CHECK_THROWS_WITH(cached(engine, std::vector<int>(11, 1), s),
                    Catch::Matchers::Contains("--context slide"));
}

TEST_CASE("a text that is continued reads only what is new", "[engine][generate]") {
  const Implementation cpu = implementations()[1];
  Gpt<float> model = model_on(cpu, engine_configs()[1], 1);
  Engine<float> engine = make_engine(weights_of(model), {});
  GenerateSettings s{.sampling = {.temperature = 0}, .max_tokens = 5};
  const int sequence = add_sequence(engine);
  std::vector<int> all = {1, 2, 3};
  Timing timing;
  std::vector<int> text = generate<float>(engine, sequence, all, s, {}, &timing);
  all.insert(all.end(), text.begin(), text.end());
  CHECK(unread_tokens(text, timing) == 1);
  CHECK(tokens_of(engine, sequence).size() == all.size() - 1);
  const std::vector<int> turn = {all.back(), 9, 8};
  all.insert(all.end(), {9, 8});
  text = generate<float>(engine, sequence, turn, s, {}, &timing);
  CHECK(timing.prompt_tokens == 3);
  CHECK(text == generate(model, all, s));
  // Where the model ends the text itself, it has read all of it.
  s.stop_token = text[2];
  truncate(engine, sequence, 0);
  text = generate<float>(engine, sequence, all, s, {}, &timing);
  CHECK(unread_tokens(text, timing) == 0);
  CHECK(tokens_of(engine, sequence).size() == all.size() + text.size());
}
