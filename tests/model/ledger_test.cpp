#include <cstdint>
#include <map>

#include "tests/model/tiny.h"
#include "tests/support/catch.h"
#include "tinygpt/model/gpt.h"

using namespace tinygpt;
using namespace tinygpt::testing;

namespace {

// Host memory that counts: what is allocated now, by address.
std::map<void*, std::size_t>& allocations() {
  static std::map<void*, std::size_t> all;
  return all;
}

Memory counting_memory() {
  Memory memory = host_memory();
  memory.allocate = [](std::size_t bytes) {
    void* data = host_memory().allocate(bytes);
    allocations()[data] = bytes;
    return data;
  };
  memory.release = [](void* data) {
    allocations().erase(data);
    host_memory().release(data);
  };
  return memory;
}

std::int64_t allocated() {
  std::size_t sum = 0;
  for (const auto& [data, bytes] : allocations()) sum += bytes;
  return static_cast<std::int64_t>(sum);
}

}  // namespace

TEST_CASE("the parameter ledger knows the published sizes", "[model][ledger]") {
  // Counted by transformers: sum(p.numel() for p in GPT2LMHeadModel(...).parameters()).
  CHECK(parameter_ledger(named_config("gpt2-124m")).total == 124'439'808);
  CHECK(parameter_ledger(named_config("gpt2-1558m")).total == 1'557'611'200);
  const ParameterLedger p = parameter_ledger(named_config("gpt2-124m"));
  CHECK(p.embedding == 50257 * 768);
  CHECK(p.positions == 1024 * 768);
  CHECK(p.attention == 12 * (4 * 768 * 768 + 4 * 768));
  CHECK(p.mlp == 12 * (8 * 768 * 768 + 5 * 768));
  CHECK(p.norms == 25 * 2 * 768);
  CHECK(p.head == 0);
}

TEST_CASE("the parameter ledger's parts are the tensors", "[model][ledger]") {
  for (const GptConfig& config : {tiny_gpt2(), tiny_llama()}) {
    const ParameterLedger p = parameter_ledger(config);
    CHECK(p.total == p.embedding + p.positions + p.attention + p.mlp + p.norms + p.head);
    std::int64_t sum = 0;
    for (const Parameter& tensor : make_layout(config).parameters) sum += tensor.size();
    CHECK(p.total == sum);
    CHECK(p.head == (config.tied_head ? 0 : config.vocab_size * config.width));
  }
}

TEST_CASE("the FLOP ledger counts every multiply-add twice", "[model][ledger]") {
  const GptConfig c = tiny_llama();  // C = 16, hidden 37, 4 heads over 2, head size 4
  const FlopLedger f = flop_ledger(c, 9);
  CHECK(f.linears == 2.0 * 2 * (16 * (16 + 8 + 8) + 16 * 16 + 3 * 16 * 37));
  CHECK(f.attention == 2.0 * 2 * 2 * 16 * 5);  // five keys a query on average, two products
  CHECK(f.head == 2.0 * 16 * 23);
  CHECK(f.forward == f.linears + f.attention + f.head);
  CHECK(f.step == 3 * f.forward);
}

TEST_CASE("the memory ledger is what is allocated, to the byte", "[model][ledger]") {
  for (const NamedOps& table : all_tables()) {
    for (const GptConfig& config : {tiny_gpt2(), tiny_llama()}) {
      for (const Purpose purpose : {Purpose::training, Purpose::inference}) {
        const MemoryLedger l = memory_ledger(config, table.ops, purpose, 3, 7);
        CHECK(l.total == l.parameters + l.gradients + l.optimizer + l.activations + l.scratch);
        CHECK((l.gradients > 0) == (purpose == Purpose::training));
        const std::int64_t before = allocated();
        {
          Gpt<float> model = make_gpt(config, table.ops, counting_memory(), purpose, 3, 7);
          CHECK(allocated() - before == l.total - l.optimizer);
          // Nothing more is ever allocated, not even for an odd batch.
          const std::vector<int> tokens(14, 1);
          for (const int T : {7, 2, 1}) {
            const auto part = std::span(tokens).first(static_cast<std::size_t>(2 * T));
            forward(model, part, part, 2, T);
            if (purpose == Purpose::training) backward(model);
          }
          CHECK(allocated() - before == l.total - l.optimizer);
        }
        CHECK(allocated() == before);
      }
    }
  }
}

TEST_CASE("inference needs the activations of one layer, training of all", "[model][ledger]") {
  GptConfig deep = tiny_gpt2();
  deep.layers = 20;
  const auto activations = [](const GptConfig& c, Purpose purpose) {
    return memory_ledger(c, cpu::ops(), purpose, 3, 7).activations;
  };
  CHECK(activations(deep, Purpose::inference) == activations(tiny_gpt2(), Purpose::inference));
  CHECK(activations(deep, Purpose::training) > 5 * activations(tiny_gpt2(), Purpose::training));
}
