#include "lessons/support/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstddef>

#include "tinygpt/core/error.h"

namespace tinygpt::lessons {
namespace {

bool looks_like_number(const std::string& cell) {
  if (cell.empty() || cell == "-" || cell == "inf" || cell == "nan") return true;
  const std::size_t at = cell[0] == '-' || cell[0] == '+' ? 1 : 0;
  return at < cell.size() &&
         (std::isdigit(static_cast<unsigned char>(cell[at])) != 0 || cell[at] == '.');
}

}  // namespace

std::string padded(const std::string& text, int width, bool right) {
  const std::string spaces(static_cast<std::size_t>(std::max(0, width - display_width(text))), ' ');
  return right ? spaces + text : text + spaces;
}

std::string table_text(const std::vector<std::string>& headings,
                       const std::vector<std::vector<std::string>>& rows) {
  std::vector<int> widths;
  std::vector<bool> numbers;
  for (std::size_t c = 0; c < headings.size(); ++c) {
    int width = display_width(headings[c]);
    bool number = !rows.empty();
    for (const auto& row : rows) {
      check(row.size() == headings.size(), [&] {
        return fmt::format("a table's row has {} cells for {} headings", row.size(),
                           headings.size());
      });
      width = std::max(width, display_width(row[c]));
      number = number && looks_like_number(row[c]);
    }
    widths.push_back(width);
    numbers.push_back(number);
  }
  std::string out;
  const auto add = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (std::size_t c = 0; c < cells.size(); ++c) {
      if (c > 0) line += "  ";
      line += padded(cells[c], widths[c], numbers[c]);
    }
    out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  };
  add(headings);
  for (const auto& row : rows) add(row);
  return out;
}

void print_table(const std::vector<std::string>& headings,
                 const std::vector<std::vector<std::string>>& rows) {
  fmt::print("{}", table_text(headings, rows));
}

}  // namespace tinygpt::lessons
