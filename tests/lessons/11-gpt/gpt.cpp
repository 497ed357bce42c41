// Grades exercises/11-gpt/gpt.cpp.
#include "solutions/11-gpt/gpt.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "tests/lessons/11-gpt/machine_exam.h"

namespace tinygpt::lessons {
namespace {

void begin_trace() { trace() = {}; }

// Recognises the values that a variant of the machine gives, which are made only when asked for.
Mistake variant(const std::function<Values()>& values, std::string nudge) {
  return when([=](const Answer& a) { return gives(values(), "").recognise(a); }, std::move(nudge));
}

const std::vector<Sizes> kBlocks = {{1, 1, 0, 0, 1, 1, 3},
                                    {1, 4, 0, 0, 1, 1, 5},
                                    {2, 3, 0, 0, 1, 2, 4},
                                    {3, 5, 0, 0, 1, 3, 6},
                                    {1, 2, 0, 0, 1, 4, 4}};
const std::vector<Sizes> kMachines = {
    {1, 1, 2, 1, 1, 1, 3}, {2, 3, 7, 4, 2, 2, 4}, {1, 5, 5, 5, 3, 1, 3}, {3, 4, 11, 6, 2, 3, 6}};

std::vector<Values> random_block(const Sizes& z) {
  std::vector<Values> p;
  for (std::size_t k = 0; k < kBlockTensors; ++k) p.push_back(random_tensor(k, z.C, 200 + k));
  p.push_back(random_values(z.N() * z.C, 1));
  return p;
}

std::string block_text(const std::string& name, const Sizes& z) {
  return fmt::format("{}(B={}, T={}, NH={}, C={})", name, z.B, z.T, z.NH, z.C);
}

void expect_block(Exam& exam, const std::string& at, const BlockActivations& a, const BlockRun& r,
                  const Sizes& z, const std::vector<Mistake>& mistakes) {
  const auto expect = [&](const char* name, const float* buffer, const Values& values, int width) {
    const Shape shape =
        width == 0 ? Shape{{"b", z.B}, {"t", z.T}} : Shape{{"b", z.B}, {"t", z.T}, {"c", width}};
    exam.expect(at + name, buffer, values, shape, close_to(values), mistakes);
  };
  const int C = z.C;
  expect("norm1", a.norm1, r.norm1, C), expect("mean1", a.mean1, r.mean1, 0);
  expect("rstd1", a.rstd1, r.rstd1, 0), expect("qkv", a.qkv, r.qkv, 3 * C);
  expect("att", a.att, r.att, C), expect("mid", a.mid, r.mid, C);
  exam.expect(at + "lse", a.lse, r.lse, {{"b", z.B}, {"h", z.NH}, {"t", z.T}}, close_to(r.lse),
              mistakes);
  expect("norm2", a.norm2, r.norm2, C), expect("mean2", a.mean2, r.mean2, 0);
  expect("rstd2", a.rstd2, r.rstd2, 0), expect("up", a.up, r.up, 4 * C);
  expect("act", a.act, r.act, 4 * C), expect("out", a.out, r.out, C);
}

void examine_block_forward(Exam& exam) {
  for (const Sizes& z : kBlocks) {
    const std::vector<Values> p = random_block(z);
    const BlockRun r = run_block(p.back(), p.data(), z, {});
    begin_trace();
    const Tensors tensors{exam.call(block_text("block_forward", z)), z};
    const BlockActivations a = tensors.block("a.", nullptr);
    const SharedActivations shared = tensors.shared("shared.");
    const float* x = tensors.input("x", p.back());
    ref::block_forward(a, shared, x, tensors.block_parameters("p.", p.data()), z.B, z.T,
                       shape_of(z), tensors.machine());
    Calls calls{z};
    calls.block_forward("a.", "shared.", "x", "p.");
    const auto run = [&](Variant wrong) { return run_block(p.back(), p.data(), z, wrong); };
    expect_block(
        exam, "a.", a, r, z,
        {variant([&] { return run({.acausal = true}).att; },
                 "Every token sees those behind it, too. A language model's attention is causal: "
                 "the last argument of attention_forward."),
         variant([&] { return run({.norm2_reads_x = true}).norm2; },
                 "norm2 reads x, the stream before the attention. The MLP works on what the "
                 "attention has left: mid."),
         variant([&] { return run({.mlp_adds_x = true}).out; },
                 "The MLP's branch is added to x, so what the attention added to the stream is "
                 "lost. The stream after the attention is mid."),
         calls.mistake()});
  }
}

void expect_gradients(Exam& exam, const std::string& at, const BlockParameters<float>& d,
                      const Values* gradients, const Sizes& z,
                      const std::function<std::vector<Mistake>(std::size_t which)>& mistakes) {
  BlockParameters<float> places = d;
  const auto buffers = members(places);
  // In the order in which the backward pass comes by.
  for (const std::size_t k : {11u, 10u, 9u, 8u, 7u, 6u, 5u, 4u, 3u, 2u, 1u, 0u}) {
    exam.expect_added(at + kTensorNames[k], *buffers[k], gradients[k], tensor_shape(k, z.C),
                      close_to(gradients[k]), mistakes(k));
  }
}

void examine_block_backward(Exam& exam) {
  for (const Sizes& z : kBlocks) {
    const std::vector<Values> p = random_block(z);
    const Values dout = random_values(z.N() * z.C, 2);
    const BlockRun r = run_block(p.back(), p.data(), z, {});
    const std::vector<Values> gradients = block_gradients(p, dout, z);
    begin_trace();
    const Tensors tensors{exam.call(block_text("block_backward", z)), z};
    float* dstream = tensors.named("dstream", tensors.s.accumulator(dout));
    const BlockParameters<float> d = tensors.block_gradients("d.");
    const SharedActivations shared = tensors.shared("shared.");
    const BlockActivations a = tensors.block("a.", &r);
    const float* x = tensors.input("x", p.back());
    ref::block_backward(dstream, d, shared, a, x, tensors.block_parameters("p.", p.data()), z.B,
                        z.T, shape_of(z), tensors.machine());
    Calls calls{z};
    calls.block_backward("dstream", "d.", "shared.", "a.", "x", "p.");
    const auto mistakes = [&](std::size_t which) -> std::vector<Mistake> {
      const auto of = [&, which](Variant wrong) {
        return [&, which, wrong] { return block_gradients(p, dout, z, wrong)[which]; };
      };
      return {variant(of({.hold_skip2 = true}),
                      "The gradient of mid comes through the MLP alone. mid also runs past the "
                      "MLP, straight to out: what dstream held must stay in it, and "
                      "layernorm_backward adds to that."),
              variant(of({.hold_skip1 = true}),
                      "The gradient of x comes through the attention alone. x also runs past it, "
                      "straight to mid: what dstream held must stay in it, and layernorm_backward "
                      "adds to that."),
              calls.mistake()};
    };
    expect_gradients(exam, "d.", d, gradients.data(), z, mistakes);
    exam.expect("dstream", dstream, gradients.back(), {{"b", z.B}, {"t", z.T}, {"c", z.C}},
                close_to(gradients.back()), mistakes(kBlockTensors));
    calls.expect_zeroed(exam);
  }
}

// A batch with repeated tokens and, where there is room, a target that is ignored.
struct Batch {
  std::vector<int> tokens, targets;
  int count = 0;
};
Batch random_batch(const Sizes& z) {
  Batch b{random_tokens(z.N(), z.V, 3), random_tokens(z.N(), z.V, 4)};
  if (z.N() > 1) b.tokens[1] = b.tokens[0];
  if (z.N() > 2) b.targets[2] = kIgnoreTarget;
  for (const int target : b.targets) b.count += target != kIgnoreTarget;
  return b;
}

// Everything that a pass of the whole machine is given.
struct Whole {
  GptActivations a;
  GptParameters<const float> p;
  GptParameters<float> d;
  const int *tokens = nullptr, *targets = nullptr;
};
std::string block_name(const char* of, int l) { return fmt::format("{}blocks[{}].", of, l); }

Whole whole(const Tensors& t, const std::vector<Values>& p, const Batch& batch, const GptRun* r) {
  const Sizes& z = t.z;
  const int N = z.N(), n = N * z.C;
  Whole w;
  const auto take = [&](const char* name, int count, const Values GptRun::*left) {
    return t.activation(name, count, r == nullptr ? nullptr : &(r->*left));
  };
  w.a.embedded = take("a.embedded", n, &GptRun::embedded);
  w.a.norm_f = take("a.norm_f", n, &GptRun::norm_f);
  w.a.mean_f = take("a.mean_f", N, &GptRun::mean_f);
  w.a.rstd_f = take("a.rstd_f", N, &GptRun::rstd_f);
  w.a.logits = take("a.logits", N * z.V, &GptRun::logits);
  w.a.losses = take("a.losses", N, &GptRun::losses), w.a.lse = take("a.lse", N, &GptRun::lse);
  w.a.dstream = t.named("a.dstream", t.s.accumulator(n, 32));
  w.a.shared = t.shared("a.shared.");
  w.tokens = t.input("tokens", batch.tokens), w.targets = t.input("targets", batch.targets);
  w.p.wte = t.input("p.wte", p[0]), w.p.wpe = t.input("p.wpe", p[1]);
  w.d.wte = t.named("d.wte", t.s.accumulator(z.V * z.C, 42));
  w.d.wpe = t.named("d.wpe", t.s.accumulator(z.max_T * z.C, 43));
  for (int l = 0; l < z.L; ++l) {
    w.a.blocks.push_back(t.block(block_name("a.", l), r == nullptr ? nullptr : &r->blocks[at(l)]));
    w.p.blocks.push_back(t.block_parameters(block_name("p.", l), &p[block_tensor(l, 0)]));
    w.d.blocks.push_back(t.block_gradients(block_name("d.", l)));
  }
  w.p.norm_f_weight = t.input("p.norm_f_weight", p[p.size() - 2]);
  w.p.norm_f_bias = t.input("p.norm_f_bias", p[p.size() - 1]);
  w.d.norm_f_weight = t.named("d.norm_f_weight", t.s.accumulator(z.C, 44));
  w.d.norm_f_bias = t.named("d.norm_f_bias", t.s.accumulator(z.C, 45));
  return w;
}

std::string stream_name(int l) { return l == 0 ? "a.embedded" : block_name("a.", l - 1) + "out"; }

Calls forward_calls(const Sizes& z) {
  const int N = z.N(), C = z.C;
  Calls calls{z};
  calls.add("embedding_forward", fmt::format("a.embedded, tokens, p.wte, N={}, C={}", N, C));
  calls.add("learned_positions_forward",
            fmt::format("a.embedded, a.embedded, p.wpe, B={}, T={}, C={}, start=0", z.B, z.T, C));
  for (int l = 0; l < z.L; ++l) {
    calls.block_forward(block_name("a.", l), "a.shared.", stream_name(l), block_name("p.", l));
  }
  calls.add("layernorm_forward",
            fmt::format("a.norm_f, a.mean_f, a.rstd_f, {}, p.norm_f_weight, p.norm_f_bias, N={}, "
                        "C={}, eps=1e-05",
                        stream_name(z.L), N, C));
  calls.add(
      "linear_forward",
      fmt::format("a.logits, a.norm_f, p.wte, nullptr, scratch, N={}, C={}, OC={}", N, C, z.V));
  calls.add("cross_entropy_forward",
            fmt::format("a.losses, a.lse, a.logits, targets, N={}, V={}", N, z.V));
  return calls;
}

void examine_forward(Exam& exam) {
  for (const Sizes& z : kMachines) {
    const std::vector<Values> p = random_parameters(z);
    const Batch batch = random_batch(z);
    const auto run = [&](Variant wrong) {
      return run_gpt(p, batch.tokens, batch.targets, z, wrong);
    };
    const GptRun r = run({});
    begin_trace();
    const Tensors tensors{exam.call(fmt::format("gpt_forward({})", text_of(z))), z};
    const Whole w = whole(tensors, p, batch, nullptr);
    ref::gpt_forward(w.a, w.tokens, w.targets, w.p, z.B, z.T, shape_of(z), tensors.machine());
    const Mistake by_calls = forward_calls(z).mistake();
    const auto expect = [&](const char* name, const float* buffer, const Values& values, int width,
                            const std::vector<Mistake>& mistakes) {
      const Shape shape =
          width == 0 ? Shape{{"b", z.B}, {"t", z.T}} : Shape{{"b", z.B}, {"t", z.T}, {"c", width}};
      exam.expect(name, buffer, values, shape, close_to(values), mistakes);
    };
    expect(
        "a.embedded", w.a.embedded, r.embedded, z.C,
        {variant([&] { return run({.positions = 0}).embedded; },
                 "The positions are missing: without them the machine cannot tell the order of "
                 "its tokens."),
         variant([&] { return run({.positions = 2}).embedded; }, "The positions are added twice."),
         by_calls});
    for (int l = 0; l < z.L; ++l) {
      const auto out = [&, l](Variant wrong) {
        return [&, l, wrong] { return run(wrong).blocks[at(l)].norm1; };
      };
      const auto qkv = [&, l](Variant wrong) {
        return [&, l, wrong] { return run(wrong).blocks[at(l)].qkv; };
      };
      expect_block(exam, block_name("a.", l), w.a.blocks[at(l)], r.blocks[at(l)], z,
                   {variant(out({.read_embeddings = true}),
                            "This block reads the embeddings again. A block reads the stream that "
                            "the block before it has left."),
                    variant(out({.first_weights = true}),
                            "Every block uses the weights of block 0. Each has its own."),
                    variant(qkv({.first_weights = true}),
                            "Every block uses the weights of block 0. Each has its own."),
                    by_calls});
    }
    expect("a.norm_f", w.a.norm_f, r.norm_f, z.C, {by_calls});
    expect("a.mean_f", w.a.mean_f, r.mean_f, 0, {by_calls});
    expect("a.rstd_f", w.a.rstd_f, r.rstd_f, 0, {by_calls});
    const bool softmax =
        std::any_of(trace().calls.begin(), trace().calls.end(),
                    [](const std::string& call) { return call.starts_with("softmax_forward"); });
    const Mistake twice = when([=](const Answer&) { return softmax; },
                               "The cross-entropy takes the logits as the head leaves them: its "
                               "softmax is its own. No softmax_forward before it.");
    expect("a.logits", w.a.logits, r.logits, z.V, {twice, by_calls});
    expect("a.lse", w.a.lse, r.lse, 0, {by_calls});
    expect("a.losses", w.a.losses, r.losses, 0, {by_calls});
  }
}

Calls backward_calls(const Sizes& z, int count) {
  const int N = z.N(), C = z.C;
  Calls calls{z};
  calls.add("softmax_cross_entropy_backward",
            fmt::format("a.logits, a.logits, a.lse, targets, N={}, V={}, scale={:.6g}", N, z.V,
                        1.0 / count));
  calls.zero("a.shared.dnorm", N * C);
  calls.add("linear_backward",
            fmt::format("a.shared.dnorm, d.wte, nullptr, a.logits, a.norm_f, p.wte, scratch, N={}, "
                        "C={}, OC={}",
                        N, C, z.V));
  calls.zero("a.dstream", N * C);
  calls.add("layernorm_backward",
            fmt::format("a.dstream, d.norm_f_weight, d.norm_f_bias, a.shared.dnorm, {}, "
                        "p.norm_f_weight, a.mean_f, a.rstd_f, scratch, N={}, C={}",
                        stream_name(z.L), N, C));
  for (int l = z.L - 1; l >= 0; --l) {
    calls.block_backward("a.dstream", block_name("d.", l), "a.shared.", block_name("a.", l),
                         stream_name(l), block_name("p.", l));
  }
  calls.add("learned_positions_backward",
            fmt::format("d.wpe, a.dstream, B={}, T={}, C={}, start=0", z.B, z.T, C));
  calls.add("embedding_backward", fmt::format("d.wte, a.dstream, tokens, N={}, C={}", N, C));
  return calls;
}

// Block 0 was differentiated before block 1.
bool blocks_from_the_first(const Sizes& z) {
  const auto place = [](const char* weight) {
    const auto& calls = trace().calls;
    return std::find_if(calls.begin(), calls.end(), [&](const std::string& call) {
      return call.starts_with("linear_backward") && call.find(weight) != std::string::npos;
    });
  };
  const auto first = place("d.blocks[0].down_weight"), second = place("d.blocks[1].down_weight");
  return z.L > 1 && second != trace().calls.end() && first < second;
}

void examine_backward(Exam& exam) {
  for (const Sizes& z : kMachines) {
    const std::vector<Values> p = random_parameters(z);
    const Batch batch = random_batch(z);
    const GptRun r = run_gpt(p, batch.tokens, batch.targets, z);
    const std::vector<Values> g = gpt_gradients(p, batch.tokens, batch.targets, batch.count, z);
    begin_trace();
    const Tensors tensors{
        exam.call(fmt::format("gpt_backward({}, count={})", text_of(z), batch.count)), z};
    const Whole w = whole(tensors, p, batch, &r);
    ref::gpt_backward(w.d, w.a, w.tokens, w.targets, batch.count, w.p, z.B, z.T, shape_of(z),
                      tensors.machine());
    const Calls calls = backward_calls(z, batch.count);
    const Mistake by_calls = calls.mistake();
    const auto mistakes_of = [&](std::size_t which) -> std::vector<Mistake> {
      Values over_all = g[which];
      for (double& value : over_all) value *= static_cast<double>(batch.count) / z.N();
      const auto of = [&, which](Variant wrong) {
        return [&, which, wrong] {
          return gpt_gradients(p, batch.tokens, batch.targets, batch.count, z, wrong)[which];
        };
      };
      std::vector<Mistake> list;
      if (batch.count < z.N()) {
        list.push_back(gives(over_all,
                             "This is the mean over all B T places. Ignored targets are no places "
                             "of the mean: divide by count."));
      }
      if (which == 0) {
        list.push_back(variant(of({.hold_embedding = true}),
                               "Only the head's gradient arrived at wte. The table serves twice, "
                               "and the embedding's gradient is missing."));
        list.push_back(variant(of({.hold_head = true}),
                               "Only the embedding's gradient arrived at wte. The table serves "
                               "twice, and the head's gradient is missing."));
      }
      list.push_back(when([&](const Answer&) { return blocks_from_the_first(z); },
                          "The blocks are differentiated from the first to the last. The gradient "
                          "comes from the head: the last block is the first one that it meets."));
      list.push_back(by_calls);
      return list;
    };
    const auto expect = [&](const std::string& name, const float* buffer, std::size_t which,
                            const Shape& shape) {
      exam.expect_added(name, buffer, g[which], shape, close_to(g[which]), mistakes_of(which));
    };
    const std::size_t last = block_tensor(z.L, 0);
    expect("d.norm_f_bias", w.d.norm_f_bias, last + 1, {{"c", z.C}});
    expect("d.norm_f_weight", w.d.norm_f_weight, last, {{"c", z.C}});
    for (int l = z.L - 1; l >= 0; --l) {
      const std::size_t first = block_tensor(l, 0);
      expect_gradients(exam, block_name("d.", l), w.d.blocks[at(l)], &g[first], z,
                       [&](std::size_t which) { return mistakes_of(first + which); });
    }
    expect("d.wpe", w.d.wpe, 1, {{"t", z.max_T}, {"c", z.C}});
    expect("d.wte", w.d.wte, 0, {{"v", z.V}, {"c", z.C}});
    calls.expect_zeroed(exam);
  }
}

}  // namespace

std::vector<Task> tasks() {
  return {{"11.block_forward", examine_block_forward},
          {"11.block_backward", examine_block_backward},
          {"11.gpt_forward", examine_forward},
          {"11.gpt_backward", examine_backward}};
}

}  // namespace tinygpt::lessons
