#include "tinygpt/text/grammar.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "tinygpt/core/error.h"

namespace tinygpt {
namespace {

// What a variable holds while a text is drawn or read.
struct Binding {
  int table = -1;
  int row = -1;
};
using Bindings = std::vector<Binding>;

// A field as it is in the table; whoever writes it minds piece.capital.
std::string_view field_text(const Grammar& grammar, const GrammarPiece& piece,
                            const Bindings& bindings) {
  const Binding& bound = bindings[static_cast<std::size_t>(piece.variable)];
  const GrammarTable& table = grammar.tables[static_cast<std::size_t>(bound.table)];
  const int column = piece.column_in[static_cast<std::size_t>(bound.table)];
  return table.rows[static_cast<std::size_t>(bound.row)][static_cast<std::size_t>(column)];
}

char with_case(char c, bool capital) {
  return capital && c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
}

// The row that a bind must not choose, or -1.
int forbidden_row(const GrammarPiece& piece, const Bindings& bindings) {
  if (piece.unlike < 0) return -1;
  const Binding& other = bindings[static_cast<std::size_t>(piece.unlike)];
  return other.table == piece.table ? other.row : -1;
}

// Marks that no space goes before, though a text that turned out empty may have left one due.
bool is_closing(char c) { return c == '.' || c == ',' || c == '!' || c == '?'; }

// Spaces are due, not written: so an empty text between two spaces leaves one.
struct Writer {
  std::string text;
  bool space_due = false;
  double log_p = 0;
  void add(std::string_view part, bool capital = false) {
    if (part.empty()) return;
    if (space_due && !text.empty() && !is_closing(part[0])) text += ' ';
    space_due = false;
    text += with_case(part[0], capital);
    text += part.substr(1);
  }
};

void draw_rule(const Grammar& grammar, int rule_index, Random& random, Bindings& bindings,
               Writer& writer) {
  const GrammarRule& rule = grammar.rules[static_cast<std::size_t>(rule_index)];
  double x = random.uniform() * rule.total_weight;
  std::size_t choice = 0;
  while (choice + 1 < rule.alternatives.size() && x >= rule.alternatives[choice].weight) {
    x -= rule.alternatives[choice++].weight;
  }
  writer.log_p += std::log(rule.alternatives[choice].weight / rule.total_weight);
  for (const GrammarPiece& piece : rule.alternatives[choice].pieces) {
    switch (piece.kind) {
      case GrammarPiece::Kind::literal:
        writer.space_due = writer.space_due || piece.space_before;
        writer.add(piece.text);
        writer.space_due = writer.space_due || piece.space_after;
        break;
      case GrammarPiece::Kind::field:
        writer.add(field_text(grammar, piece, bindings), piece.capital);
        break;
      case GrammarPiece::Kind::rule:
        draw_rule(grammar, piece.rule, random, bindings, writer);
        break;
      case GrammarPiece::Kind::bind: {
        const auto rows = grammar.tables[static_cast<std::size_t>(piece.table)].rows.size();
        const int forbidden = forbidden_row(piece, bindings);
        const std::size_t choices = rows - (forbidden >= 0 ? 1 : 0);
        int row = static_cast<int>(random.below(choices));
        writer.log_p -= std::log(static_cast<double>(choices));
        if (forbidden >= 0 && row >= forbidden) ++row;
        bindings[static_cast<std::size_t>(piece.variable)] = {piece.table, row};
        break;
      }
    }
  }
}

// What remains to be read: pieces from `next` on, then what the caller still has.
struct Frame {
  const std::vector<GrammarPiece>* pieces = nullptr;
  std::size_t next = 0;
  const Frame* then = nullptr;
};

// Reads a text against the grammar, following every alternative that still fits. Bindings are taken
// back on the way out of a branch.
struct Reader {
  const Grammar& grammar;
  std::string_view text;
  Bindings bindings;

  bool take(std::string_view part, bool capital, std::size_t& at, bool& space_due) const {
    if (part.empty()) return true;
    if (space_due && at > 0 && !is_closing(part[0])) {
      if (at >= text.size() || text[at] != ' ') return false;
      ++at;
    }
    space_due = false;
    if (at >= text.size() || text[at] != with_case(part[0], capital)) return false;
    if (text.substr(at + 1, part.size() - 1) != part.substr(1)) return false;
    at += part.size();
    return true;
  }

  // The probability of the rest of the text, given what remains and what is bound.
  double rest(std::size_t at, bool space_due, Frame frame) {
    while (true) {
      while (frame.next == frame.pieces->size()) {
        if (frame.then == nullptr) return at == text.size() ? 1.0 : 0.0;
        frame = *frame.then;
      }
      const GrammarPiece& piece = (*frame.pieces)[frame.next++];
      switch (piece.kind) {
        case GrammarPiece::Kind::literal:
          space_due = space_due || piece.space_before;
          if (!take(piece.text, false, at, space_due)) return 0.0;
          space_due = space_due || piece.space_after;
          break;
        case GrammarPiece::Kind::field:
          if (!take(field_text(grammar, piece, bindings), piece.capital, at, space_due)) return 0.0;
          break;
        case GrammarPiece::Kind::rule:
          return after_choice(piece, at, space_due, frame);
        case GrammarPiece::Kind::bind:
          return after_bind(piece, at, space_due, frame);
      }
    }
  }

  double after_choice(const GrammarPiece& piece, std::size_t at, bool space_due,
                      const Frame& frame) {
    const GrammarRule& rule = grammar.rules[static_cast<std::size_t>(piece.rule)];
    double sum = 0.0;
    for (const GrammarAlternative& alternative : rule.alternatives) {
      const double p = rest(at, space_due, {&alternative.pieces, 0, &frame});
      sum += alternative.weight / rule.total_weight * p;
    }
    return sum;
  }

  double after_bind(const GrammarPiece& piece, std::size_t at, bool space_due, const Frame& frame) {
    const auto rows = grammar.tables[static_cast<std::size_t>(piece.table)].rows.size();
    const int forbidden = forbidden_row(piece, bindings);
    const auto variable = static_cast<std::size_t>(piece.variable);
    const Binding before = bindings[variable];
    double sum = 0.0;
    for (int row = 0; row < static_cast<int>(rows); ++row) {
      if (row == forbidden) continue;
      bindings[variable] = {piece.table, row};
      sum += rest(at, space_due, frame);
    }
    bindings[variable] = before;
    return sum / static_cast<double>(rows - (forbidden >= 0 ? 1 : 0));
  }
};

}  // namespace

int find_rule(const Grammar& grammar, std::string_view name) {
  for (std::size_t i = 0; i < grammar.rules.size(); ++i) {
    if (!name.empty() && grammar.rules[i].name == name) return static_cast<int>(i);
  }
  throw Error(fmt::format("grammar: there is no rule [{}] to start from", name));
}

Drawn draw(const Grammar& grammar, int start_rule, Random& random) {
  Bindings bindings(grammar.variables.size());
  Writer writer;
  draw_rule(grammar, start_rule, random, bindings, writer);
  return {std::move(writer.text), writer.log_p};
}

double log_probability(const Grammar& grammar, int start_rule, std::string_view text) {
  Reader reader{grammar, text, Bindings(grammar.variables.size())};
  GrammarPiece start;
  start.kind = GrammarPiece::Kind::rule;
  start.rule = start_rule;
  const std::vector<GrammarPiece> pieces = {start};
  const double p = reader.rest(0, false, {&pieces, 0, nullptr});
  return p > 0.0 ? std::log(p) : -std::numeric_limits<double>::infinity();
}

}  // namespace tinygpt
