// Reading a grammar file: lines into tables and rules, and names into indices.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "tinygpt/core/error.h"
#include "tinygpt/text/grammar.h"
#include "tinygpt/text/grammar_check.h"

namespace tinygpt {
namespace {

std::string_view trimmed(std::string_view s) {
  const auto first = s.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return s.substr(first, s.find_last_not_of(" \t\r") - first + 1);
}

bool is_name(std::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

// The file while it is read. Rules are referred to by name until all are known.
struct Parser {
  std::string_view file;
  int line = 0;
  Grammar grammar;
  std::vector<std::string> wanted;  // wanted[i]: the rule that pieces with rule == -2 - i refer to

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(fmt::format("{}:{}: {}", file, line, what));
  }
  void need(bool ok, const char* what) const {
    if (!ok) fail(what);
  }

  int variable(std::string_view name) {
    need(!name.empty(), "a name is missing inside { }");
    for (std::size_t i = 0; i < grammar.variables.size(); ++i) {
      if (grammar.variables[i] == name) return static_cast<int>(i);
    }
    grammar.variables.emplace_back(name);
    return static_cast<int>(grammar.variables.size()) - 1;
  }

  int table(std::string_view name) const {
    for (std::size_t i = 0; i < grammar.tables.size(); ++i) {
      if (grammar.tables[i].name == name) return static_cast<int>(i);
    }
    fail(fmt::format("there is no table <{}> above this line", name));
  }

  void add_field(GrammarAlternative& to, int variable_index, std::string_view column) const {
    need(!column.empty(), "a column is missing: write {variable.column}");
    GrammarPiece piece;
    piece.kind = GrammarPiece::Kind::field;
    piece.variable = variable_index;
    piece.column = column;
    piece.line = line;
    if (piece.column[0] >= 'A' && piece.column[0] <= 'Z') {
      piece.capital = true;
      piece.column[0] = static_cast<char>(piece.column[0] + 32);
    }
    to.pieces.push_back(std::move(piece));
  }

  // {rule}, {x.col}, {x=table.col} or {x=table!y.col}, without the braces.
  void add_reference(GrammarAlternative& to, std::string_view body) {
    const auto dot = body.find('.');
    const auto equals = body.find('=');
    if (dot == std::string_view::npos) {
      need(equals == std::string_view::npos, "write {x=table.column}: the column is missing");
      GrammarPiece piece;
      piece.kind = GrammarPiece::Kind::rule;
      piece.rule = -2 - static_cast<int>(wanted.size());
      piece.line = line;
      wanted.emplace_back(body);
      to.pieces.push_back(std::move(piece));
      return;
    }
    const std::string_view column = body.substr(dot + 1);
    if (equals == std::string_view::npos) {
      add_field(to, variable(body.substr(0, dot)), column);
      return;
    }
    GrammarPiece piece;
    piece.kind = GrammarPiece::Kind::bind;
    piece.line = line;
    piece.variable = variable(body.substr(0, equals));
    std::string_view source = body.substr(equals + 1, dot - equals - 1);
    if (const auto bang = source.find('!'); bang != std::string_view::npos) {
      piece.unlike = variable(source.substr(bang + 1));
      source = source.substr(0, bang);
    }
    piece.table = table(source);
    const int bound = piece.variable;
    to.pieces.push_back(std::move(piece));
    add_field(to, bound, column);
  }

  void add_literal(GrammarAlternative& to, std::string_view text) const {
    if (text.empty()) return;
    GrammarPiece piece;
    piece.space_before = text.front() == ' ';
    piece.space_after = text.back() == ' ';
    piece.text = trimmed(text);
    piece.line = line;
    to.pieces.push_back(std::move(piece));
  }

  // A leading "(3)" is a weight.
  double take_weight(std::string_view& text) const {
    if (text.empty() || text.front() != '(') return 1.0;
    const auto close = text.find(')');
    double weight = 0;
    const char* end = text.data() + std::min(close, text.size());
    const auto read = std::from_chars(text.data() + 1, end, weight);
    if (close == std::string_view::npos || read.ec != std::errc() || read.ptr != end) return 1.0;
    need(weight > 0 && weight < 1e9, "a weight must be greater than 0 and less than 1e9");
    text.remove_prefix(close + 1);
    return weight;
  }

  // The pieces of one alternative; choices in brackets become rules without a name.
  GrammarAlternative alternative(std::string_view text) {
    GrammarAlternative result;
    result.weight = take_weight(text);
    std::size_t at = 0, literal = 0;
    while (at < text.size()) {
      const char c = text[at];
      need(c != '}' && c != ']' && c != '|',
           "a closing bracket or | stands without an opening one");
      if (c != '{' && c != '[') {
        ++at;
        continue;
      }
      add_literal(result, text.substr(literal, at - literal));
      const std::size_t end = closing(text, at);
      const std::string_view body = text.substr(at + 1, end - at - 1);
      if (c == '{') add_reference(result, body);
      else add_choice(result, body);
      at = literal = end + 1;
    }
    add_literal(result, text.substr(literal));
    return result;
  }

  // The bracket that closes the one at `open`.
  std::size_t closing(std::string_view text, std::size_t open) const {
    const char opener = text[open], closer = opener == '{' ? '}' : ']';
    int depth = 0;
    for (std::size_t i = open; i < text.size(); ++i) {
      if (text[i] == opener) ++depth;
      if (text[i] == closer && --depth == 0) return i;
      need(depth <= 50, "brackets are nested more than 50 deep");
    }
    fail(fmt::format("'{}' is not closed on this line", opener));
  }

  void add_choice(GrammarAlternative& to, std::string_view body) {
    GrammarRule rule;
    rule.line = line;
    std::size_t start = 0;
    int depth = 0;
    for (std::size_t i = 0; i <= body.size(); ++i) {
      if (i < body.size() && (body[i] == '[' || body[i] == '{')) ++depth;
      if (i < body.size() && (body[i] == ']' || body[i] == '}')) --depth;
      if (i < body.size() && (body[i] != '|' || depth > 0)) continue;
      rule.alternatives.push_back(alternative(body.substr(start, i - start)));
      start = i + 1;
    }
    need(rule.alternatives.size() > 1, "a choice needs at least two texts: [one|two]");
    GrammarPiece piece;
    piece.kind = GrammarPiece::Kind::rule;
    piece.rule = static_cast<int>(grammar.rules.size());
    piece.line = line;
    grammar.rules.push_back(std::move(rule));
    to.pieces.push_back(std::move(piece));
  }

  std::vector<std::string> fields(std::string_view text, char separator) const {
    std::vector<std::string> result;
    while (true) {
      const auto end = text.find(separator);
      result.emplace_back(trimmed(text.substr(0, end)));
      need(!result.back().empty(), "a field is empty");
      if (end == std::string_view::npos) return result;
      text.remove_prefix(end + 1);
    }
  }

  void start_table(std::string_view text) {
    const auto close = text.find('>');
    need(close != std::string_view::npos, "write <table> column / column");
    GrammarTable made;
    made.name = trimmed(text.substr(1, close - 1));
    made.columns = fields(text.substr(close + 1), '/');
    for (const GrammarTable& other : grammar.tables) {
      if (other.name == made.name) fail(fmt::format("table <{}> is there already", made.name));
    }
    grammar.tables.push_back(std::move(made));
  }

  void add_row(std::string_view text) {
    GrammarTable& last = grammar.tables.back();
    std::vector<std::string> row = fields(text, '/');
    if (row.size() != last.columns.size()) {
      fail(fmt::format("{} fields, but table <{}> has {} columns", row.size(), last.name,
                       last.columns.size()));
    }
    last.rows.push_back(std::move(row));
  }

  // "[name]" or "[name] start", which no alternative can look like: a choice has a "|".
  static bool is_header(std::string_view text) {
    const auto close = text.find_first_of("]|{");
    if (text.front() != '[' || close == std::string_view::npos || text[close] != ']') return false;
    const std::string_view behind = trimmed(text.substr(close + 1));
    return behind.empty() || behind == "start";
  }

  int start_rule(std::string_view text) {
    GrammarRule made;
    made.name = text.substr(1, text.find(']') - 1);
    made.line = line;
    made.is_start = text.back() != ']';
    need(is_name(made.name), "write [rule], of letters, digits, - and _");
    for (const GrammarRule& other : grammar.rules) {
      if (other.name == made.name) fail(fmt::format("rule [{}] is there already", made.name));
    }
    grammar.rules.push_back(std::move(made));
    return static_cast<int>(grammar.rules.size()) - 1;
  }

  void read(std::string_view text) {
    int rule = -1;  // the rule that lines belong to; -1: the last table
    while (!text.empty()) {
      const auto end = std::min(text.find('\n'), text.size());
      const std::string_view content = trimmed(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
      ++line;
      if (content.empty() || content.front() == '#') continue;
      if (content.front() == '<') {
        start_table(content);
        rule = -1;
      } else if (is_header(content)) {
        rule = start_rule(content);
      } else if (rule >= 0) {
        std::string_view body = content;
        GrammarAlternative made;
        made.weight = take_weight(body);
        const double weight = made.weight;
        if (trimmed(body) != "-") made = alternative(trimmed(body));
        made.weight = weight;
        grammar.rules[static_cast<std::size_t>(rule)].alternatives.push_back(std::move(made));
      } else {
        need(!grammar.tables.empty(), "a line before the first <table> or [rule]");
        add_row(content);
      }
    }
  }

  void resolve() {
    for (GrammarRule& rule : grammar.rules) {
      line = rule.line;
      if (rule.alternatives.empty()) fail(fmt::format("rule [{}] has no alternative", rule.name));
      for (GrammarAlternative& a : rule.alternatives) {
        rule.total_weight += a.weight;
        for (GrammarPiece& piece : a.pieces) {
          if (piece.kind != GrammarPiece::Kind::rule || piece.rule >= 0) continue;
          line = piece.line;
          const std::string& name = wanted[static_cast<std::size_t>(-2 - piece.rule)];
          const auto found =
              std::find_if(grammar.rules.begin(), grammar.rules.end(),
                           [&](const GrammarRule& r) { return !name.empty() && r.name == name; });
          if (found == grammar.rules.end()) fail(fmt::format("there is no rule [{}]", name));
          piece.rule = static_cast<int>(found - grammar.rules.begin());
        }
      }
    }
    for (const GrammarTable& t : grammar.tables) {
      if (t.rows.size() < 2) {
        throw Error(fmt::format("{}: table <{}> needs at least two rows", file, t.name));
      }
    }
  }

  void resolve_columns() {
    for (GrammarRule& rule : grammar.rules) {
      for (GrammarAlternative& a : rule.alternatives) {
        for (GrammarPiece& piece : a.pieces) {
          if (piece.kind != GrammarPiece::Kind::field) continue;
          for (const GrammarTable& t : grammar.tables) {
            const auto at = std::find(t.columns.begin(), t.columns.end(), piece.column);
            piece.column_in.push_back(
                at == t.columns.end() ? -1 : static_cast<int>(at - t.columns.begin()));
          }
        }
      }
    }
  }
};

}  // namespace

Grammar parse_grammar(std::string_view text, std::string_view file_name) {
  Parser parser;
  parser.file = file_name;
  parser.read(text);
  parser.resolve();
  check_grammar(parser.grammar, parser.file);
  parser.resolve_columns();
  return std::move(parser.grammar);
}

}  // namespace tinygpt
