// JSON from files that may be hostile.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace tinygpt {

// Parses text. Throws Error, naming the file `name` and the offset, on anything that is not JSON
// (NaN and Infinity are not), on numbers that no double holds, on nesting beyond 64, and on an
// object that has the same key twice.
nlohmann::json parse_json(std::string_view text, const std::string& name);

// The value of a field as a number or truth value of C++, for which a JSON library would take any
// number, rounded or wrapped around. Throws Error, naming the field, where it is missing, of
// another kind, out of range or not finite.
void read_field(const nlohmann::json& object, const char* field, bool& value);
void read_field(const nlohmann::json& object, const char* field, int& value);
void read_field(const nlohmann::json& object, const char* field, std::int64_t& value);
void read_field(const nlohmann::json& object, const char* field, std::uint64_t& value);
void read_field(const nlohmann::json& object, const char* field, float& value);
void read_field(const nlohmann::json& object, const char* field, double& value);
void read_field(const nlohmann::json& object, const char* field, std::string& value);

}  // namespace tinygpt
