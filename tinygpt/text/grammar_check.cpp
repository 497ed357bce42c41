#include "tinygpt/text/grammar_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "tinygpt/core/error.h"

namespace tinygpt {
namespace {

struct Checker {
  Grammar& grammar;
  std::string_view file;
  int line = 0;

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(fmt::format("{}:{}: {}", file, line, what));
  }

  // Walks from a rule with the tables that each variable may be bound to (nothing: not surely
  // bound), and returns what is bound afterwards whichever alternative is taken.
  using Bound = std::vector<std::optional<int>>;
  Bound check_rule(int index, const Bound& before, std::vector<int>& path) {
    const GrammarRule& rule = grammar.rules[static_cast<std::size_t>(index)];
    if (std::find(path.begin(), path.end(), index) != path.end()) {
      line = rule.line;
      fail(fmt::format("rule [{}] reaches itself: texts would have no end", rule.name));
    }
    path.push_back(index);
    std::optional<Bound> after;
    for (const GrammarAlternative& a : rule.alternatives) {
      Bound bound = before;
      for (const GrammarPiece& piece : a.pieces) check_piece(piece, bound, path);
      if (!after) after = bound;
      for (std::size_t v = 0; v < bound.size(); ++v) {
        if ((*after)[v] != bound[v]) (*after)[v].reset();
      }
    }
    path.pop_back();
    return *after;
  }

  void check_piece(const GrammarPiece& piece, Bound& bound, std::vector<int>& path) {
    if (piece.kind == GrammarPiece::Kind::literal) return;
    if (piece.kind == GrammarPiece::Kind::rule) {
      bound = check_rule(piece.rule, bound, path);
      return;
    }
    line = piece.line;
    const auto name = [&](int v) { return grammar.variables[static_cast<std::size_t>(v)]; };
    if (piece.kind == GrammarPiece::Kind::bind) {
      if (piece.unlike >= 0 && !bound[static_cast<std::size_t>(piece.unlike)]) {
        fail(fmt::format("'{}' is not surely chosen before this line", name(piece.unlike)));
      }
      bound[static_cast<std::size_t>(piece.variable)] = piece.table;
      return;
    }
    const std::optional<int> at = bound[static_cast<std::size_t>(piece.variable)];
    if (!at) fail(fmt::format("'{}' is not surely chosen before this line", name(piece.variable)));
    const GrammarTable& t = grammar.tables[static_cast<std::size_t>(*at)];
    if (std::find(t.columns.begin(), t.columns.end(), piece.column) == t.columns.end()) {
      fail(fmt::format("table <{}> has no column '{}'", t.name, piece.column));
    }
  }

  // Texts begin with the rules that are marked so; where none is, with those that no rule refers
  // to. Whatever texts cannot reach is a mistake in the file.
  void check_from_starts() {
    const bool marked = std::any_of(grammar.rules.begin(), grammar.rules.end(),
                                    [](const GrammarRule& rule) { return rule.is_start; });
    const std::vector<bool> referred = referred_rules();
    bool any = false;
    for (std::size_t i = 0; i < grammar.rules.size(); ++i) {
      GrammarRule& rule = grammar.rules[i];
      if (!marked && !referred[i]) rule.is_start = true;
      line = rule.line;
      if (!rule.is_start && !referred[i]) {
        fail(fmt::format("nothing refers to rule [{}]: remove it, or write [{}] start", rule.name,
                         rule.name));
      }
      if (!rule.is_start) continue;
      std::vector<int> path;
      check_rule(static_cast<int>(i), Bound(grammar.variables.size()), path);
      any = true;
    }
    if (!any) {
      throw Error(fmt::format("{}: none can start: write [rule] start above a rule", file));
    }
  }

  std::vector<bool> referred_rules() const {
    std::vector<bool> referred(grammar.rules.size(), false);
    for_each_piece([&](const GrammarPiece& piece) {
      if (piece.kind == GrammarPiece::Kind::rule) {
        referred[static_cast<std::size_t>(piece.rule)] = true;
      }
    });
    return referred;
  }

  void check_tables_are_used() {
    std::vector<bool> used(grammar.tables.size(), false);
    for_each_piece([&](const GrammarPiece& piece) {
      if (piece.kind == GrammarPiece::Kind::bind)
        used[static_cast<std::size_t>(piece.table)] = true;
    });
    for (std::size_t i = 0; i < used.size(); ++i) {
      if (used[i]) continue;
      throw Error(fmt::format("{}: nothing chooses from table <{}>: remove it", file,
                              grammar.tables[i].name));
    }
  }

  template <class F>
  void for_each_piece(F&& f) const {
    for (const GrammarRule& rule : grammar.rules) {
      for (const GrammarAlternative& a : rule.alternatives) {
        for (const GrammarPiece& piece : a.pieces) f(piece);
      }
    }
  }
};

}  // namespace

void check_grammar(Grammar& grammar, std::string_view file_name) {
  Checker checker{grammar, file_name};
  checker.check_from_starts();
  checker.check_tables_are_used();
}

}  // namespace tinygpt
