// Tables of text whose columns line up.
#pragma once

#include <string>
#include <vector>

#include "tinygpt/text/display_width.h"

namespace tinygpt::lessons {

using tinygpt::display_width;
// The text with spaces behind it (or before it) up to a width.
std::string padded(const std::string& text, int width, bool right = false);

// Texts to the left, numbers to the right: a column is one of numbers when every row of it begins
// with a digit, a sign or a point, or is empty or "-". Each line ends with a newline, and none with
// spaces. Throws Error where a row has not as many cells as there are headings.
std::string table_text(const std::vector<std::string>& headings,
                       const std::vector<std::vector<std::string>>& rows);
void print_table(const std::vector<std::string>& headings,
                 const std::vector<std::vector<std::string>>& rows);

}  // namespace tinygpt::lessons
