#include "tinygpt/infer/generate.h"

#include <algorithm>

#include "tinygpt/core/error.h"

namespace tinygpt {

std::vector<int> generate(Gpt<float>& model, std::span<const int> prompt,
                          const GenerateSettings& settings, const OnToken& on_token) {
  check(!prompt.empty(), "generate: the prompt is empty: give at least one token");
  check(settings.max_tokens >= 0, "--max-tokens: must be at least 0");
  check_sampling(settings.sampling);
  const auto room = static_cast<std::size_t>(std::min(model.max_time, model.config.context_length));
  constexpr std::uint64_t kSamplingStream = 3;
  Random random{settings.seed, 0, kSamplingStream};
  std::vector<int> text(prompt.begin(), prompt.end());
  std::vector<float> logits(static_cast<std::size_t>(model.config.vocab_size));
  std::size_t start = text.size() > room ? text.size() - room : 0;
  for (int i = 0; i < settings.max_tokens; ++i) {
    if (text.size() - start > room) start = text.size() - std::max<std::size_t>(room / 2, 1);
    const std::span<const int> window = std::span<const int>(text).subspan(start);
    forward(model, window, {}, 1, static_cast<int>(window.size()));
    copy_last_logits(model, 0, std::span<float>(logits));
    const int token = sample_token(logits, settings.sampling, random);
    if (token == settings.stop_token) break;
    text.push_back(token);
    if (on_token && !on_token(token)) break;
  }
  text.erase(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(prompt.size()));
  return text;
}

}  // namespace tinygpt
