#include "tinygpt/train/log.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"

namespace tinygpt {
namespace {

// Whether a line is whole and about no later step.
bool is_kept(std::string_view line, int step) {
  const auto value = nlohmann::json::parse(line.begin(), line.end(), nullptr, false);
  if (!value.is_object()) return false;
  const auto at = value.find("step");
  return at == value.end() || (at->is_number() && *at <= step);
}

}  // namespace

TrainingLog::TrainingLog(const std::filesystem::path& folder, int step)
    : path_(folder / "log.jsonl") {
  std::string kept;
  if (step > 0 && std::filesystem::exists(path_)) {
    const std::string text = read_file(path_);
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = text.find('\n', at);
      if (end == std::string::npos) break;  // cut off
      if (is_kept(std::string_view(text).substr(at, end - at), step)) {
        kept.append(text, at, end + 1 - at);
      }
      at = end + 1;
    }
  }
  write_file_atomically(path_, kept);
  file_ = std::fopen(path_.c_str(), "a");
  check(file_ != nullptr, [&] { return fmt::format("{}: cannot be written", path_.string()); });
}

TrainingLog::~TrainingLog() { std::fclose(file_); }

void TrainingLog::write(const nlohmann::json& line) {
  fmt::print(file_, "{}\n", line.dump());
  check(std::fflush(file_) == 0,
        [&] { return fmt::format("{}: cannot be written: is the disk full?", path_.string()); });
}

}  // namespace tinygpt
