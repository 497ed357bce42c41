#include "tinygpt/infer/evaluate.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "tinygpt/core/error.h"
#include "tinygpt/ops/cross_entropy.h"

namespace tinygpt {
namespace {

constexpr int kWindows = 8;  // in a batch, where no model says how many it has room for

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

bool is_there(const Predictor& p) { return p.model != nullptr || p.engine != nullptr; }

int vocabulary_of(const Predictor& p) {
  return p.model != nullptr ? p.model->config.vocab_size : p.engine->weights.config.vocab_size;
}

int room_of(const Predictor& p) { return p.model != nullptr ? p.model->max_batch : kWindows; }

// Windows of one batch, [B, T].
struct Windows {
  std::span<const int> tokens, targets;
  int B, T;

  std::span<const int> tokens_of(int b) const {
    return tokens.subspan(static_cast<std::size_t>(b) * static_cast<std::size_t>(T),
                          static_cast<std::size_t>(T));
  }
  int target(int b, std::size_t t) const {
    return targets[static_cast<std::size_t>(b) * static_cast<std::size_t>(T) + t];
  }
};

// Calls take(t, logits [V]) for each token of window b. A model has run over the batch before.
template <class Take>
void visit_logits(const Predictor& p, const Windows& w, int b, const Take& take) {
  const auto T = static_cast<std::size_t>(w.T);
  if (p.model != nullptr) {
    const auto V = static_cast<std::size_t>(vocabulary_of(p));
    std::vector<float> logits(T * V);
    copy_logits(*p.model, b, logits);
    for (std::size_t t = 0; t < T; ++t) take(t, std::span<const float>(logits).subspan(t * V, V));
    return;
  }
  Engine<float>& engine = *p.engine;
  const auto most =
      static_cast<std::size_t>(std::min(engine.settings.rows, engine.settings.logit_rows));
  const int sequence = add_sequence(engine);
  for (std::size_t first = 0; first < T; first += most) {
    const std::size_t count = std::min(most, T - first);
    const SequenceInput piece{sequence, w.tokens_of(b).subspan(first, count), WantLogits::all};
    run<float>(engine, {&piece, 1});
    for (std::size_t i = 0; i < count; ++i) take(first + i, logits_of(engine, static_cast<int>(i)));
  }
  remove_sequence(engine, sequence);
}

struct Sums {
  double loss = 0, divergence = 0;
};

// Over the targets that count, from the logits of each.
Sums sum_from_logits(const Predictor& predictor, const Predictor& reference, const Windows& w) {
  const auto V = static_cast<std::size_t>(vocabulary_of(predictor));
  std::vector<float> expected(is_there(reference) ? static_cast<std::size_t>(w.T) * V : 0);
  Sums sums;
  for (int b = 0; b < w.B; ++b) {
    if (is_there(reference)) {
      visit_logits(reference, w, b, [&](std::size_t t, std::span<const float> logits) {
        std::copy(logits.begin(), logits.end(),
                  expected.begin() + static_cast<std::ptrdiff_t>(t * V));
      });
    }
    visit_logits(predictor, w, b, [&](std::size_t t, std::span<const float> logits) {
      const int target = w.target(b, t);
      if (target == kIgnoreTarget) return;
      sums.loss += log_sum_exp(logits) - logits[static_cast<std::size_t>(target)];
      if (is_there(reference)) {
        sums.divergence +=
            divergence_of(std::span<const float>(expected).subspan(t * V, V), logits);
      }
    });
  }
  return sums;
}

Sums sum_batch(const Predictor& predictor, const Predictor& reference, const Windows& w,
               int counted) {
  if (predictor.model != nullptr && !is_there(reference)) {
    return {double{forward(*predictor.model, w.tokens, w.targets, w.B, w.T)} * counted, 0};
  }
  for (const Predictor* p : {&predictor, &reference}) {
    if (p->model != nullptr) forward(*p->model, w.tokens, {}, w.B, w.T);
  }
  return sum_from_logits(predictor, reference, w);
}

}  // namespace

Evaluation evaluate(const Predictor& predictor, const TokenFile& file, const ValidationPlan& plan,
                    std::int64_t most, const std::function<bool(double)>& progress,
                    const Predictor& reference) {
  check(is_there(predictor), "evaluate: there is nothing that predicts");
  check(!is_there(reference) || vocabulary_of(reference) == vocabulary_of(predictor),
        "evaluate: the reference has another vocabulary");
  const std::vector<std::int64_t> starts = validation_starts(file, plan, most);
  const auto T = static_cast<std::size_t>(plan.time);
  int at_once = room_of(predictor);
  if (is_there(reference)) at_once = std::min(at_once, room_of(reference));
  const auto room = static_cast<std::size_t>(at_once);
  std::vector<int> tokens(room * T), targets(room * T);
  Evaluation result;
  Sums sums;
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
    const Windows windows{std::span<const int>(tokens).first(B * T),
                          std::span<const int>(targets).first(B * T), static_cast<int>(B),
                          plan.time};
    const Sums more = sum_batch(predictor, reference, windows, counted);
    sums.loss += more.loss;
    sums.divergence += more.divergence;
    result.tokens += counted;
  }
  if (result.tokens > 0) {
    result.loss = sums.loss / static_cast<double>(result.tokens);
    result.divergence = sums.divergence / static_cast<double>(result.tokens);
  }
  return result;
}

}  // namespace tinygpt
