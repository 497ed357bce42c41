#include "bench/peers.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/peer.h"
#include "tinygpt/core/file.h"

namespace tinygpt::bench {
namespace {

void run_script(const std::string& what, const std::string& build,
                const std::vector<std::string>& more) {
  std::vector<std::string> command = {"python3", TINYGPT_SOURCE_DIR "/bench/peers.py", what,
                                      "--build", build};
  command.insert(command.end(), more.begin(), more.end());
  run_program(command);
}

}  // namespace

void set_up_peers(const std::string& build) { run_script("set-up", build, {}); }

void bench_peers(Report& report, const Settings& settings, const std::string& build) {
  const std::string file = build + "/peers.json";
  run_script("measure", build,
             {"--json", file, "--rounds", std::to_string(settings.rounds), "--threads",
              std::to_string(settings.threads)});
  const auto rows = nlohmann::json::parse(read_file(file, std::uint64_t{1} << 20));
  std::filesystem::remove(file);
  for (Row& row : rows_from_json(rows)) report.rows.push_back(std::move(row));
}

}  // namespace tinygpt::bench
