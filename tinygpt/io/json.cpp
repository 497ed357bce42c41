#include "tinygpt/io/json.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "tinygpt/core/error.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt {
namespace {

using nlohmann::json;

constexpr int kDeepest = 64;

const json& member(const json& object, const char* field) {
  check(object.is_object() && object.contains(field),
        [&] { return fmt::format("{}: is missing", field); });
  return object[field];
}

[[noreturn]] void refuse(const char* field, const json& value, const char* what) {
  throw Error(fmt::format("{}: {} is {}", field, quote_for_message(value.dump()), what));
}

template <class T>
void read_whole(const json& object, const char* field, T& value) {
  const json& found = member(object, field);
  // Not by comparing JSON values: the library compares signed and unsigned ones as C++ does.
  const bool fits = found.is_number_unsigned()  ? std::in_range<T>(found.get<std::uint64_t>())
                    : found.is_number_integer() ? std::in_range<T>(found.get<std::int64_t>())
                                                : false;
  if (!fits) refuse(field, found, "no whole number in range");
  value = found.get<T>();
}

template <class T>
void read_real(const json& object, const char* field, T& value) {
  const json& found = member(object, field);
  const bool fits =
      found.is_number() && std::abs(found.get<double>()) <= double{std::numeric_limits<T>::max()};
  if (!fits) refuse(field, found, "no number in range");
  value = static_cast<T>(found.get<double>());
}

}  // namespace

json parse_json(std::string_view text, const std::string& name) {
  std::vector<std::set<std::string>> keys;  // of the objects and arrays that are open
  const auto watch = [&](int /*depth*/, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start) {
      check(keys.size() < kDeepest,
            [&] { return fmt::format("{}: nested more than {} deep", name, kDeepest); });
      keys.emplace_back();
    } else if (event == json::parse_event_t::object_end ||
               event == json::parse_event_t::array_end) {
      keys.pop_back();
    } else if (event == json::parse_event_t::key) {
      const auto& key = value.get_ref<const std::string&>();
      check(keys.back().insert(key).second,
            [&] { return fmt::format("{}: has {} twice", name, quote_for_message(key)); });
    }
    return true;
  };
  try {
    return json::parse(text, watch);
  } catch (const json::parse_error& e) {
    throw Error(fmt::format("{}: not valid JSON at byte {}", name, e.byte));
  } catch (const json::exception&) {  // a number that no double can hold
    throw Error(fmt::format("{}: not valid JSON: a number is out of range", name));
  }
}

void read_field(const json& object, const char* field, bool& value) {
  const json& found = member(object, field);
  if (!found.is_boolean()) refuse(field, found, "not true or false");
  value = found.get<bool>();
}

void read_field(const json& object, const char* field, int& value) {
  read_whole(object, field, value);
}

void read_field(const json& object, const char* field, std::int64_t& value) {
  read_whole(object, field, value);
}

void read_field(const json& object, const char* field, std::uint64_t& value) {
  read_whole(object, field, value);
}

void read_field(const json& object, const char* field, float& value) {
  read_real(object, field, value);
}

void read_field(const json& object, const char* field, double& value) {
  read_real(object, field, value);
}

void read_field(const json& object, const char* field, std::string& value) {
  const json& found = member(object, field);
  if (!found.is_string()) refuse(field, found, "no text");
  value = found.get<std::string>();
}

}  // namespace tinygpt
