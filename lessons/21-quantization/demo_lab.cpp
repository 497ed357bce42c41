#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "lessons/21-quantization/lab.h"
#include "solutions/13-training-loop/batch.h"
#include "solutions/13-training-loop/schedule.h"
#include "solutions/21-quantization/awq.h"
#include "solutions/21-quantization/gptq.h"
#include "solutions/21-quantization/quantize.h"
#include "tinygpt/cpu/table.h"

namespace tinygpt::lessons {
namespace {

GptConfig small_model(int V) {
  GptConfig c;
  c.family = Family::llama;
  c.vocab_size = V;
  c.context_length = kTime;
  c.layers = 2;
  c.heads = c.kv_heads = 4;
  c.width = 64;
  c.hidden = 192;
  c.init_std = 0.08f;
  return c;
}

double log_sum_exp(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(x - largest);
  return largest + std::log(sum);
}

double divergence(std::span<const float> p, std::span<const float> q) {
  const double p_norm = log_sum_exp(p), q_norm = log_sum_exp(q);
  double sum = 0;
  for (std::size_t v = 0; v < p.size(); ++v) {
    const double log_p = p[v] - p_norm;
    sum += std::exp(log_p) * (log_p - (q[v] - q_norm));
  }
  return sum;
}

}  // namespace

// snippet: quantizers
Quantizers lesson_quantizers() {
  Quantizers q;
  q.quantize_q8_0 = ref::quantize_q8_0;
  q.quantize_q4_0 = ref::quantize_q4_0;
  q.dequantize_q8_0 = ref::dequantize_q8_0;
  q.dequantize_q4_0 = ref::dequantize_q4_0;
  q.gptq_quantize = ref::gptq_quantize;
  q.awq_scales = ref::awq_scales;
  return q;
}
// end of snippet

Text load_text(int stories) {
  const Stories drawn = make_stories(stories);
  Text text;
  std::vector<int> number(256, -1);
  const auto encode = [&](const std::string& from) {
    std::vector<int> tokens;
    for (const char byte : from) {
      int& n = number[static_cast<unsigned char>(byte)];
      if (n < 0) n = text.V++;
      tokens.push_back(n);
    }
    return tokens;
  };
  text.train = encode(drawn.train), text.validation = encode(drawn.validation);
  return text;
}

Gpt<float> train_model(const Text& text, int steps) {
  Gpt<float> model =
      make_gpt(small_model(text.V), cpu::ops(), host_memory(), Purpose::training, kBatch, kTime);
  init_parameters(model, 1);
  const auto n = static_cast<std::size_t>(model.layout.total);
  std::vector<float> m(n), v(n);
  std::vector<int> tokens(kBatch * kTime), targets(tokens.size());
  Random random{1};
  for (int step = 0; step < steps; ++step) {
    ref::next_batch(tokens, targets, text.train, kBatch, kTime, random);
    forward(model, tokens, targets, kBatch, kTime);
    zero_gradients(model);
    backward(model);
    AdamwSettings s;
    s.lr = ref::learning_rate_at(step, {8e-3f, 1e-5f, 20, steps});
    s.beta2 = 0.99f;
    s.weight_decay = 0;
    s.step = step + 1;
    model.ops.adamw_step(model.params(), nullptr, m.data(), v.data(), model.grads(),
                         model.layout.total, s);
    show_progress("training", step + 1, steps);
  }
  return model;
}

Gpt<float> copy_of(const Gpt<float>& model) {
  Gpt<float> copy =
      make_gpt(model.config, model.ops, model.memory, Purpose::inference, kBatch, kTime);
  std::copy_n(model.params(), model.layout.total, copy.params());
  return copy;
}

Quality measure(Gpt<float>& model, Gpt<float>& reference, const Text& text) {
  constexpr int kPasses = 24;
  const auto V = static_cast<std::size_t>(model.config.vocab_size);
  std::vector<int> tokens(kBatch * kTime), targets(tokens.size());
  std::vector<float> p(kTime * V), q(p.size());
  Quality sum;
  for (int pass = 0; pass < kPasses; ++pass) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const std::size_t at = static_cast<std::size_t>(pass) * tokens.size() + i;
      tokens[i] = text.validation[at], targets[i] = text.validation[at + 1];
    }
    sum.loss += double{forward(model, tokens, targets, kBatch, kTime)} / kPasses;
    forward(reference, tokens, {}, kBatch, kTime);
    for (int b = 0; b < kBatch; ++b) {
      copy_logits(reference, b, p);
      copy_logits(model, b, q);
      for (std::size_t t = 0; t < kTime; ++t) {
        sum.divergence +=
            divergence(std::span(p).subspan(t * V, V), std::span(q).subspan(t * V, V)) /
            (kPasses * kBatch * kTime);
      }
    }
  }
  return sum;
}

}  // namespace tinygpt::lessons
