// Check mode: each planted fault is found where it is, and its repaired twin is silent.
#define test_cuda test_cuda_checked
#include "tinygpt/simt/check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>

#include "tests/simt/device_buffer.h"
#include "tests/simt/faults.h"
#include "tests/simt/kernels.h"
#include "tests/support/catch.h"
#include "tinygpt/core/error.h"

using namespace tinygpt::simt;
using test_cuda::Planted;

namespace {

// What the report says when threads run in their natural order.
struct Expected {
  Fault fault;
  unsigned block, thread;  // their x
  bool host = false;       // found outside of any kernel
};

// The line of the file that ends with the mark, or 0.
int marked_line(const std::string& file, const std::string& mark) {
  std::ifstream source(std::string(TINYGPT_SOURCE_DIR) + "/tests/simt/" + file);
  std::string line;
  for (int number = 1; std::getline(source, line); ++number) {
    if (line.ends_with(mark)) return number;
  }
  return 0;
}

// The faulty line, and the one of the other side where that is another line: a race's other access,
// the other barrier.
struct Lines {
  int planted, partner;
};

Lines lines_of(const std::string& file, const std::string& name) {
  return {marked_line(file, fmt::format("// planted: {}", name)),
          marked_line(file, fmt::format("// partner of: {}", name))};
}

std::string all_of(const std::vector<Report>& reports) {
  std::string text;
  for (const Report& report : reports) text += describe(report) + "\n";
  return text;
}

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

bool is_one_of(const Place& place, const std::string& file, const Lines& lines) {
  return file_name(place.file) == file &&
         (place.line == lines.planted || (place.line == lines.partner && lines.partner > 0));
}

// Nowhere else than where the fault was planted. Either side of a race may come second.
bool is_there(const Report& report, const std::string& file, const Lines& lines) {
  return is_one_of(report.at, file, lines) &&
         (!report.has_other || is_one_of(report.other, file, lines));
}

void check_planted(const Planted& planted, const std::string& file, const Expected& expected) {
  INFO(planted.name);
  const Lines lines = lines_of(file, planted.name);
  REQUIRE(lines.planted > 0);
  {
    Checking checking;
    planted.run(false);
    INFO(all_of(checking.reports));
    REQUIRE(!checking.reports.empty());
    const auto found = std::find_if(checking.reports.begin(), checking.reports.end(),
                                    [&](const Report& r) { return r.fault == expected.fault; });
    REQUIRE(found != checking.reports.end());
    const Report& report = *found;
    CHECK(file_name(report.at.file) == file);
    CHECK(report.at.line == lines.planted);
    CHECK(report.at.block.x == expected.block);
    CHECK(report.at.thread.x == expected.thread);
    CHECK(report.kernel.empty() == expected.host);
  }
  for (std::uint64_t seed = 0; seed <= 10; ++seed) {
    Checking checking(seed);
    planted.run(false);
    INFO("seed " << seed << "\n" << all_of(checking.reports));
    const auto& all = checking.reports;
    CHECK(std::any_of(all.begin(), all.end(),
                      [&](const Report& report) { return report.fault == expected.fault; }));
    // And nothing else. (A launch that is refused and then not checked is two faults at one line.)
    CHECK(std::all_of(all.begin(), all.end(),
                      [&](const Report& report) { return is_there(report, file, lines); }));
  }
  for (std::uint64_t seed = 0; seed <= 10; ++seed) {
    Checking checking(seed);
    planted.run(true);
    INFO("repaired, seed " << seed << "\n" << all_of(checking.reports));
    CHECK(checking.reports.empty());
  }
}

template <std::size_t N>
void check_all(const Planted (&planted)[N], const std::string& file,
               const Expected (&expected)[N]) {
  for (std::size_t i = 0; i < N; ++i) check_planted(planted[i], file, expected[i]);
}

}  // namespace

TEST_CASE("faults of barriers and shared memory are found at their line", "[simt][check]") {
  const Expected expected[] = {
      {Fault::race, 0, 1},
      {Fault::race, 0, 0},
      {Fault::race, 0, 1},
      {Fault::missed_barrier, 0, 32},
      {Fault::divergent_barrier, 0, 63},
      {Fault::missed_barrier, 0, 50},
      {Fault::out_of_bounds, 0, 31},
      {Fault::out_of_bounds, 0, 60},
      {Fault::uninitialised, 0, 31},  // who comes last goes on first
  };
  check_all(test_cuda::kBarrierFaults, "barrier_faults.cu", expected);
}

TEST_CASE("faults of global memory are found at their line", "[simt][check]") {
  const Expected expected[] = {
      {Fault::race, 1, 0},           {Fault::race, 0, 1},           {Fault::race, 0, 1},
      {Fault::out_of_bounds, 3, 31}, {Fault::out_of_bounds, 3, 31}, {Fault::out_of_bounds, 0, 0},
      {Fault::out_of_bounds, 3, 4},  {Fault::misaligned, 0, 0},     {Fault::misaligned, 0, 1},
      {Fault::uninitialised, 0, 0},  {Fault::use_after_free, 0, 0}, {Fault::host_pointer, 0, 0},
  };
  check_all(test_cuda::kMemoryFaults, "memory_faults.cu", expected);
}

TEST_CASE("faults of warps are found at their line", "[simt][check]") {
  const Expected expected[] = {
      {Fault::absent_lane, 0, 0}, {Fault::absent_lane, 0, 32}, {Fault::wrong_mask, 0, 16},
      {Fault::absent_lane, 0, 0}, {Fault::wrong_mask, 0, 0},   {Fault::race, 0, 1},
  };
  check_all(test_cuda::kWarpFaults, "warp_faults.cu", expected);
}

TEST_CASE("faults of launches and of the host are found at their line", "[simt][check]") {
  const Expected expected[] = {
      {Fault::launch_shape, 0, 0},        {Fault::launch_shape, 0, 0},
      {Fault::shared_size, 0, 0},         {Fault::unchecked_launch, 0, 0},
      {Fault::double_free, 0, 0, true},   {Fault::double_free, 0, 0, true},
      {Fault::uninitialised, 0, 0, true},
  };
  check_all(test_cuda::kHostFaults, "host_faults.cu", expected);
}

TEST_CASE("a report says in one line what, where, which thread and against whom", "[simt][check]") {
  const Lines lines = lines_of("barrier_faults.cu", "missing barrier");
  Checking checking;
  test_cuda::kBarrierFaults[0].run(false);
  REQUIRE_FALSE(checking.reports.empty());
  const std::string text = describe(checking.reports.front());
  INFO(text);
  const std::string file = "tests/simt/barrier_faults.cu";
  CHECK_THAT(text, ContainsSubstring(fmt::format("{}:{}: race: ", file, lines.planted)));
  CHECK_THAT(text, ContainsSubstring("(kernel missing_barrier_kernel<false>, block (0, 0, 0), "
                                     "thread (1, 0, 0))"));
  CHECK(
      text.ends_with(fmt::format("{}:{}, block (0, 0, 0), thread (0, 0, 0)", file, lines.partner)));
  CHECK(text.find('\n') == std::string::npos);
}
