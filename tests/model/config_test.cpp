#include "tinygpt/model/config.h"

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "tests/model/tiny.h"
#include "tests/support/catch.h"
#include "tinygpt/core/error.h"
#include "tinygpt/model/parameters.h"

using namespace tinygpt;
using namespace tinygpt::testing;

namespace {

// The message with which a changed config is refused.
template <class Change>
std::string refusal(GptConfig config, Change change) {
  change(config);
  try {
    check_config(config);
  } catch (const Error& e) {
    return e.what();
  }
  return "it was accepted";
}

}  // namespace

TEST_CASE("a config that makes no model is refused by field", "[model][config]") {
  const GptConfig gpt2 = tiny_gpt2(), llama = tiny_llama();
  CHECK_NOTHROW(check_config(gpt2));
  CHECK_NOTHROW(check_config(llama));
  for (int GptConfig::*field :
       {&GptConfig::vocab_size, &GptConfig::context_length, &GptConfig::layers, &GptConfig::heads,
        &GptConfig::kv_heads, &GptConfig::width, &GptConfig::hidden}) {
    for (const int value :
         {0, -1, std::numeric_limits<int>::min(), std::numeric_limits<int>::max()}) {
      const std::string message = refusal(gpt2, [&](GptConfig& c) { c.*field = value; });
      CHECK_THAT(message, ContainsSubstring("must be from 1 to"));
      CHECK_THAT(message, ContainsSubstring(std::to_string(value)));
    }
  }
  CHECK(refusal(gpt2, [](GptConfig& c) { c.heads = c.kv_heads = 5; }) ==
        "model config: width 12 is not a multiple of heads 5");
  CHECK(refusal(llama, [](GptConfig& c) { c.kv_heads = 3; }) ==
        "model config: heads 4 is not a multiple of kv_heads 3");
  CHECK_THAT(refusal(gpt2, [](GptConfig& c) { c.kv_heads = 1; }), ContainsSubstring("kv_heads"));
  CHECK_THAT(refusal(llama, [](GptConfig& c) { c.width = 12; }), ContainsSubstring("even"));
  for (const float bad : {0.0f, -1.0f, std::numeric_limits<float>::quiet_NaN(),
                          std::numeric_limits<float>::infinity()}) {
    CHECK_THAT(refusal(gpt2, [&](GptConfig& c) { c.norm_eps = bad; }),
               ContainsSubstring("norm_eps"));
    CHECK_THAT(refusal(llama, [&](GptConfig& c) { c.rope_base = bad; }),
               ContainsSubstring("rope_base"));
  }
  for (const float bad : {-0.1f, 1.0f, std::numeric_limits<float>::quiet_NaN()}) {
    CHECK_THAT(refusal(gpt2, [&](GptConfig& c) { c.dropout = bad; }), ContainsSubstring("dropout"));
  }
  CHECK_THAT(refusal(gpt2, [](GptConfig& c) { c.bos_token = 23; }), ContainsSubstring("bos_token"));
  CHECK_THAT(refusal(gpt2, [](GptConfig& c) { c.eos_token = -2; }), ContainsSubstring("eos_token"));
}

TEST_CASE("every named shape makes a model", "[model][config]") {
  for (const std::string& name : config_names()) {
    CAPTURE(name);
    CHECK_NOTHROW(check_config(named_config(name)));
  }
  CHECK_THROWS_WITH(named_config("gpt5"), ContainsSubstring("gpt2-124m"));
}

TEST_CASE("tensors lie apart, aligned and in order", "[model][layout]") {
  for (const GptConfig& config : {tiny_gpt2(), tiny_llama()}) {
    const ParameterLayout layout = make_layout(config);
    std::int64_t end = 0;
    for (const Parameter& p : layout.parameters) {
      CAPTURE(p.name);
      CHECK(p.offset >= end);
      CHECK(p.offset - end < 16);
      CHECK(p.offset % 16 == 0);
      CHECK(p.decay == (p.rows > 1));
      end = p.offset + p.size();
    }
    CHECK(layout.total >= end);
    CHECK(layout.total % 16 == 0);
    CHECK((layout.head == layout.wte) == config.tied_head);
  }
}
