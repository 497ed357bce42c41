// Lesson 11's machine gives what the library's model gives, with the same parameters.
#include <cstdint>
#include <string>
#include <vector>

#include "solutions/11-gpt/gpt.cuh"
#include "solutions/11-gpt/gpt.h"
#include "solutions/table.h"
#include "solutions/table_cuda.h"
#include "tests/interop/machine.h"
#include "tests/support/catch.h"
#include "tests/support/compare.h"
#include "tests/support/random_values.h"
#include "tinygpt/core/random.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/model/gpt.h"
#include "tinygpt/simt/memory.h"

using namespace tinygpt;

namespace {

constexpr int kB = 2, kT = 5;

GptConfig small() {
  GptConfig c;
  c.vocab_size = 23, c.context_length = 7, c.layers = 3, c.heads = c.kv_heads = 2;
  c.width = 12, c.hidden = 48, c.init_std = 0.2f;
  return c;
}

struct Batch {
  std::vector<int> tokens = test::random_tokens(kB * kT, 23, 1);
  std::vector<int> targets = test::random_tokens(kB * kT, 23, 2);
  int count = kB * kT - 1;
  Batch() { targets[3] = kIgnoreTarget; }
};

// The library's model after a forward and a backward pass.
struct Library {
  Gpt<float> model;
  float loss = 0;
  explicit Library(const Batch& batch)
      : model(make_gpt(small(), ref::ops(), host_memory(), Purpose::training, kB, kT)) {
    init_parameters(model, 5);
    zero_gradients(model);
    loss = forward(model, batch.tokens, batch.targets, kB, kT);
    backward(model);
  }
};

void check_gradients(const Library& library, const float* ours) {
  for (const Parameter& p : library.model.layout.parameters) {
    const float* theirs = library.model.grads() + p.offset;
    const test::Values expected(theirs, theirs + p.size());
    const std::string different =
        test::difference(p.name, {ours + p.offset, static_cast<std::size_t>(p.size())}, expected,
                         {{"row", p.rows}, {"col", p.cols}}, {.terms = 64, .factor = 32});
    CHECK(different == "");
  }
}

}  // namespace

TEST_CASE("the machine of lesson 11 gives the library's loss and gradients", "[gpt][model][11]") {
  const Batch batch;
  const Library library(batch);
  const ParameterLayout& layout = library.model.layout;
  const GptShape s = test::shape_of(small());
  for (const Ops<float>& ops : {ref::ops(), cpu::ops()}) {
    std::int64_t floats = 0;
    gpt_activations(&floats, nullptr, kB, kT, s);
    std::vector<float> room(static_cast<std::size_t>(floats));
    std::vector<float> gradients(static_cast<std::size_t>(layout.total));
    std::vector<float> scratch(static_cast<std::size_t>(gpt_scratch_floats(ops, kB, kT, s)));
    const GptActivations a = gpt_activations(&floats, room.data(), kB, kT, s);
    const Machine m{ops, host_memory(), scratch.data()};
    const auto p = test::parameters_in<const float>(library.model.params(), layout);
    ref::gpt_forward(a, batch.tokens.data(), batch.targets.data(), p, kB, kT, s, m);
    CHECK(ref::mean_loss(a.losses, batch.targets.data(), kB * kT) ==
          Approx(library.loss).epsilon(1e-5));
    ref::gpt_backward(test::parameters_in(gradients.data(), layout), a, batch.tokens.data(),
                      batch.targets.data(), batch.count, p, kB, kT, s, m);
    check_gradients(library, gradients.data());
  }
}

TEST_CASE("the machine of lesson 11 stays on the device for a whole step", "[gpt][cuda][11]") {
  const Batch batch;
  const Library library(batch);
  const ParameterLayout& layout = library.model.layout;
  const GptShape s = test::shape_of(small());
  const Memory memory = simt::emulated_memory();
  const Ops<float> ops = ref_cuda::ops();
  std::vector<float> params, gradients(static_cast<std::size_t>(layout.total));
  for (const Parameter& p : layout.parameters) {  // without the library's padding
    const float* from = library.model.params() + p.offset;
    params.insert(params.end(), from, from + p.size());
  }
  const auto n = static_cast<std::int64_t>(params.size());
  REQUIRE(n == ref::gpt_parameter_count(s));
  std::int64_t floats = 0;
  gpt_activations(&floats, nullptr, kB, kT, s);
  const auto on_device = [&](std::int64_t count) {
    return DeviceBuffer(memory, count * std::int64_t{sizeof(float)});
  };
  const DeviceBuffer room = on_device(floats), p = on_device(n), d = on_device(n),
                     scratch = on_device(gpt_scratch_floats(ops, kB, kT, s)),
                     tokens = on_device(kB * kT), targets = on_device(kB * kT), loss = on_device(1);
  memory.copy_in(p.data(), params.data(), params.size() * sizeof(float));
  const GptActivations a = gpt_activations(&floats, static_cast<float*>(room.data()), kB, kT, s);
  const ref_cuda::DeviceBatch places{static_cast<int*>(tokens.data()),
                                     static_cast<int*>(targets.data()),
                                     static_cast<float*>(loss.data())};
  const Machine m{ops, memory, static_cast<float*>(scratch.data())};
  const auto step = [&] {
    return ref_cuda::gpt_step(static_cast<float*>(d.data()), n, a, places, batch.tokens.data(),
                              batch.targets.data(), batch.count,
                              static_cast<const float*>(p.data()), kB, kT, s, m);
  };
  step();
  CHECK(step() == Approx(library.loss).epsilon(1e-5));  // nothing of the first one is left
  std::vector<float> packed(params.size());
  memory.copy_out(packed.data(), d.data(), packed.size() * sizeof(float));
  std::size_t at = 0;
  for (const Parameter& q : layout.parameters) {
    for (std::int64_t i = 0; i < q.size(); ++i)
      gradients[static_cast<std::size_t>(q.offset + i)] = packed[at++];
  }
  check_gradients(library, gradients.data());
}

TEST_CASE("the machine of lesson 11 counts what the library counts", "[gpt][ledger][11]") {
  for (const char* name : {"gpt2-demo", "nano-cpu", "gpt2-124m", "gpt2-1558m"}) {
    const GptConfig c = named_config(name);
    const GptShape s = test::shape_of(c);
    CHECK(ref::gpt_parameter_count(s) == parameter_ledger(c).total);
    for (const int T : {1, 64}) CHECK(ref::gpt_flops(s, T) == flop_ledger(c, T).forward);
  }
  CHECK(ref::gpt_parameter_count(test::shape_of(named_config("gpt2-124m"))) == 124'439'808);
}
