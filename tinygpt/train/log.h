// The training's log: one JSON object a line.
#pragma once

#include <cstdio>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>

namespace tinygpt {

class TrainingLog {
 public:
  // Opens FOLDER/log.jsonl for a training that goes on after `step`: lines about later steps, which
  // will be taken again, are removed, and so is a line that was cut off. Step 0 begins a new log.
  TrainingLog(const std::filesystem::path& folder, int step);
  ~TrainingLog();
  TrainingLog(const TrainingLog&) = delete;
  TrainingLog& operator=(const TrainingLog&) = delete;

  // Appends a line and hands it to the system at once.
  void write(const nlohmann::json& line);

 private:
  std::FILE* file_ = nullptr;
  std::filesystem::path path_;
};

}  // namespace tinygpt
