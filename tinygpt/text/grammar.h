// A weighted grammar with memory: it draws stories, and it knows the probability of each.
//
// The syntax is described at the top of datasets/tinytales.grammar. A grammar is finite (rules may
// not refer to themselves) and every choice in it has a known probability, so the entropy of its
// texts is known exactly, which no corpus written by people can offer.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tinygpt/core/random.h"

namespace tinygpt {

// A table of rows to choose from, such as persons with their names and pronouns.
struct GrammarTable {
  std::string name;
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
};

// A piece of an alternative.
struct GrammarPiece {
  enum class Kind { literal, rule, bind, field };
  Kind kind = Kind::literal;
  std::string text;           // literal: without the spaces around it
  bool space_before = false;  // literal: a space is due before it, and after it
  bool space_after = false;
  int rule = -1;               // rule
  int variable = -1;           // bind and field
  int table = -1;              // bind
  int unlike = -1;             // bind: the variable whose row is not to be chosen, or -1
  std::string column;          // field
  std::vector<int> column_in;  // field: by table, the index of the column there, or -1
  bool capital = false;        // field: begins with a capital letter
  int line = 0;
};

struct GrammarAlternative {
  double weight = 1;
  std::vector<GrammarPiece> pieces;
};

struct GrammarRule {
  std::string name;  // empty for a choice in the middle of a line
  int line = 0;
  bool is_start = false;  // texts may begin with it
  double total_weight = 0;
  std::vector<GrammarAlternative> alternatives;
};

struct Grammar {
  std::vector<GrammarRule> rules;
  std::vector<GrammarTable> tables;
  std::vector<std::string> variables;
};

// Throws Error with file, line and what to do: on syntax, unknown names, weights that are not
// positive, rules that reach themselves, variables that are read before they are surely bound, and
// rules and tables that nothing uses. Where no rule is marked as a start, those that no other rule
// refers to are.
Grammar parse_grammar(std::string_view text, std::string_view file_name);

// The index of a rule to start from; throws Error when there is none of that name.
int find_rule(const Grammar& grammar, std::string_view name);

// A text, and the natural logarithm of the probability of the choices that made it.
struct Drawn {
  std::string text;
  double log_p = 0;
};

// The same random state gives the same text.
Drawn draw(const Grammar& grammar, int start_rule, Random& random);
inline std::string draw_text(const Grammar& grammar, int start_rule, Random& random) {
  return draw(grammar, start_rule, random).text;
}

// The natural logarithm of the probability that draw_text gives exactly this text, summed over all
// the ways to derive it; -infinity where there is none. So it is also the test whether a text is
// well-formed.
double log_probability(const Grammar& grammar, int start_rule, std::string_view text);

// Known without drawing anything.
struct GrammarSize {
  // The mean of -log p over all texts, in nats. Exact where no text can be made in two ways (for
  // tinytales a test shows it); otherwise the texts' entropy is a little lower.
  double entropy = 0;
  double log10_texts = 0;  // the decimal logarithm of how many texts there are
};
GrammarSize measure_grammar(const Grammar& grammar, int start_rule);

}  // namespace tinygpt
