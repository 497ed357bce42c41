#include "tinygpt/io/json.h"

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/catch.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;
using nlohmann::json;

namespace {

template <class T>
std::string refusal(const char* text, T value = {}) {
  try {
    read_field(json::parse(text), "x", value);
  } catch (const Error& e) {
    return e.what();
  }
  return "it was accepted";
}

template <class T>
T accepted(const char* text) {
  T value{};
  read_field(json::parse(text), "x", value);
  return value;
}

}  // namespace

TEST_CASE("fields are read as they stand, to the ends of their types", "[io][json]") {
  CHECK(accepted<int>("{\"x\": -2147483648}") == std::numeric_limits<int>::min());
  CHECK(accepted<int>("{\"x\": 2147483647}") == std::numeric_limits<int>::max());
  CHECK(accepted<std::int64_t>("{\"x\": -9223372036854775808}") ==
        std::numeric_limits<std::int64_t>::min());
  CHECK(accepted<std::uint64_t>("{\"x\": 18446744073709551615}") ==
        std::numeric_limits<std::uint64_t>::max());
  CHECK(accepted<float>("{\"x\": 3}") == 3.0f);
  CHECK(accepted<double>("{\"x\": 1e300}") == 1e300);
  CHECK(accepted<bool>("{\"x\": true}"));
  CHECK(accepted<std::string>("{\"x\": \"a\"}") == "a");
}

TEST_CASE("a field that its type does not hold is refused, not rounded or wrapped around",
          "[io][json][hostile]") {
  for (const char* text : {"{\"x\": 2147483648}", "{\"x\": -2147483649}", "{\"x\": 4294967297}",
                           "{\"x\": 18446744073709551615}", "{\"x\": 1.0}", "{\"x\": 1e300}",
                           "{\"x\": true}", "{\"x\": \"1\"}", "{\"x\": null}", "{\"x\": [1]}"}) {
    CAPTURE(text);
    CHECK_THAT(refusal<int>(text), ContainsSubstring("x: "));
    CHECK_THAT(refusal<int>(text), ContainsSubstring("no whole number in range"));
  }
  CHECK_THAT(refusal<std::uint64_t>("{\"x\": -1}"), ContainsSubstring("no whole number in range"));
  CHECK_THAT(refusal<std::int64_t>("{\"x\": 9223372036854775808}"),
             ContainsSubstring("no whole number in range"));
  CHECK_THAT(refusal<float>("{\"x\": 1e39}"), ContainsSubstring("no number in range"));
  CHECK_THAT(refusal<float>("{\"x\": \"1\"}"), ContainsSubstring("no number in range"));
  CHECK_THAT(refusal<double>("{\"x\": false}"), ContainsSubstring("no number in range"));
  CHECK_THAT(refusal<bool>("{\"x\": 1}"), ContainsSubstring("not true or false"));
  CHECK_THAT(refusal<std::string>("{\"x\": 1}"), ContainsSubstring("no text"));
  for (const char* text : {"{}", "[]", "7", "null"}) {
    CAPTURE(text);
    CHECK_THAT(refusal<int>(text), ContainsSubstring("x: is missing"));
  }
}
