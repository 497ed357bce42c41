#include "tinygpt/io/json.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "tinygpt/core/error.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt {
namespace {

using nlohmann::json;

constexpr int kDeepest = 64;

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

}  // namespace tinygpt
