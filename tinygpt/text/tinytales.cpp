#include "tinygpt/text/tinytales.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>

#include "tinygpt/core/error.h"
#include "tinygpt/text/embedded_datasets.h"  // made by CMake from datasets/

namespace tinygpt {

std::string_view tinytales_grammar_text() { return kTinytalesGrammar; }

std::vector<TinytalesStyle> tinytales_styles() {
  return {{"tinytales", kTinytalesGrammar, "datasets/tinytales.grammar"},
          {"tinytales-letters", kTinytalesLettersGrammar, "datasets/tinytales-letters.grammar"}};
}

TinytalesStyle tinytales_style(std::string_view name) {
  std::string names;
  for (TinytalesStyle& style : tinytales_styles()) {
    const auto own = std::string_view(style.corpus).substr(std::string_view("tinytales").size());
    if (name.empty() ? own.empty() : own == fmt::format("-{}", name)) return style;
    if (!own.empty()) names += fmt::format("{}{}", names.empty() ? "" : ", ", own.substr(1));
  }
  throw Error(fmt::format("--style: there is no '{}'; there are: {}", name, names));
}

std::vector<std::string> draw_stories(const Grammar& grammar, std::uint64_t seed,
                                      std::int64_t first, std::int64_t count) {
  const int start = find_rule(grammar, "story");
  std::vector<std::string> stories;
  stories.reserve(static_cast<std::size_t>(count));
  for (std::int64_t i = first; i < first + count; ++i) {
    Random random{seed, 0, static_cast<std::uint64_t>(i)};
    stories.push_back(draw_text(grammar, start, random));
  }
  return stories;
}

double stories_nats(const Grammar& grammar, std::span<const std::string> stories) {
  const int start = find_rule(grammar, "story");
  double nats = 0;
  for (const std::string& story : stories) nats -= log_probability(grammar, start, story);
  return nats;
}

std::int64_t stories_bytes(std::span<const std::string> stories) {
  std::int64_t bytes = 0;
  for (const std::string& story : stories) bytes += static_cast<std::int64_t>(story.size()) + 1;
  return bytes;
}

StoryReview review_stories(const Grammar& grammar, std::span<const std::string> stories,
                           const std::unordered_set<std::string>& training_stories) {
  const int start = find_rule(grammar, "story");
  StoryReview review;
  for (const std::string& story : stories) {
    ++review.stories;
    if (!std::isfinite(log_probability(grammar, start, story))) continue;
    ++review.well_formed;
    if (!training_stories.contains(story)) ++review.novel;
  }
  return review;
}

}  // namespace tinygpt
