#include "tinygpt/io/sources.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "tests/support/catch.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;
using nlohmann::json;

namespace {

json one_source() {
  return {{"plays",
           {{"about", "Some plays"},
            {"license", "public domain"},
            {"tokenizer", "char"},
            {"train",
             {{"url", "https://example.org/plays.txt"},
              {"bytes", 5000000000},
              {"sha256", std::string(64, 'a')}}}}}};
}

// Why a list is refused, after the file's name; empty where it is read, or where the name is
// missing.
std::string reason(const std::string& text) {
  const std::string name = "folder/list.json";
  try {
    parse_sources(text, name);
  } catch (const Error& error) {
    const std::string message = error.what();
    return message.starts_with(name + ": ") ? message.substr(name.size() + 2) : "";
  }
  return "";
}

std::string reason(const json& document) { return reason(document.dump()); }

}  // namespace

TEST_CASE("a list of corpora is read field by field", "[io][sources]") {
  json document = one_source();
  document["tales"] = document["plays"];
  document["tales"]["validation"] = {
      {"url", "https://example.org/more.txt"}, {"bytes", 7}, {"sha256", std::string(64, '0')}};
  const std::vector<Source> sources = parse_sources(document.dump(), "list.json");
  REQUIRE(sources.size() == 2);
  CHECK(sources[0].name == "plays");
  CHECK(sources[0].about == "Some plays");
  CHECK(sources[0].license == "public domain");
  CHECK(sources[0].tokenizer == "char");
  CHECK(sources[0].train.url == "https://example.org/plays.txt");
  CHECK(sources[0].train.bytes == 5000000000);
  CHECK(sources[0].train.sha256 == std::string(64, 'a'));
  CHECK_FALSE(sources[0].validation);
  CHECK(sources[1].name == "tales");
  REQUIRE(sources[1].validation);
  CHECK(sources[1].validation->url == "https://example.org/more.txt");
  CHECK(sources[1].validation->bytes == 7);
  CHECK(parse_sources("{}", "list.json").empty());
}

TEST_CASE("a list that cannot be read is refused by its name", "[io][sources][hostile]") {
  for (const char* text : {"", "{", "nonsense", "[1, 2", "{\"a\": 1}", "{\"a\": []}", "[1]", "1",
                           "null", "\"plays\"", "{\"a\": {}, \"a\": {}}"}) {
    INFO(text);
    CHECK(reason(std::string(text)) != "");
  }
}

TEST_CASE("a field that is missing or of another type is refused by name",
          "[io][sources][hostile]") {
  for (const char* field : {"about", "license", "tokenizer", "train"}) {
    INFO(field);
    json document = one_source();
    document["plays"].erase(field);
    CHECK_THAT(reason(document), ContainsSubstring(field));
    document["plays"][field] = 1;
    CHECK(reason(document) != "");
  }
  for (const char* field : {"url", "bytes", "sha256"}) {
    INFO(field);
    json document = one_source();
    document["plays"]["train"].erase(field);
    CHECK_THAT(reason(document), ContainsSubstring(field));
    document["plays"]["train"][field] = json::array();
    CHECK(reason(document) != "");
  }
}

TEST_CASE("a digest or a size that no file can have is refused", "[io][sources][hostile]") {
  for (const std::string& digest : {std::string(63, 'a'), std::string(65, 'a'),
                                    std::string(64, 'A'), std::string(64, 'g'), std::string()}) {
    json document = one_source();
    document["plays"]["train"]["sha256"] = digest;
    INFO(digest);
    CHECK_THAT(reason(document), ContainsSubstring("sha256"));
  }
  for (const std::int64_t bytes : {0, -1}) {
    json document = one_source();
    document["plays"]["train"]["bytes"] = bytes;
    CHECK_THAT(reason(document), ContainsSubstring("size"));
  }
}

TEST_CASE("the corpora that are compiled in are complete", "[io][sources]") {
  std::set<std::string> names;
  for (const Source& source : known_sources()) {
    INFO(source.name);
    names.insert(source.name);
    CHECK_FALSE(source.about.empty());
    CHECK_FALSE(source.license.empty());
    CHECK(source.train.url.starts_with("https://"));
    const std::string& kind = source.tokenizer;
    CHECK((kind == "byte" || kind == "char" || kind == "bpe"));
  }
  CHECK(names.count("shakespeare") == 1);
  CHECK(names.count("tinystories") == 1);
}
