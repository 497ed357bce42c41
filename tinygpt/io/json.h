// JSON from files that may be hostile.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace tinygpt {

// Parses text. Throws Error, naming the file `name` and the offset, on anything that is not JSON
// (NaN and Infinity are not), on numbers that no double holds, on nesting beyond 64, and on an
// object that has the same key twice.
nlohmann::json parse_json(std::string_view text, const std::string& name);

}  // namespace tinygpt
