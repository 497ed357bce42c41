// SHA-256, to know that a downloaded file is the one that was meant.
// FIPS 180-4, section 6.2.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace tinygpt {

// The digest as 64 hexadecimal digits.
std::string sha256(std::string_view data);
std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace tinygpt
