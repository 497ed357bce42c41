// How much choice there is in a grammar, computed from its rules alone.
#include <algorithm>
#include <cmath>

#include "tinygpt/text/grammar.h"

namespace tinygpt {
namespace {

// The table that each variable is bound to, or -1: a choice of a row "unlike y" has one row less
// where y is bound to the same table.
using Tables = std::vector<int>;

struct Size {
  double entropy = 0;    // nats
  double log_texts = 0;  // natural logarithm
};

Size measure_rule(const Grammar& grammar, int rule_index, Tables& tables);

// What follows is independent of the choices before, but for the bound tables: entropies add, and
// counts multiply.
Size measure_alternative(const Grammar& grammar, const GrammarAlternative& alternative,
                         Tables& tables) {
  Size sum;
  const auto add = [&](Size part) {
    sum.entropy += part.entropy;
    sum.log_texts += part.log_texts;
  };
  for (const GrammarPiece& piece : alternative.pieces) {
    if (piece.kind == GrammarPiece::Kind::rule) add(measure_rule(grammar, piece.rule, tables));
    if (piece.kind != GrammarPiece::Kind::bind) continue;
    const auto rows = grammar.tables[static_cast<std::size_t>(piece.table)].rows.size();
    const bool one_less =
        piece.unlike >= 0 && tables[static_cast<std::size_t>(piece.unlike)] == piece.table;
    const double choice = std::log(static_cast<double>(rows - (one_less ? 1 : 0)));
    add({choice, choice});
    tables[static_cast<std::size_t>(piece.variable)] = piece.table;
  }
  return sum;
}

// One alternative is taken: its own surprise, and the mean of what the alternatives hold; counts
// add, in logarithms taken from the greatest.
Size measure_rule(const Grammar& grammar, int rule_index, Tables& tables) {
  const GrammarRule& rule = grammar.rules[static_cast<std::size_t>(rule_index)];
  Size sum;
  std::vector<double> logs;
  Tables after = tables;
  for (const GrammarAlternative& alternative : rule.alternatives) {
    Tables bound = tables;
    const Size part = measure_alternative(grammar, alternative, bound);
    const double p = alternative.weight / rule.total_weight;
    sum.entropy += p * (part.entropy - std::log(p));
    logs.push_back(part.log_texts);
    // parse_grammar made sure that a variable is only relied on where all alternatives bind it to
    // the same table, so any alternative's will do.
    after = bound;
  }
  tables = after;
  const double most = *std::max_element(logs.begin(), logs.end());
  double scaled = 0;
  for (const double log : logs) scaled += std::exp(log - most);
  sum.log_texts = most + std::log(scaled);
  return sum;
}

}  // namespace

GrammarSize measure_grammar(const Grammar& grammar, int start_rule) {
  Tables tables(grammar.variables.size(), -1);
  const Size size = measure_rule(grammar, start_rule, tables);
  return {size.entropy, size.log_texts / std::log(10.0)};
}

}  // namespace tinygpt
