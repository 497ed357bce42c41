#include "tinygpt/infer/generate.h"

#include <algorithm>
#include <cstdint>

#include "tests/support/catch.h"
#include "tinygpt/core/error.h"
#include "tinygpt/cpu/table.h"

using namespace tinygpt;

namespace {

Gpt<float> small_model(Purpose purpose) {
  GptConfig c;
  c.vocab_size = 20;
  c.context_length = 8;
  c.layers = 1;
  c.heads = c.kv_heads = 2;
  c.width = 8;
  c.hidden = 16;
  Gpt<float> model = make_gpt(c, cpu::ops(), host_memory(), purpose, 1, 8);
  init_parameters(model, 3);
  // Larger weights than a fresh model's, so that what it writes depends on what it reads.
  for (std::int64_t i = 0; i < model.layout.total; ++i) model.params()[i] *= 20;
  return model;
}

GenerateSettings settings_of(int max_tokens, float temperature = 1.0f) {
  GenerateSettings s;
  s.max_tokens = max_tokens;
  s.sampling.temperature = temperature;
  return s;
}

}  // namespace

TEST_CASE("greedy text is the likeliest token again and again", "[generate]") {
  Gpt<float> model = small_model(Purpose::inference);
  const std::vector<int> text = generate(model, std::vector<int>{1, 2}, settings_of(5, 0.0f));
  REQUIRE(text.size() == 5);
  std::vector<int> so_far = {1, 2};
  std::vector<float> logits(20);
  for (const int token : text) {
    forward(model, so_far, {}, 1, static_cast<int>(so_far.size()));
    copy_last_logits(model, 0, std::span<float>(logits));
    CHECK(token == std::max_element(logits.begin(), logits.end()) - logits.begin());
    so_far.push_back(token);
  }
}

TEST_CASE("a seed decides the text, for models of either purpose", "[generate][seed]") {
  Gpt<float> model = small_model(Purpose::inference);
  Gpt<float> trained = small_model(Purpose::training);
  GenerateSettings s = settings_of(30);
  const std::vector<int> text = generate(model, std::vector<int>{1}, s);
  CHECK(text == generate(model, std::vector<int>{1}, s));
  CHECK(text == generate(trained, std::vector<int>{1}, s));
  s.seed = 2;
  CHECK(text != generate(model, std::vector<int>{1}, s));
}

TEST_CASE("a text goes on beyond the context, from a prompt that is longer, too", "[generate]") {
  Gpt<float> model = small_model(Purpose::inference);
  CHECK(generate(model, std::vector<int>{1}, settings_of(100)).size() == 100);
  std::vector<int> prompt(50, 4);
  prompt.insert(prompt.end(), {1, 2, 3, 4, 5, 6, 7, 8});
  // What was before the context makes no difference.
  const std::vector<int> end(prompt.end() - 8, prompt.end());
  CHECK(generate(model, prompt, settings_of(1, 0)) == generate(model, end, settings_of(1, 0)));
}

TEST_CASE("the end token stops the text and is not part of it", "[generate]") {
  Gpt<float> model = small_model(Purpose::inference);
  GenerateSettings s = settings_of(200);
  const std::vector<int> text = generate(model, std::vector<int>{1}, s);
  s.stop_token = text[7];
  const auto first = std::find(text.begin(), text.end(), text[7]);
  CHECK(generate(model, std::vector<int>{1}, s) == std::vector<int>(text.begin(), first));
}

TEST_CASE("whoever listens hears every token and may end the text", "[generate]") {
  Gpt<float> model = small_model(Purpose::inference);
  std::vector<int> heard;
  const auto listen = [&](int token) {
    heard.push_back(token);
    return heard.size() < 4;
  };
  CHECK(generate(model, std::vector<int>{1}, settings_of(50), listen) == heard);
  CHECK(heard.size() == 4);
}

TEST_CASE("prompts that cannot be are refused", "[generate]") {
  Gpt<float> model = small_model(Purpose::inference);
  CHECK_THROWS_AS(generate(model, std::vector<int>{}, settings_of(5)), Error);
  CHECK_THROWS_AS(generate(model, std::vector<int>{20}, settings_of(5)), Error);
  CHECK_THROWS_AS(generate(model, std::vector<int>{-1}, settings_of(5)), Error);
  CHECK(generate(model, std::vector<int>{1}, settings_of(0)).empty());
}
