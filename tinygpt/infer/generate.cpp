#include "tinygpt/infer/generate.h"

#include <algorithm>
#include <cstdint>

#include "tinygpt/core/bfloat16.h"
#include "tinygpt/core/error.h"

namespace tinygpt {
namespace {

// On the device, where it can draw a token itself; `logits` is room for the other case. Both give
// the same token, but where rounding decides.
template <class Real>
int next_token(const Gpt<Real>& model, const SamplingSettings& s, Random& random,
               std::vector<float>& logits) {
  if (model.ops.sample_token != nullptr && s.top_k == 0 && s.top_p == 1) {
    const double u = s.temperature == 0 ? 0.0 : random.uniform();
    return sample_last_token(model, 0, s.temperature, u);
  }
  logits.resize(static_cast<std::size_t>(model.config.vocab_size));
  copy_last_logits(model, 0, std::span<float>(logits));
  return sample_token(logits, s, random);
}

}  // namespace

template <class Real>
std::vector<int> generate(Gpt<Real>& model, std::span<const int> prompt,
                          const GenerateSettings& settings, const OnToken& on_token) {
  check(!prompt.empty(), "generate: the prompt is empty: give at least one token");
  check(settings.max_tokens >= 0, "--max-tokens: must be at least 0");
  check_sampling(settings.sampling);
  const auto room = static_cast<std::size_t>(std::min(model.max_time, model.config.context_length));
  constexpr std::uint64_t kSamplingStream = 3;
  Random random{settings.seed, 0, kSamplingStream};
  std::vector<int> text(prompt.begin(), prompt.end());
  std::vector<float> logits;
  std::size_t start = text.size() > room ? text.size() - room : 0;
  for (int i = 0; i < settings.max_tokens; ++i) {
    if (text.size() - start > room) start = text.size() - std::max<std::size_t>(room / 2, 1);
    const std::span<const int> window = std::span<const int>(text).subspan(start);
    forward(model, window, {}, 1, static_cast<int>(window.size()));
    const int token = next_token(model, settings.sampling, random, logits);
    if (token == settings.stop_token) break;
    text.push_back(token);
    if (on_token && !on_token(token)) break;
  }
  text.erase(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(prompt.size()));
  return text;
}

template std::vector<int> generate(Gpt<float>&, std::span<const int>, const GenerateSettings&,
                                   const OnToken&);
template std::vector<int> generate(Gpt<Bfloat16>&, std::span<const int>, const GenerateSettings&,
                                   const OnToken&);

}  // namespace tinygpt
