#include "tinygpt/text/grammar.h"

#include <cmath>
#include <map>
#include <set>
#include <string>

#include "tests/support/catch.h"
#include "tinygpt/core/error.h"
#include "tinygpt/text/tinytales.h"

using namespace tinygpt;

namespace {

const char* const kSmall = R"(
<who> name / they
Lily / she
Tom / he
Ben / he
<color> name
red
blue
[story]
(3) {a=who.name} saw {b=who!a.name}. {more} {a.They} [waved|(2)ran].
{a=who.name} had a {c=color.name} hat. {a.They} liked {c.name}.
[more]
(3) -
The sky was {c=color.name}.
)";

}  // namespace

TEST_CASE("a grammar's probabilities are the frequencies of what it draws", "[grammar]") {
  const Grammar grammar = parse_grammar(kSmall, "small");
  const int start = find_rule(grammar, "story");
  std::map<std::string, int> counts;
  constexpr int kDraws = 200'000;
  Random random{1};
  for (int i = 0; i < kDraws; ++i) ++counts[draw_text(grammar, start, random)];
  double total = 0;
  for (const auto& [text, count] : counts) {
    const double p = std::exp(log_probability(grammar, start, text));
    total += p;
    CHECK(std::abs(count - kDraws * p) < 5 * std::sqrt(kDraws * p));
  }
  // Every text was drawn at least once, and together they are certain.
  CHECK(total == Approx(1.0).epsilon(1e-9));
  CHECK(counts.size() == 3 * 2 * 3 * 2 + 3 * 2);
}

TEST_CASE("a text that the grammar cannot draw has probability zero", "[grammar]") {
  const Grammar grammar = parse_grammar(kSmall, "small");
  const int start = find_rule(grammar, "story");
  const auto possible = [&](const char* text) {
    return std::isfinite(log_probability(grammar, start, text));
  };
  CHECK(possible("Lily had a red hat. She liked red."));
  CHECK_FALSE(possible("Lily had a red hat. She liked blue."));  // a fact changed
  CHECK_FALSE(possible("Lily had a red hat. He liked red."));    // the wrong pronoun
  CHECK_FALSE(possible("Tom saw Tom. He ran."));                 // the same person twice
  CHECK_FALSE(possible("Lily had a red hat. She liked red"));    // cut off
  CHECK_FALSE(possible("Lily had a red hat. She liked red. "));  // something behind it
  CHECK_FALSE(possible("Lily  had a red hat. She liked red."));  // a space too many
  CHECK_FALSE(possible(""));
}

TEST_CASE("derivations that write the same text add their probabilities", "[grammar]") {
  const Grammar grammar = parse_grammar("[s]\na b\n[a|c] b\n", "twice");
  CHECK(std::exp(log_probability(grammar, 0, "a b")) == Approx(0.75));
}

TEST_CASE("grammar mistakes are named with their line", "[grammar]") {
  const auto complains = [](const char* text, const char* about) {
    INFO(text);
    CHECK_THROWS_WITH(parse_grammar(text, "g"), ContainsSubstring(about));
  };
  complains("[s]\nthe {thing} ran\n", "g:2: there is no rule [thing]");
  complains("[s]\n{x.name} ran\n", "g:2: 'x' is not surely chosen");
  complains("<t> name\na\nb\n[s]\n{x=t.nam}\n", "no column 'nam'");
  complains("<t> name\na\nb\n[s]\n{x=u.name}\n", "no table <u>");
  complains("[s]\n{a}\n[a]\n{b}\n[b]\n{a}\n", "reaches itself");
  complains("[s]\n(0) text\n", "weight");
  complains("[s]\n(-1) text\n", "weight");
  complains("[s]\none [two|three\n", "not closed");
  complains("[s]\none ] two\n", "closing bracket");
  complains("[s]\n", "no alternative");
  complains("[s]\na\n[s]\nb\n", "is there already");
  complains("<t> a / b\nx\n", "has 2 columns");
  complains("text\n", "before the first");
  complains("<t> name\na\nb\n[s]\n[{x=t.name}|one] and {x.name}\n", "not surely chosen");
  complains("", "none can start");
  complains(("[s]\nx " + std::string(100, '[') + "a" + std::string(100, ']')).c_str(), "nested");
}

TEST_CASE("tinytales stories are well-formed, various and short", "[grammar][tinytales]") {
  const Grammar grammar = parse_grammar(tinytales_grammar_text(), "tinytales.grammar");
  const auto stories = draw_stories(grammar, 1, 0, 2000);
  const int start = find_rule(grammar, "story");
  const std::set<std::string> different(stories.begin(), stories.end());
  CHECK(different.size() == stories.size());
  for (const std::string& story : stories) {
    INFO(story);
    REQUIRE(std::isfinite(log_probability(grammar, start, story)));
    CHECK(story.size() < 700);
    CHECK(story.find("  ") == std::string::npos);
    CHECK(story.find(" .") == std::string::npos);
    CHECK(story.find_first_of("{}[]|") == std::string::npos);
    CHECK((story.back() == '.' || story.back() == '!'));
  }
}

TEST_CASE("story i of a seed is the same however many are drawn", "[grammar][tinytales]") {
  const Grammar grammar = parse_grammar(tinytales_grammar_text(), "tinytales.grammar");
  const auto many = draw_stories(grammar, 9, 0, 50);
  CHECK(draw_stories(grammar, 9, 20, 5) ==
        std::vector<std::string>(many.begin() + 20, many.begin() + 25));
  CHECK(draw_stories(grammar, 10, 0, 1)[0] != many[0]);
}

TEST_CASE("a review counts well-formed stories and those that were read before", "[tinytales]") {
  const Grammar grammar = parse_grammar(tinytales_grammar_text(), "tinytales.grammar");
  std::vector<std::string> stories = draw_stories(grammar, 1, 0, 3);
  const std::unordered_set<std::string> training = {stories[0]};
  stories.push_back(stories[1] + " And then?");
  const StoryReview review = review_stories(grammar, stories, training);
  CHECK(review.stories == 4);
  CHECK(review.well_formed == 3);
  CHECK(review.novel == 2);
}
