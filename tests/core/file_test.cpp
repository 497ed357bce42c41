#include "tinygpt/core/file.h"

#include <sys/stat.h>

#include <fstream>

#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;
using tinygpt::test::TemporaryFolder;

TEST_CASE("a file written atomically is read back whole", "[core]") {
  const TemporaryFolder folder;
  const std::string content(3'000'000, 'z');
  write_file_atomically(folder / "a", content);
  CHECK(read_file(folder / "a") == content);
  const MappedFile mapped(folder / "a");
  CHECK(mapped.bytes().size() == content.size());
}

TEST_CASE("a write that fails leaves the old file and no litter", "[core]") {
  const TemporaryFolder folder;
  write_file_atomically(folder / "a", "old");
  const auto fail = [](const Sink& sink) {
    sink("new", 3);
    throw Error("interrupted");
  };
  CHECK_THROWS_AS(write_file_atomically(folder / "a", fail), Error);
  CHECK(read_file(folder / "a") == "old");
  const std::filesystem::directory_iterator files(folder.path());
  CHECK(std::distance(begin(files), end(files)) == 1);
}

TEST_CASE("what is not a readable file is refused by name", "[core]") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(read_file(folder / "none"), ContainsSubstring("none"));
  CHECK_THROWS_AS(read_file(folder.path()), Error);
  CHECK_THROWS_AS(MappedFile(folder.path()), Error);
  // A named pipe without a writer must not make us wait for one.
  ::mkfifo((folder / "pipe").c_str(), 0600);
  CHECK_THROWS_AS(read_file(folder / "pipe"), Error);
  write_file_atomically(folder / "big", std::string(100, 'x'));
  CHECK_THROWS_AS(read_file(folder / "big", 99), Error);
  CHECK(read_file(folder / "big", 100).size() == 100);
}

TEST_CASE("check_utf8 accepts what is valid and names the first bad byte", "[core]") {
  CHECK_NOTHROW(check_utf8("plain, \xC3\xA9, \xE2\x82\xAC, \xF0\x9F\x98\x80", "text"));
  for (const char* bad : {"\x80", "\xC3", "\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80",
                          "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xFF", "\xE2\x82"}) {
    CHECK_THROWS_WITH(check_utf8(std::string("ab") + bad, "text"), ContainsSubstring("byte 2"));
  }
}
