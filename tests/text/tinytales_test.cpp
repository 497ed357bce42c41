#include "tinygpt/text/tinytales.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tinygpt/core/error.h"
#include "tinygpt/text/tokenizer.h"

using namespace tinygpt;

namespace {

Grammar tinytales() { return parse_grammar(tinytales_grammar_text(), "tinytales.grammar"); }

std::size_t row_count(const Grammar& grammar, const char* table) {
  for (const GrammarTable& t : grammar.tables) {
    if (t.name == table) return t.rows.size();
  }
  return 0;
}

std::string row_field(const Grammar& grammar, const char* table, std::size_t row,
                      std::size_t column) {
  for (const GrammarTable& t : grammar.tables) {
    if (t.name == table) return t.rows.at(row).at(column);
  }
  throw Error(std::string("the test asks for a table that is not there: ") + table);
}

}  // namespace

TEST_CASE("no tinytales story can be made in two ways", "[grammar][tinytales]") {
  for (const TinytalesStyle& style : tinytales_styles()) {
    const Grammar grammar = parse_grammar(style.grammar, style.file);
    const int start = find_rule(grammar, "story");
    for (std::uint64_t i = 0; i < 3000; ++i) {
      Random random{77, 0, i};
      const Drawn drawn = draw(grammar, start, random);
      INFO(style.corpus << ": " << drawn.text);
      // One derivation's probability is the text's: so there is no other.
      REQUIRE(log_probability(grammar, start, drawn.text) == Approx(drawn.log_p).epsilon(1e-12));
    }
  }
}

TEST_CASE(
    "letters are told in words that a reader of tinytales knows, and are no story of its grammar",
    "[grammar][tinytales]") {
  CHECK(tinytales_style("").grammar == tinytales_grammar_text());
  CHECK_THROWS_WITH(tinytales_style("opera"), ContainsSubstring("there are: letters"));
  const TinytalesStyle style = tinytales_style("letters");
  CHECK(style.corpus == "tinytales-letters");
  const Grammar plain = tinytales(), letters = parse_grammar(style.grammar, style.file);
  // Tokens, not words alone: with a capital, or behind a quote, a word is another token.
  std::string text;
  for (const std::string& story : draw_stories(plain, 1, 0, 8000)) text += story + "\n";
  const Tokenizer tokenizer = train_bpe_tokenizer(text, 2048, {});
  const std::vector<int> read = encode(tokenizer, text);
  const std::set<int> known(read.begin(), read.end());
  for (const std::string& letter : draw_stories(letters, 4, 0, 3000)) {
    INFO(letter);
    REQUIRE(std::isinf(log_probability(plain, find_rule(plain, "story"), letter)));
    for (const int token : encode(tokenizer, letter)) REQUIRE(known.contains(token));
    for (const char* broken :
         {"  ", " a a", " a e", " a i", " a o", " a u", " .", " ,", "{", "|"}) {
      REQUIRE(letter.find(broken) == std::string::npos);
    }
    REQUIRE(letter.size() < 700);
  }
}

TEST_CASE("the entropy computed from the rules is the mean surprise of stories",
          "[grammar][tinytales]") {
  for (const TinytalesStyle& style : tinytales_styles()) {
    const Grammar grammar = parse_grammar(style.grammar, style.file);
    const int start = find_rule(grammar, "story");
    const GrammarSize size = measure_grammar(grammar, start);
    constexpr int kStories = 20'000;
    double sum = 0, squares = 0;
    for (std::uint64_t i = 0; i < kStories; ++i) {
      Random random{78, 0, i};
      const double nats = -draw(grammar, start, random).log_p;
      sum += nats;
      squares += nats * nats;
    }
    const double mean = sum / kStories;
    const double error = std::sqrt((squares / kStories - mean * mean) / kStories);
    INFO(style.corpus);
    CHECK(std::abs(mean - size.entropy) < 5 * error);
    CHECK(size.log10_texts > 9);  // too many to recite
  }
}

TEST_CASE("entropy and number of texts of a small grammar are those worked out by hand",
          "[grammar]") {
  const Grammar grammar = parse_grammar(
      "<t> name\na\nb\nc\n[s]\n(3) {x=t.name}{y=t!x.name}\n(1) [one|(3)two]\n", "small");
  const GrammarSize size = measure_grammar(grammar, find_rule(grammar, "s"));
  const auto h = [](double p) { return -p * std::log(p) - (1 - p) * std::log(1 - p); };
  CHECK(size.entropy == Approx(h(0.25) + 0.75 * std::log(3.0 * 2.0) + 0.25 * h(0.25)));
  CHECK(std::pow(10.0, size.log10_texts) == Approx(3 * 2 + 2));
  const Grammar even = parse_grammar("[s]\none [1|2|3|4] two [5|6]\n", "even");
  CHECK(measure_grammar(even, find_rule(even, "s")).entropy == Approx(std::log(8.0)));
}

TEST_CASE("rules marked as starts, and only they, may be left without a reference", "[grammar]") {
  const Grammar two = parse_grammar("[a] start\nx {c}\n[b] start\ny\n[c]\nz\n", "two");
  CHECK(two.rules.at(static_cast<std::size_t>(find_rule(two, "a"))).is_start);
  CHECK(two.rules.at(static_cast<std::size_t>(find_rule(two, "b"))).is_start);
  CHECK_FALSE(two.rules.at(static_cast<std::size_t>(find_rule(two, "c"))).is_start);
  const auto complains = [](const char* text, const char* about) {
    INFO(text);
    CHECK_THROWS_WITH(parse_grammar(text, "g"), ContainsSubstring(about));
  };
  complains("[a] start\nx\n[b]\ny\n", "g:3: nothing refers to rule [b]");
  complains("<t> name\na\nb\n[s]\nx\n", "nothing chooses from table <t>");
  complains("<t> name\na\n[s]\n{x=t.name}\n", "at least two rows");
  complains("[a] start\n{b}\n[b]\n{a}\n", "reaches itself");
  complains("[s]\nonly [one] way\n", "g:2: a choice needs at least two");
  complains("[s s]\nx\n", "g:1: write [rule]");
}

TEST_CASE("facts agree in every tinytales story", "[tinytales]") {
  const Grammar grammar = tinytales();
  const auto stories = draw_stories(grammar, 3, 0, 3000);
  int heroes = 0;
  for (const std::string& story : stories) {
    INFO(story);
    std::set<std::string> persons;
    std::set<std::string> pronouns;
    for (std::size_t row = 0; row < row_count(grammar, "person"); ++row) {
      const std::string name = row_field(grammar, "person", row, 0);
      for (const char* behind : {" ", ".", ",", "!"}) {
        if (story.find(name + behind) == std::string::npos) continue;
        persons.insert(name);
        pronouns.insert(row_field(grammar, "person", row, 1));
      }
    }
    REQUIRE(!persons.empty());
    REQUIRE(persons.size() <= 2);
    const bool grownups = story.find("Mom") != std::string::npos ||
                          story.find("Dad") != std::string::npos ||
                          story.find("Grand") != std::string::npos;
    if (persons.size() > 1 || grownups) continue;
    // One person alone: "he" and "she" never both.
    ++heroes;
    const bool he = story.find(" he ") != std::string::npos || story.find("He ") == 0;
    const bool she = story.find(" she ") != std::string::npos || story.find("She ") == 0;
    CHECK_FALSE((he && !pronouns.contains("he")));
    CHECK_FALSE((she && !pronouns.contains("she")));
  }
  CHECK(heroes > 500);
}

TEST_CASE("a story with one fact changed is not well-formed", "[tinytales]") {
  const Grammar grammar = tinytales();
  const int start = find_rule(grammar, "story");
  const std::vector<std::string> colors = {"red", "blue", "green", "yellow", "pink"};
  int changed = 0;
  for (const std::string& story : draw_stories(grammar, 4, 0, 2000)) {
    // A color that comes back: the first mention alone is replaced.
    for (const std::string& color : colors) {
      const std::string word = "a new " + color + " ";
      const auto first = story.find(word);
      if (first == std::string::npos) continue;
      const auto toy_end = story.find_first_of(" .", first + word.size());
      const std::string again =
          "the " + color + " " + story.substr(first + word.size(), toy_end - first - word.size());
      if (story.find(again, toy_end) == std::string::npos) continue;
      std::string other = story;
      other.replace(first, word.size(), "a new purple ");
      INFO(other);
      CHECK(std::isinf(log_probability(grammar, start, other)));
      ++changed;
    }
  }
  CHECK(changed >= 5);
}

TEST_CASE("the loss of stories is the sum of their surprises, and their bytes count the end",
          "[tinytales]") {
  const Grammar grammar = tinytales();
  const int start = find_rule(grammar, "story");
  const auto stories = draw_stories(grammar, 5, 0, 20);
  double nats = 0;
  std::int64_t bytes = 0;
  for (const std::string& story : stories) {
    nats -= log_probability(grammar, start, story);
    bytes += static_cast<std::int64_t>(story.size()) + 1;
  }
  CHECK(stories_nats(grammar, stories) == Approx(nats).epsilon(1e-12));
  CHECK(stories_bytes(stories) == bytes);
}

TEST_CASE("every row of the tinytales tables is drawn sooner or later", "[tinytales]") {
  const Grammar grammar = tinytales();
  std::set<std::string> words;
  for (const std::string& story : draw_stories(grammar, 6, 0, 5000)) {
    std::size_t at = 0;
    while (at < story.size()) {
      const std::size_t end = std::min(story.find(' ', at), story.size());
      words.insert(story.substr(at, end - at));
      at = end + 1;
    }
  }
  for (const GrammarTable& table : grammar.tables) {
    for (const auto& row : table.rows) {
      const bool found = std::any_of(words.begin(), words.end(), [&](const std::string& word) {
        return word.rfind(row[0].substr(row[0].rfind(' ') + 1), 0) == 0;
      });
      INFO(table.name << ": " << row[0]);
      CHECK(found);
    }
  }
}
