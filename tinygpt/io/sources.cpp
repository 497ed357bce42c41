#include "tinygpt/io/sources.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "tinygpt/core/error.h"

namespace tinygpt {
namespace {

using nlohmann::json;

RemoteFile remote_file(const json& value) {
  RemoteFile file{value.at("url").get<std::string>(), value.at("bytes").get<std::int64_t>(),
                  value.at("sha256").get<std::string>()};
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  check(file.sha256.size() == 64 && std::all_of(file.sha256.begin(), file.sha256.end(), is_hex),
        "a sha256 is not 64 hexadecimal digits in lower case");
  check(file.bytes > 0, "a size is not positive");
  return file;
}

}  // namespace

std::vector<Source> parse_sources(std::string_view text, const std::string& name) {
  try {
    std::vector<Source> sources;
    const json document = json::parse(text);
    check(document.is_object(), "must be an object of corpora by name");
    for (const auto& [key, value] : document.items()) {
      Source source;
      source.name = key;
      source.about = value.at("about").get<std::string>();
      source.license = value.at("license").get<std::string>();
      source.tokenizer = value.at("tokenizer").get<std::string>();
      source.train = remote_file(value.at("train"));
      if (value.contains("validation")) source.validation = remote_file(value.at("validation"));
      sources.push_back(std::move(source));
    }
    return sources;
  } catch (const json::exception& error) {
    throw Error(fmt::format("{}: {}", name, error.what()));
  } catch (const Error& error) {
    throw Error(fmt::format("{}: {}", name, error.what()));
  }
}

std::vector<Source> known_sources() {
  return parse_sources(sources_json(), "datasets/sources.json");
}

}  // namespace tinygpt
