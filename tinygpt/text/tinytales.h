// tinytales: the corpus whose entropy is known.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "tinygpt/text/corpus.h"
#include "tinygpt/text/grammar.h"

namespace tinygpt {

// The grammar that was compiled into the program: datasets/tinytales.grammar.
std::string_view tinytales_grammar_text();

// The same kind of story in another voice: something for a model of tinytales to be adapted to.
struct TinytalesStyle {
  std::string corpus;        // "tinytales", "tinytales-letters"
  std::string_view grammar;  // that was compiled in
  std::string file;          // where it came from, for messages
};

// All of them; the first is tinytales itself.
std::vector<TinytalesStyle> tinytales_styles();

// By name, as in --style letters; "" is tinytales itself. Throws Error, listing the names.
TinytalesStyle tinytales_style(std::string_view name);

// Stories number first .. first + count - 1 of a seed. Each has a random sequence of its own, so
// story i is the same however many are drawn.
std::vector<std::string> draw_stories(const Grammar& grammar, std::uint64_t seed,
                                      std::int64_t first, std::int64_t count);

// What the best possible model would lose on these stories, in nats: the sum of -log p(story). An
// end token after each story costs nothing more, since the grammar says where a story ends.
double stories_nats(const Grammar& grammar, std::span<const std::string> stories);

// Bytes that the nats are divided by: the text, and one for the end token of each story.
std::int64_t stories_bytes(std::span<const std::string> stories);

// How good stories that a model wrote are.
struct StoryReview {
  int stories = 0;
  int well_formed = 0;  // the grammar could have drawn them, facts and all
  int novel = 0;        // of these, not in the training text
};
StoryReview review_stories(const Grammar& grammar, std::span<const std::string> stories,
                           const std::unordered_set<std::string>& training_stories);

}  // namespace tinygpt
