#include "tinygpt/infer/evaluate.h"

#include <algorithm>
#include <span>
#include <vector>

namespace tinygpt {

Evaluation evaluate(Gpt<float>& model, const TokenFile& file, const ValidationPlan& plan,
                    std::int64_t most, const std::function<bool(double)>& progress) {
  const std::vector<std::int64_t> starts = validation_starts(file, plan, most);
  const auto T = static_cast<std::size_t>(plan.time);
  const auto room = static_cast<std::size_t>(model.max_batch);
  std::vector<int> tokens(room * T), targets(room * T);
  Evaluation result;
  double sum = 0;
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
    const float loss =
        forward(model, std::span<const int>(tokens).first(B * T),
                std::span<const int>(targets).first(B * T), static_cast<int>(B), plan.time);
    sum += double{loss} * counted;
    result.tokens += counted;
  }
  if (result.tokens > 0) result.loss = sum / static_cast<double>(result.tokens);
  return result;
}

}  // namespace tinygpt
