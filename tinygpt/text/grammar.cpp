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

std::string field_text(const Grammar& grammar, const GrammarPiece& piece,
                       const Bindings& bindings) {
  const Binding& bound = bindings[static_cast<std::size_t>(piece.variable)];
  const GrammarTable& table = grammar.tables[static_cast<std::size_t>(bound.table)];
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    if (table.columns[c] != piece.column) continue;
    std::string text = table.rows[static_cast<std::size_t>(bound.row)][c];
    if (piece.capital && text[0] >= 'a' && text[0] <= 'z')
      text[0] = static_cast<char>(text[0] - 32);
    return text;
  }
  throw Error(fmt::format("grammar, line {}: table <{}> has no column '{}'", piece.line, table.name,
                          piece.column));
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
  void add(std::string_view part) {
    if (part.empty()) return;
    if (space_due && !text.empty() && !is_closing(part[0])) text += ' ';
    space_due = false;
    text += part;
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
  for (const GrammarPiece& piece : rule.alternatives[choice].pieces) {
    switch (piece.kind) {
      case GrammarPiece::Kind::literal:
        writer.space_due = writer.space_due || piece.space_before;
        writer.add(piece.text);
        writer.space_due = writer.space_due || piece.space_after;
        break;
      case GrammarPiece::Kind::field:
        writer.add(field_text(grammar, piece, bindings));
        break;
      case GrammarPiece::Kind::rule:
        draw_rule(grammar, piece.rule, random, bindings, writer);
        break;
      case GrammarPiece::Kind::bind: {
        const auto rows = grammar.tables[static_cast<std::size_t>(piece.table)].rows.size();
        const int forbidden = forbidden_row(piece, bindings);
        int row = static_cast<int>(random.below(rows - (forbidden >= 0 ? 1 : 0)));
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

// Reads a text against the grammar, following every alternative that still fits.
struct Reader {
  const Grammar& grammar;
  std::string_view text;

  bool take(std::string_view part, std::size_t& at, bool& space_due) const {
    if (part.empty()) return true;
    if (space_due && at > 0 && !is_closing(part[0])) {
      if (at >= text.size() || text[at] != ' ') return false;
      ++at;
    }
    space_due = false;
    if (text.substr(at, part.size()) != part) return false;
    at += part.size();
    return true;
  }

  // The probability of the rest of the text, given what remains and what is bound.
  double rest(std::size_t at, bool space_due, Frame frame, const Bindings& bindings) const {
    while (true) {
      while (frame.next == frame.pieces->size()) {
        if (frame.then == nullptr) return at == text.size() ? 1.0 : 0.0;
        frame = *frame.then;
      }
      const GrammarPiece& piece = (*frame.pieces)[frame.next++];
      switch (piece.kind) {
        case GrammarPiece::Kind::literal:
          space_due = space_due || piece.space_before;
          if (!take(piece.text, at, space_due)) return 0.0;
          space_due = space_due || piece.space_after;
          break;
        case GrammarPiece::Kind::field:
          if (!take(field_text(grammar, piece, bindings), at, space_due)) return 0.0;
          break;
        case GrammarPiece::Kind::rule:
          return after_choice(piece, at, space_due, frame, bindings);
        case GrammarPiece::Kind::bind:
          return after_bind(piece, at, space_due, frame, bindings);
      }
    }
  }

  double after_choice(const GrammarPiece& piece, std::size_t at, bool space_due, const Frame& frame,
                      const Bindings& bindings) const {
    const GrammarRule& rule = grammar.rules[static_cast<std::size_t>(piece.rule)];
    double sum = 0.0;
    for (const GrammarAlternative& alternative : rule.alternatives) {
      const double p = rest(at, space_due, {&alternative.pieces, 0, &frame}, bindings);
      sum += alternative.weight / rule.total_weight * p;
    }
    return sum;
  }

  double after_bind(const GrammarPiece& piece, std::size_t at, bool space_due, const Frame& frame,
                    const Bindings& bindings) const {
    const auto rows = grammar.tables[static_cast<std::size_t>(piece.table)].rows.size();
    const int forbidden = forbidden_row(piece, bindings);
    Bindings bound = bindings;
    double sum = 0.0;
    for (int row = 0; row < static_cast<int>(rows); ++row) {
      if (row == forbidden) continue;
      bound[static_cast<std::size_t>(piece.variable)] = {piece.table, row};
      sum += rest(at, space_due, frame, bound);
    }
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

std::string draw_text(const Grammar& grammar, int start_rule, Random& random) {
  Bindings bindings(grammar.variables.size());
  Writer writer;
  draw_rule(grammar, start_rule, random, bindings, writer);
  return std::move(writer.text);
}

double log_probability(const Grammar& grammar, int start_rule, std::string_view text) {
  const Reader reader{grammar, text};
  const Bindings bindings(grammar.variables.size());
  GrammarPiece start;
  start.kind = GrammarPiece::Kind::rule;
  start.rule = start_rule;
  const std::vector<GrammarPiece> pieces = {start};
  const double p = reader.rest(0, false, {&pieces, 0, nullptr}, bindings);
  return p > 0.0 ? std::log(p) : -std::numeric_limits<double>::infinity();
}

}  // namespace tinygpt
