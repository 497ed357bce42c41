#include "tinygpt/infer/evaluate.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "tinygpt/core/error.h"
#include "tinygpt/ops/cross_entropy.h"

namespace tinygpt {
namespace {

// log(sum_v exp(logits[v]))
double log_sum_exp(std::span<const float> logits) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(x - largest);
  return largest + std::log(sum);
}

double divergence_of(std::span<const float> reference, std::span<const float> logits) {
  const double p_norm = log_sum_exp(reference), q_norm = log_sum_exp(logits);
  double sum = 0;
  for (std::size_t v = 0; v < logits.size(); ++v) {
    const double log_p = reference[v] - p_norm;
    sum += std::exp(log_p) * (log_p - (logits[v] - q_norm));
  }
  return sum;
}

// Of the last forward passes of both, summed over the targets that count.
double sum_of_divergences(const Gpt<float>& model, const Gpt<float>& reference,
                          std::span<const int> targets, int B, int T) {
  const auto V = static_cast<std::size_t>(model.config.vocab_size);
  std::vector<float> p(static_cast<std::size_t>(T) * V), q(p.size());
  double sum = 0;
  for (int b = 0; b < B; ++b) {
    copy_logits(reference, b, p);
    copy_logits(model, b, q);
    for (std::size_t t = 0; t < static_cast<std::size_t>(T); ++t) {
      if (targets[static_cast<std::size_t>(b * T) + t] == kIgnoreTarget) continue;
      sum += divergence_of(std::span(p).subspan(t * V, V), std::span(q).subspan(t * V, V));
    }
  }
  return sum;
}

}  // namespace

Evaluation evaluate(Gpt<float>& model, const TokenFile& file, const ValidationPlan& plan,
                    std::int64_t most, const std::function<bool(double)>& progress,
                    Gpt<float>* reference) {
  check(reference == nullptr || reference->config.vocab_size == model.config.vocab_size,
        "evaluate: the reference has another vocabulary");
  const std::vector<std::int64_t> starts = validation_starts(file, plan, most);
  const auto T = static_cast<std::size_t>(plan.time);
  const auto room = static_cast<std::size_t>(model.max_batch);
  std::vector<int> tokens(room * T), targets(room * T);
  Evaluation result;
  double sum = 0, divergence = 0;
  for (std::size_t first = 0; first < starts.size(); first += room) {
    if (progress && !progress(static_cast<double>(first) / static_cast<double>(starts.size()))) {
      break;
    }
    const std::size_t B = std::min(room, starts.size() - first);
    int counted = 0;
    for (std::size_t b = 0; b < B; ++b) {
      counted +=
          validation_window(std::span(tokens).subspan(b * T, T),
                            std::span(targets).subspan(b * T, T), file, starts[first + b], plan);
    }
    const auto in = std::span<const int>(tokens).first(B * T);
    const auto out = std::span<const int>(targets).first(B * T);
    const int batch = static_cast<int>(B);
    sum += double{forward(model, in, out, batch, plan.time)} * counted;
    if (reference != nullptr) {
      forward(*reference, in, {}, batch, plan.time);
      divergence += sum_of_divergences(model, *reference, out, batch, plan.time);
    }
    result.tokens += counted;
  }
  if (result.tokens > 0) {
    result.loss = sum / static_cast<double>(result.tokens);
    result.divergence = divergence / static_cast<double>(result.tokens);
  }
  return result;
}

}  // namespace tinygpt
