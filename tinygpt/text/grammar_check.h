// The checks that make a grammar safe to draw from.
#pragma once

#include <string_view>

#include "tinygpt/text/grammar.h"

namespace tinygpt {

// Decides which rules texts begin with, where the file marks none. Throws Error, naming file and
// line, when a rule reaches itself or is reached by nothing, a variable is used before it is surely
// chosen, a column is not in its table, or nothing chooses from a table. The grammar's names must
// be resolved.
void check_grammar(Grammar& grammar, std::string_view file_name);

}  // namespace tinygpt
