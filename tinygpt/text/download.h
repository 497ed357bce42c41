// Fetching the real corpora from where they are published.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace tinygpt {

struct Source {
  std::string_view name;
  std::string_view url;
  std::string_view sha256;  // empty where none is known: then the user has to give one
};

// The source of that name, or nullptr.
const Source* find_source(std::string_view name);

// Downloads url to `to` with the system's curl, continuing a download that broke off (to +
// ".part"), and takes the file only if its SHA-256 is the expected one. Throws Error where there is
// no curl, no network or another digest; a file that is complete but wrong is removed.
void download(std::string_view url, std::string_view expected_sha256,
              const std::filesystem::path& to);

// Throws Error, naming the file and both digests, unless the file has this SHA-256.
void check_digest(const std::filesystem::path& file, std::string_view expected_sha256);

}  // namespace tinygpt
