#include "tinygpt/train/log.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "tinygpt/core/file.h"

using namespace tinygpt;
using tinygpt::test::TemporaryFolder;

TEST_CASE("a log that goes on drops later steps and a line that was cut off", "[log]") {
  const TemporaryFolder folder;
  std::ofstream(folder / "log.jsonl") << "{\"event\":\"start\"}\n{\"step\":10}\n{\"step\":20}\n"
                                         "not json\n{\"step\":30}\n{\"step\":2";
  {
    TrainingLog log(folder.path(), 20);
    log.write({{"step", 30}, {"loss", 0.5}});
  }
  CHECK(read_file(folder / "log.jsonl") ==
        "{\"event\":\"start\"}\n{\"step\":10}\n{\"step\":20}\n{\"loss\":0.5,\"step\":30}\n");
}

TEST_CASE("a training from the start begins a new log", "[log]") {
  const TemporaryFolder folder;
  std::ofstream(folder / "log.jsonl") << "{\"step\":10}\n";
  { TrainingLog log(folder.path(), 0); }
  CHECK(read_file(folder / "log.jsonl").empty());
}

TEST_CASE("a log that is missing is begun", "[log]") {
  const TemporaryFolder folder;
  {
    TrainingLog log(folder.path(), 5);
    log.write({{"step", 6}});
  }
  CHECK(read_file(folder / "log.jsonl") == "{\"step\":6}\n");
}
