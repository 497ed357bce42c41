// Fetching the real corpora from where they are published.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace tinygpt {

// A file on the network. It is taken only if it has this size and SHA-256.
struct RemoteFile {
  std::string url;
  std::int64_t bytes = 0;
  std::string sha256;
};

// The list of real corpora that was compiled into the program: datasets/sources.json.
std::string_view sources_json();

// Downloads a file to `to` with the system's curl, by way of to + ".part", from which a download
// that broke off goes on. Throws Error where there is no curl, no network or another content than
// the expected one; a file that is complete but wrong is removed.
void download(const RemoteFile& file, const std::filesystem::path& to);

// Throws Error, naming the file and both digests, unless the file has this SHA-256.
void check_digest(const std::filesystem::path& file, std::string_view expected_sha256);

}  // namespace tinygpt
