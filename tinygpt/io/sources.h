// datasets/sources.json: the real corpora that `tinygpt data` knows.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tinygpt/text/download.h"

namespace tinygpt {

struct Source {
  std::string name;
  std::string about;
  std::string license;
  std::string tokenizer;  // the kind that suits it
  RemoteFile train;
  std::optional<RemoteFile> validation;  // where it is published; else part of train is held out
};

// Throws Error, naming what is missing or malformed; `name` stands for the file in messages.
std::vector<Source> parse_sources(std::string_view json, const std::string& name);

// Those that are compiled in.
std::vector<Source> known_sources();

}  // namespace tinygpt
