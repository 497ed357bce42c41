// The engine over its cache gives the logits of a full forward pass.
#include "tinygpt/infer/engine.h"

#include <omp.h>

#include <algorithm>
#include <cmath>

#include "tests/infer/engine_models.h"
#include "tests/support/catch.h"
#include "tests/support/implementations.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/random.h"
#include "tinygpt/cpu/table.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

using Logits = std::vector<std::vector<float>>;

std::vector<int> some_tokens(int n, int seed) {
  Random random{static_cast<std::uint64_t>(seed)};
  std::vector<int> tokens(static_cast<std::size_t>(n));
  for (int& token : tokens) token = static_cast<int>(random.below(kTestVocabulary));
  return tokens;
}

// Of every position, by one forward pass over the whole text.
Logits full_forward(Gpt<float>& model, const std::vector<int>& text) {
  const auto T = static_cast<int>(text.size());
  const auto V = static_cast<std::size_t>(model.config.vocab_size);
  forward(model, text, {}, 1, T);
  std::vector<float> all(text.size() * V);
  copy_logits(model, 0, std::span<float>(all));
  Logits rows;
  for (std::size_t t = 0; t < text.size(); ++t) {
    rows.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(t * V),
                      all.begin() + static_cast<std::ptrdiff_t>((t + 1) * V));
  }
  return rows;
}

// Runs the tokens and appends the logits of all their positions.
void run_all(Engine<float>& e, int sequence, std::span<const int> tokens, Logits& logits) {
  const SequenceInput input{sequence, tokens, WantLogits::all};
  const int rows = run<float>(e, {&input, 1});
  REQUIRE(rows == static_cast<int>(tokens.size()));
  for (int row = 0; row < rows; ++row) {
    const auto found = logits_of(e, row);
    logits.emplace_back(found.begin(), found.end());
  }
}

// The largest difference, in proportion to the largest logit of the text.
double distance(const Logits& actual, const Logits& expected) {
  REQUIRE(actual.size() == expected.size());
  double worst = 0, largest = 0;
  for (std::size_t t = 0; t < actual.size(); ++t) {
    for (std::size_t v = 0; v < actual[t].size(); ++v) {
      const double apart = std::abs(double{actual[t][v]} - expected[t][v]);
      if (!(apart <= worst)) worst = apart;  // NaN stays
      largest = std::max(largest, std::abs(double{expected[t][v]}));
    }
  }
  return worst / largest;
}

// How a text comes to the engine: in pieces of these sizes.
const std::vector<std::vector<int>> kPieces = {
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1},  // decode from the first token on
    {13},                                     // prefill alone
    {5, 1, 1, 1, 1, 1, 1, 1, 1},              // a prompt, then a token at a time
    {4, 6, 1, 2},                             // prompts behind what is there
};

}  // namespace

TEST_CASE("the cache gives the logits of a full forward pass at every position",
          "[engine][lesson-23]") {
  for (const Implementation& i : implementations()) {
    for (const GptConfig& config : engine_configs()) {
      Gpt<float> model = model_on(i, config, 1);
      const std::vector<int> text = some_tokens(13, 5);
      const Logits expected = full_forward(model, text);
      EngineSettings settings{.rows = 7, .logit_rows = 13};  // a prompt of 13 is cut in two
      Engine<float> engine = make_engine(weights_of(model), settings);
      for (const std::vector<int>& pieces : kPieces) {
        Logits actual;
        const int sequence = add_sequence(engine);
        std::span<const int> rest = text;
        for (const int piece : pieces) {
          run_all(engine, sequence, rest.first(static_cast<std::size_t>(piece)), actual);
          rest = rest.subspan(static_cast<std::size_t>(piece));
        }
        remove_sequence(engine, sequence);
        INFO(i.name << ", " << describe(config) << ", first piece " << pieces[0]);
        CHECK(distance(actual, expected) < 1e-5);
      }
    }
  }
}

TEST_CASE("texts of different length share a pass and know nothing of each other",
          "[engine][lesson-23]") {
  for (const Implementation& i : implementations()) {
    for (const GptConfig& config : engine_configs()) {
      Gpt<float> model = model_on(i, config, 1);
      const std::vector<std::vector<int>> texts = {some_tokens(11, 1), some_tokens(5, 2),
                                                   some_tokens(8, 3)};
      Engine<float> engine = make_engine(weights_of(model), {.sequences = 4, .logit_rows = 40});
      const int stranger = add_sequence(engine);  // never removed: its rows must not matter
      const SequenceInput noise{stranger, texts[0], WantLogits::none};
      CHECK(run<float>(engine, {&noise, 1}) == 0);
      std::vector<int> sequences;
      std::vector<Logits> actual(texts.size());
      for (std::size_t k = 0; k < texts.size(); ++k) sequences.push_back(add_sequence(engine));
      std::vector<std::size_t> done(texts.size());
      for (std::size_t pass = 0; pass < 11; ++pass) {
        std::vector<SequenceInput> inputs;
        for (std::size_t k = 0; k < texts.size(); ++k) {
          // The first text starts with three tokens, the second comes later, and they end when
          // they end.
          const std::size_t count = k == 0 && pass == 0 ? 3 : 1;
          if ((k == 1 && pass < 2) || done[k] + count > texts[k].size()) continue;
          inputs.push_back(
              {sequences[k], std::span(texts[k]).subspan(done[k], count), WantLogits::all});
        }
        if (inputs.empty()) break;
        run<float>(engine, inputs);
        int row = 0;
        for (const SequenceInput& input : inputs) {
          const auto k = static_cast<std::size_t>(
              std::find(sequences.begin(), sequences.end(), input.sequence) - sequences.begin());
          done[k] += input.tokens.size();
          for (std::size_t n = 0; n < input.tokens.size(); ++n, ++row) {
            const auto found = logits_of(engine, row);
            actual[k].emplace_back(found.begin(), found.end());
          }
        }
      }
      for (std::size_t k = 0; k < texts.size(); ++k) {
        INFO(i.name << ", " << describe(config) << ", text " << k);
        CHECK(distance(actual[k], full_forward(model, texts[k])) < 1e-5);
      }
    }
  }
}

TEST_CASE("only the rows that are asked for have logits", "[engine]") {
  const Implementation cpu = implementations()[1];
  for (const GptConfig& config : engine_configs()) {
    Gpt<float> model = model_on(cpu, config, 1);
    const std::vector<int> a = some_tokens(6, 1), b = some_tokens(4, 2), c = some_tokens(3, 3);
    Engine<float> engine = make_engine(weights_of(model), {.sequences = 3, .logit_rows = 4});
    const std::vector<SequenceInput> inputs = {{add_sequence(engine), a, WantLogits::last},
                                               {add_sequence(engine), b, WantLogits::none},
                                               {add_sequence(engine), c, WantLogits::all}};
    REQUIRE(run<float>(engine, inputs) == 4);
    Logits actual, expected = full_forward(model, c);
    for (int row = 0; row < 4; ++row) {
      const auto found = logits_of(engine, row);
      actual.emplace_back(found.begin(), found.end());
    }
    expected.insert(expected.begin(), full_forward(model, a).back());
    CHECK(distance(actual, expected) < 1e-5);
    // What had no logits is in the cache all the same.
    const std::vector<int> next = {7};
    Logits last;
    run_all(engine, inputs[1].sequence, next, last);
    std::vector<int> longer = b;
    longer.push_back(7);
    CHECK(distance(last, {full_forward(model, longer).back()}) < 1e-5);
  }
}

TEST_CASE("a sequence that is cut goes on from there", "[engine]") {
  const Implementation cpu = implementations()[1];
  const GptConfig config = engine_configs()[1];
  Gpt<float> model = model_on(cpu, config, 1);
  const std::vector<int> text = some_tokens(9, 1), other = some_tokens(6, 2);
  Engine<float> engine = make_engine(weights_of(model), {.logit_rows = 9});
  const int sequence = add_sequence(engine);
  Logits ignored, actual;
  run_all(engine, sequence, text, ignored);
  truncate(engine, sequence, 4);
  CHECK(tokens_of(engine, sequence).size() == 4);
  run_all(engine, sequence, other, actual);
  std::vector<int> joined(text.begin(), text.begin() + 4);
  joined.insert(joined.end(), other.begin(), other.end());
  const Logits expected = full_forward(model, joined);
  CHECK(distance(actual, {expected.begin() + 4, expected.end()}) < 1e-5);
}

// bf16 keeps 8 bits of a number and int8 a 254th of a row's largest: an error of 2^-9 or of 1 / 254
// of each number, at worst. What comes out of the model is about as far off, in proportion.
TEST_CASE("smaller caches are close to the full one", "[engine][lesson-23]") {
  for (const Implementation& i : implementations()) {
    for (const GptConfig& config : engine_configs()) {
      Gpt<float> model = model_on(i, config, 1, 3);
      const std::vector<int> text = some_tokens(13, 5);
      const Logits expected = full_forward(model, text);
      for (const auto& [type, most] :
           {std::pair{CacheType::bf16, 0.02}, std::pair{CacheType::int8, 0.04}}) {
        Engine<float> engine = make_engine(weights_of(model), {.logit_rows = 13, .cache = type});
        Logits actual;
        const int sequence = add_sequence(engine);
        for (const int token : text) run_all(engine, sequence, {&token, 1}, actual);
        const double apart = distance(actual, expected);
        INFO(i.name << ", " << describe(config) << ", " << apart);
        CHECK(apart < most);
        CHECK(apart > 1e-6);  // it is another cache
      }
    }
  }
}

TEST_CASE("an engine refuses what does not fit, and nothing has changed", "[engine]") {
  const Implementation cpu = implementations()[1];
  Gpt<float> model = model_on(cpu, engine_configs()[0], 1);
  Engine<float> engine = make_engine(weights_of(model), {.sequences = 2, .capacity = 6});
  const int a = add_sequence(engine);
  const std::vector<int> text = some_tokens(5, 1), bad = {1, kTestVocabulary}, none;
  const auto refused = [&](int sequence, const std::vector<int>& tokens, WantLogits logits) {
    const SequenceInput input{sequence, tokens, logits};
    CHECK_THROWS_AS(run<float>(engine, {&input, 1}), Error);
  };
  const SequenceInput fine{a, text};
  run<float>(engine, {&fine, 1});
  refused(a, text, WantLogits::last);     // five more than there is room for
  refused(a, bad, WantLogits::last);      // a token that does not exist
  refused(a, none, WantLogits::last);     // none
  refused(a + 1, {1}, WantLogits::last);  // a sequence that is not in use
  refused(-1, {1}, WantLogits::last);
  const int b = add_sequence(engine);
  CHECK_THROWS_AS(add_sequence(engine), Error);
  refused(b, {1, 2, 3}, WantLogits::all);  // three rows of logits, with room for two
  const std::vector<SequenceInput> twice = {{b, text}, {b, text}};
  CHECK_THROWS_AS(run<float>(engine, twice), Error);
  CHECK(tokens_of(engine, a).size() == 5);
  CHECK(tokens_of(engine, b).empty());
  CHECK_THROWS_AS(truncate(engine, a, 6), Error);
  CHECK_THROWS_AS(make_engine(weights_of(model), {.capacity = 1000}), Error);
}

TEST_CASE("the engine's ledger is what it takes", "[engine][ledger]") {
  const Implementation cpu = implementations()[1];
  for (const GptConfig& config : engine_configs()) {
    Gpt<float> model = model_on(cpu, config, 1);
    for (const CacheType type : {CacheType::f32, CacheType::bf16, CacheType::int8}) {
      const EngineSettings settings{.sequences = 3, .capacity = 9, .cache = type};
      const EngineLedger ledger = engine_ledger(config, model.ops, settings);
      const Engine<float> engine = make_engine(weights_of(model), settings);
      CHECK(ledger.cache == engine.cache.bytes());
      CHECK(ledger.activations == engine.arena.bytes());
      CHECK(ledger.scratch == engine.scratch.bytes());
      CHECK(ledger.cache >= 27 * ledger.per_token);
    }
  }
}

TEST_CASE("a pass whose threads stay awake gives the same bits", "[engine][threads]") {
  GptConfig c = engine_configs()[1];
  c.width = 256;
  c.hidden = 512;
  c.vocab_size = 4096;  // products that are worth a team; the pass as a whole is
  const Implementation cpu{"cpu", cpu::ops()};
  Gpt<float> model = model_on(cpu, c, 1);
  const auto logits_with = [&](const Ops<float>& ops, int threads) {
    omp_set_num_threads(threads);
    ModelWeights<float> weights = weights_of(model);
    weights.ops = ops;
    weights.multiplications = std::int64_t{1} << 30;
    Engine<float> e = make_engine(weights, {});
    const int sequence = add_sequence(e);
    Logits logits;
    const std::vector<int> text = some_tokens(12, 7);
    for (const std::size_t count : {8, 1, 1, 1, 1}) {
      const std::size_t from = tokens_of(e, sequence).size();
      const SequenceInput input{sequence, std::span<const int>(text).subspan(from, count)};
      run<float>(e, {&input, 1});
      const auto found = logits_of(e, 0);
      logits.emplace_back(found.begin(), found.end());
    }
    return logits;
  };
  const int usual = omp_get_max_threads();
  Ops<float> asleep = cpu.ops;
  asleep.keep_awake = nullptr;
  const Logits expected = logits_with(asleep, 2);
  for (const int threads : {1, 2, 3}) CHECK(logits_with(cpu.ops, threads) == expected);
  omp_set_num_threads(usual);
}
