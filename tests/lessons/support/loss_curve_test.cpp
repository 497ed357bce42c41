#include "lessons/support/loss_curve.h"

#include <string>

#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"

using namespace tinygpt;
using namespace tinygpt::lessons;
using tinygpt::test::TemporaryFolder;

namespace {

using Points = std::vector<std::pair<double, double>>;

std::string write_log(const TemporaryFolder& folder, const std::string& text) {
  const std::string path = (folder / "log.jsonl").string();
  write_file_atomically(path, text);
  return path;
}

}  // namespace

TEST_CASE("a log gives both losses, and the floor in the unit of the losses", "[lessons]") {
  const TemporaryFolder folder;
  const LossCurve curve = read_loss_curve(write_log(folder,
                                                    R"({"event":"start","floor_nats_per_byte":0.1}
{"step":10,"loss":5.0,"lr":0.1}
{"step":20,"loss":4.0,"validation_loss":4.5,"validation_nats_per_byte":1.5}
)"));
  CHECK(curve.train == Points{{10, 5}, {20, 4}});
  CHECK(curve.validation == Points{{20, 4.5}});
  CHECK(curve.floor == Approx(0.3));  // three bytes a token
}

TEST_CASE("the log of an interrupted training counts each step once, by its last line",
          "[lessons]") {
  const TemporaryFolder folder;
  // Killed after step 30 in the middle of a line, and gone on with from a checkpoint of step 10.
  const LossCurve curve = read_loss_curve(write_log(folder,
                                                    R"({"event":"start"}
{"step":10,"loss":5.0}
{"step":20,"loss":4.0,"validation_loss":4.5,"validation_nats_per_byte":1.5}
{"step":30,"loss":3.0,"validation_loss":4.0,"validation_nats_per_byte":1.3}
{"step":40,"lo
{"step":20,"loss":4.1}
{"step":30,"loss":3.1,"validation_loss":3.9,"validation_nats_per_byte":1.3}
{"step":35,"loss":2.9,"validation_loss":3)"));
  CHECK(curve.train == Points{{10, 5}, {20, 4.1}, {30, 3.1}});
  CHECK(curve.validation == Points{{30, 3.9}});
  CHECK(curve.floor == 0);
}

TEST_CASE("a log without a loss says what is missing", "[lessons]") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(read_loss_curve((folder / "none.jsonl").string()),
                    ContainsSubstring("there is no such log"));
  CHECK_THROWS_WITH(read_loss_curve(write_log(folder, "{\"event\":\"start\"}\n[1]\nnoise\n")),
                    ContainsSubstring("no step is logged"));
  CHECK_THROWS_AS(read_loss_curve(write_log(folder, R"({"step":"10","loss":null})")), Error);
}

TEST_CASE("a long loss curve is drawn as means of its stretches", "[lessons]") {
  const TemporaryFolder folder;
  LossCurve curve;
  for (int i = 0; i < 1000; ++i) curve.train.emplace_back(i, i % 2);
  const std::string path = (folder / "loss.svg").string();
  write_loss_curve(path, "Loss", curve, 50);
  const std::string plain = read_file(path);
  CHECK(plain.find(">floor<") == plain.npos);
  CHECK(plain.find(">validation<") == plain.npos);
  curve.validation = {{500, 2}};
  curve.floor = 0.25;
  write_loss_curve(path, "Loss", curve, 50);
  const std::string svg = read_file(path);
  for (const char* words : {">training<", ">validation<", ">floor<", ">nats per token<"}) {
    CHECK(svg.find(words) != svg.npos);
  }
  const std::size_t begin = svg.find("points=\"") + 8, end = svg.find('"', begin);
  CHECK(std::count(svg.begin() + std::ptrdiff_t(begin), svg.begin() + std::ptrdiff_t(end), ',') ==
        50);
}
