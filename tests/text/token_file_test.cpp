#include "tinygpt/text/token_file.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "tinygpt/core/error.h"
#include "tinygpt/ops/cross_entropy.h"
#include "tinygpt/text/batches.h"

using namespace tinygpt;
using tinygpt::test::TemporaryFolder;

TEST_CASE("token files give back what was written, narrow and wide", "[token_file]") {
  const TemporaryFolder folder;
  for (const int vocabulary : {300, 65536, 65537, 200'000}) {
    std::vector<int> ids(70'001);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      ids[i] = static_cast<int>(i * 7919 % static_cast<std::size_t>(vocabulary));
    }
    ids.back() = vocabulary - 1;
    write_token_file(folder / "t.npy", ids, vocabulary);
    const TokenFile file(folder / "t.npy", vocabulary);
    REQUIRE(file.size() == 70'001);
    for (std::size_t i = 0; i < ids.size(); ++i)
      REQUIRE(file[static_cast<std::int64_t>(i)] == ids[i]);
    CHECK_THROWS_WITH(TokenFile(folder / "t.npy", vocabulary - 1), ContainsSubstring("tokenizer"));
  }
}

TEST_CASE("an empty token file can be written and read", "[token_file]") {
  const TemporaryFolder folder;
  write_token_file(folder / "t.npy", {}, 10);
  CHECK(TokenFile(folder / "t.npy", 10).size() == 0);
}

TEST_CASE("broken token files are refused by name", "[token_file]") {
  const TemporaryFolder folder;
  const std::vector<int> ids = {1, 2, 3, 4};
  write_token_file(folder / "good.npy", ids, 10);
  const std::string good = read_file(folder / "good.npy");
  const auto replaced = [&](const std::string& what, const std::string& with) {
    std::string text = good;
    return text.replace(text.find(what), what.size(), with);
  };
  const std::string long_header(good.substr(0, 8) + "\xFF\xFF" + good.substr(10));
  for (const std::string& bad :
       {std::string(), good.substr(0, 5), good.substr(0, 9), good.substr(0, good.size() - 1),
        good + "x", replaced("(4,)", "(5,)"), replaced("(4,)", "(2,2"), replaced("<u2", "<f4"),
        replaced("<u2", ">u2"), replaced("False", "True "), replaced("NUMPY", "NUMPX"), long_header,
        replaced("(4,)", "(-4)"), replaced("'shape'", "'shapf'")}) {
    write_file_atomically(folder / "bad.npy", bad);
    INFO(bad.size());
    CHECK_THROWS_WITH(TokenFile(folder / "bad.npy", 10), ContainsSubstring("bad.npy"));
  }
}

TEST_CASE("a batch's targets are the tokens after its tokens", "[batches]") {
  const TemporaryFolder folder;
  std::vector<int> ids(1000);
  std::iota(ids.begin(), ids.end(), 0);
  write_token_file(folder / "t.npy", ids, 1000);
  const TokenFile file(folder / "t.npy", 1000);
  Random random{1};
  std::vector<int> tokens(6 * 8), targets(6 * 8);
  std::vector<bool> started(1000);
  for (int round = 0; round < 2000; ++round) {
    next_batch(tokens, targets, file, 6, 8, kAnywhere, random);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      REQUIRE(targets[i] == tokens[i] + 1);
      if (i % 8 > 0) REQUIRE(tokens[i] == tokens[i - 1] + 1);
      else started[static_cast<std::size_t>(tokens[i])] = true;
    }
  }
  // 12,000 windows over 992 starting places: every place comes up, the first and the last included.
  for (std::size_t i = 0; i < 992; ++i) REQUIRE(started[i]);
}

TEST_CASE("a file of one window and one of less", "[batches]") {
  const TemporaryFolder folder;
  write_token_file(folder / "t.npy", std::vector<int>{1, 2, 3, 4, 5}, 10);
  const TokenFile file(folder / "t.npy", 10);
  Random random{1};
  std::vector<int> tokens(5), targets(5);
  next_batch(tokens, targets, file, 1, 4, kAnywhere, random);
  CHECK(tokens[0] == 1);
  CHECK(targets[3] == 5);
  CHECK_THROWS_WITH(next_batch(tokens, targets, file, 1, 5, kAnywhere, random),
                    ContainsSubstring("fewer"));
}

TEST_CASE("validation windows cover the file and count what has context", "[batches]") {
  const TemporaryFolder folder;
  std::vector<int> ids(1001);
  std::iota(ids.begin(), ids.end(), 0);
  write_token_file(folder / "t.npy", ids, 1001);
  const TokenFile file(folder / "t.npy", 1001);
  for (const int context : {0, 5, 9}) {
    const ValidationPlan plan{10, context};
    std::vector<bool> counted(1001);
    std::vector<int> tokens(10), targets(10);
    for (const std::int64_t start : validation_starts(file, plan, 10'000)) {
      CHECK(validation_window(tokens, targets, file, start, plan) == 10 - context);
      for (int t = 0; t < 10; ++t) {
        if (t < context) CHECK(targets[static_cast<std::size_t>(t)] == kIgnoreTarget);
        else counted[static_cast<std::size_t>(targets[static_cast<std::size_t>(t)])] = true;
      }
    }
    const auto covered = std::count(counted.begin(), counted.end(), true);
    CHECK(covered >= 1000 - context - 10);
    CHECK(counted[1000]);
  }
}

namespace {

// Documents of 1, 2, ... 9 tokens, all of them 5, each ended by a 0.
TokenFile documents(const TemporaryFolder& folder) {
  std::vector<int> ids;
  for (int n = 1; n <= 9; ++n) {
    ids.insert(ids.end(), static_cast<std::size_t>(n), 5);
    ids.push_back(0);
  }
  write_token_file(folder / "t.npy", ids, 10);
  return TokenFile(folder / "t.npy", 10);
}

}  // namespace

TEST_CASE("windows may be told to start where a document begins", "[batches]") {
  const TemporaryFolder folder;
  const TokenFile file = documents(folder);  // 54 tokens
  Random random{1};
  std::vector<int> tokens(4 * 6), targets(4 * 6);
  for (int round = 0; round < 200; ++round) {
    next_batch(tokens, targets, file, 4, 6, 0, random);
    for (std::size_t b = 0; b < 4; ++b) {
      REQUIRE(tokens[b * 6] == 0);
      REQUIRE(targets[b * 6] == 5);
    }
  }
  CHECK_THROWS_WITH(next_batch(tokens, targets, file, 4, 6, 7, random),
                    ContainsSubstring("--documents"));
  // One window of all but the last token: it could only start at the first, which is no boundary.
  std::vector<int> all(53), all_targets(53);
  CHECK_THROWS_WITH(next_batch(all, all_targets, file, 1, 53, 0, random),
                    ContainsSubstring("--documents"));
}

TEST_CASE("a validation of documents judges each once, to its end and no further", "[batches]") {
  const TemporaryFolder folder;
  const TokenFile file = documents(folder);
  const ValidationPlan plan{8, 0, 0};
  const std::vector<std::int64_t> starts = validation_starts(file, plan, 100);
  std::vector<int> counts;
  std::vector<int> tokens(8), targets(8);
  for (const std::int64_t start : starts) {
    counts.push_back(validation_window(tokens, targets, file, start, plan));
    const auto counted = static_cast<std::ptrdiff_t>(counts.back());
    CHECK(std::count(targets.begin(), targets.begin() + counted, kIgnoreTarget) == 0);
    CHECK(std::count(targets.begin() + counted, targets.end(), kIgnoreTarget) == 8 - counted);
  }
  // The first document has no end of another before it; the one of 8 counts without its end.
  CHECK(counts == std::vector<int>{3, 4, 5, 6, 7, 8, 8, 8});
  CHECK(validation_starts(file, plan, 3) ==
        std::vector<std::int64_t>{starts[0], starts[3], starts[7]});
}
