#include "tinygpt/adapt/calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>

#include "tinygpt/core/buffer.h"
#include "tinygpt/core/error.h"
#include "tinygpt/model/blocks.h"
#include "tinygpt/text/batches.h"

namespace tinygpt {
namespace {

// A pass over B sequences, whose activations are the model's own.
struct Walk {
  Walk(Gpt<float>& m, int sequences, int time)
      : model(m),
        acts(plan_activations<float>(m.config, m.purpose, m.max_batch, m.max_time, m.arena.data())),
        scratch(scratch_floats(m.config, m.ops, m.purpose, sequences, time, acts.logit_rows)),
        pass{m, acts, scratch.data(), sequences, time, sequences * time} {}

  Gpt<float>& model;
  Activations<float> acts;
  Buffer<float> scratch;
  Pass<float> pass;
};

// From the block's stream to the inputs of `until`, or, without one, to the MLP's branch.
void run_block(Walk& walk, int block, std::optional<BlockLinear> until) {
  const auto l = static_cast<std::size_t>(block);
  const BlockActivations<float>& a = walk.acts.blocks[l];
  const BlockOffsets& b = walk.model.layout.blocks[l];
  norm_forward(walk.pass, a.norm1, {b.norm1_weight, b.norm1_bias});
  if (until == BlockLinear::qkv) return;
  attention_branch_forward(walk.pass, block);
  if (until == BlockLinear::proj) return;
  residual_norm_forward(walk.pass, a.norm2, a.norm1, {b.norm2_weight, b.norm2_bias});
  if (until == BlockLinear::up) return;
  mlp_branch_forward(walk.pass, block);
}

const float* inputs_of(const BlockActivations<float>& a, BlockLinear linear) {
  switch (linear) {
    case BlockLinear::qkv:
      return a.norm1.out;
    case BlockLinear::proj:
      return a.att;
    case BlockLinear::up:
      return a.norm2.out;
    case BlockLinear::down:
      return a.act;
  }
  return nullptr;
}

// Calls use(walk, first token, tokens) with the stream in place for as many sequences at once as
// the model has room for.
template <class Use>
void for_batches(Gpt<float>& m, int sequences, int time, Use&& use) {
  for (int first = 0; first < sequences; first += m.max_batch) {
    Walk walk(m, std::min(m.max_batch, sequences - first), time);
    use(walk, std::int64_t{first} * time);
  }
}

void place_stream(Walk& walk, const Calibration& c, int block, std::int64_t first) {
  const std::int64_t C = walk.model.config.width;
  std::copy_n(c.stream.data() + first * C, walk.pass.N * C,
              walk.acts.blocks[static_cast<std::size_t>(block)].norm1.stream);
}

// X^T X is what a weight's gradient is where the gradient of the output is the input itself.
void add_products(LinearInputs& sums, const Gpt<float>& m, const float* x, int N) {
  const int C = sums.cols;
  const std::size_t n = sums.hessian.size();
  std::vector<float> product(n, 0.0f);
  Buffer<float> scratch(m.ops.linear_scratch_size(N, C, C));
  m.ops.linear_backward(nullptr, product.data(), nullptr, x, x, nullptr, scratch.data(), N, C, C);
  for (std::size_t i = 0; i < n; ++i) sums.hessian[i] += product[i];
}

}  // namespace

LinearPlace linear_place(const ParameterLayout& layout, const GptConfig& c, int block,
                         BlockLinear linear) {
  const BlockOffsets& b = layout.blocks[static_cast<std::size_t>(block)];
  switch (linear) {
    case BlockLinear::qkv:
      return {b.qkv_weight, b.qkv_bias, c.qkv_width(), c.width};
    case BlockLinear::proj:
      return {b.proj_weight, b.proj_bias, c.width, c.width};
    case BlockLinear::up:
      return {b.up_weight, b.up_bias, c.up_width(), c.width};
    case BlockLinear::down:
      return {b.down_weight, b.down_bias, c.width, c.hidden};
  }
  return {};
}

std::vector<int> draw_windows(const TokenFile& file, int sequences, int time, int boundary,
                              Random random) {
  std::vector<int> tokens(static_cast<std::size_t>(sequences) * static_cast<std::size_t>(time));
  std::vector<int> targets(tokens.size());
  next_batch(tokens, targets, file, sequences, time, boundary, random);
  return tokens;
}

Calibration start_calibration(Gpt<float>& m, const std::vector<int>& tokens, int time) {
  check(m.memory.allocate == host_memory().allocate,
        "calibration: the model must be in host memory");
  check(time >= 1 && time <= m.max_time && !tokens.empty() &&
            tokens.size() % static_cast<std::size_t>(time) == 0,
        [&] {
          return fmt::format("calibration: {} tokens are no whole windows of {} (at most {})",
                             tokens.size(), time, m.max_time);
        });
  for (const int token : tokens) {
    check(token >= 0 && token < m.config.vocab_size, [&] {
      return fmt::format("calibration: token {} is not in 0 .. {}", token, m.config.vocab_size - 1);
    });
  }
  const auto sequences = static_cast<int>(tokens.size() / static_cast<std::size_t>(time));
  Calibration c{sequences, time, {}};
  c.stream.resize(tokens.size() * static_cast<std::size_t>(m.config.width));
  for_batches(m, sequences, time, [&](Walk& walk, std::int64_t first) {
    std::copy_n(tokens.data() + first, walk.pass.N, walk.acts.tokens);
    embed_forward(walk.pass);
    const std::int64_t C = m.config.width;
    std::copy_n(walk.acts.blocks[0].norm1.stream, walk.pass.N * C, c.stream.data() + first * C);
  });
  return c;
}

LinearInputs collect_inputs(Gpt<float>& m, const Calibration& c, int block, BlockLinear linear) {
  LinearInputs sums;
  sums.cols = linear_place(m.layout, m.config, block, linear).cols;
  const auto C = static_cast<std::size_t>(sums.cols);
  sums.hessian.assign(C * C, 0.0);
  std::vector<double> magnitude(C, 0.0);
  for_batches(m, c.sequences, c.time, [&](Walk& walk, std::int64_t first) {
    place_stream(walk, c, block, first);
    run_block(walk, block, linear);
    const float* x = inputs_of(walk.acts.blocks[static_cast<std::size_t>(block)], linear);
    add_products(sums, m, x, walk.pass.N);
    for (std::size_t k = 0; k < static_cast<std::size_t>(walk.pass.N) * C; ++k) {
      magnitude[k % C] += std::fabs(x[k]);
    }
    sums.count += walk.pass.N;
  });
  for (const double sum : magnitude) {
    sums.magnitude.push_back(static_cast<float>(sum / static_cast<double>(sums.count)));
  }
  return sums;
}

void pass_block(Gpt<float>& m, Calibration& c, int block) {
  for_batches(m, c.sequences, c.time, [&](Walk& walk, std::int64_t first) {
    place_stream(walk, c, block, first);
    run_block(walk, block, std::nullopt);
    const std::int64_t n = std::int64_t{walk.pass.N} * m.config.width;
    const float* before = walk.acts.blocks[static_cast<std::size_t>(block)].norm2.stream;
    m.ops.residual_forward(c.stream.data() + first * m.config.width, before, walk.acts.branch, n);
  });
}

}  // namespace tinygpt
