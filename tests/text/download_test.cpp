#include "tinygpt/text/download.h"

#include <sys/stat.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>

#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/core/sha256.h"

using namespace tinygpt;
using tinygpt::test::TemporaryFolder;

namespace {

namespace fs = std::filesystem;

// PATH is another one for a while.
class OtherPath {
 public:
  explicit OtherPath(const std::string& path) : old_(std::getenv("PATH")) {
    ::setenv("PATH", path.c_str(), 1);
  }
  ~OtherPath() { ::setenv("PATH", old_.c_str(), 1); }
  OtherPath(const OtherPath&) = delete;
  OtherPath& operator=(const OtherPath&) = delete;

 private:
  std::string old_;
};

void write_plainly(const fs::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

// A curl that appends to the file what the script says, and counts its calls.
void write_curl(const TemporaryFolder& folder, const std::string& script) {
  fs::create_directories(folder / "bin");
  const fs::path curl = folder / "bin" / "curl";
  write_plainly(curl, "#!/bin/sh\ncd '" + folder.path().string() +
                          "'\nprintf x >> calls\nwhile [ \"$1\" != --output ]; do shift; done\n" +
                          script + "\n");
  ::chmod(curl.c_str(), 0755);
}

int calls(const TemporaryFolder& folder) {
  return fs::exists(folder / "calls") ? static_cast<int>(fs::file_size(folder / "calls")) : 0;
}

std::string failure(const RemoteFile& file, const fs::path& to) {
  try {
    download(file, to);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

const std::string kText = "To be, or not to be\n";

RemoteFile remote(const std::string& url = "https://example.org/text") {
  return {url, static_cast<std::int64_t>(kText.size()), sha256(kText)};
}

}  // namespace

TEST_CASE("a download that broke off goes on where it ended", "[download]") {
  const TemporaryFolder folder;
  const fs::path to = folder / "text", part = folder / "text.part";
  write_curl(folder, "printf 'To be, or' >> \"$2\"; exit 18");
  const OtherPath path((folder / "bin").string() + ":" + std::getenv("PATH"));
  CHECK_THAT(failure(remote(), to), ContainsSubstring("run the command again to continue") &&
                                        ContainsSubstring("example.org/text"));
  CHECK_FALSE(fs::exists(to));
  CHECK(read_file(part) == "To be, or");
  write_curl(folder, "printf ' not to be\\n' >> \"$2\"");
  CHECK(failure(remote(), to).empty());
  CHECK(read_file(to) == kText);
  CHECK_FALSE(fs::exists(part));
  CHECK(calls(folder) == 2);
}

TEST_CASE("a part that is complete already is only checked", "[download]") {
  const TemporaryFolder folder;
  write_curl(folder, "exit 1");
  const OtherPath path((folder / "bin").string() + ":" + std::getenv("PATH"));
  write_plainly(folder / "text.part", kText);
  CHECK(failure(remote(), folder / "text").empty());
  CHECK(read_file(folder / "text") == kText);
  CHECK(calls(folder) == 0);
}

TEST_CASE("a part that is longer than the file is begun again", "[download]") {
  const TemporaryFolder folder;
  write_curl(folder, "printf 'To be, or not to be\\n' >> \"$2\"");
  const OtherPath path((folder / "bin").string() + ":" + std::getenv("PATH"));
  write_plainly(folder / "text.part", kText + "more");
  CHECK(failure(remote(), folder / "text").empty());
  CHECK(read_file(folder / "text") == kText);
}

TEST_CASE("a server that sends whole files only is asked for the whole", "[download]") {
  const TemporaryFolder folder;
  write_curl(folder, "[ -e \"$2\" ] && exit 33\nprintf 'To be, or not to be\\n' >> \"$2\"");
  const OtherPath path((folder / "bin").string() + ":" + std::getenv("PATH"));
  write_plainly(folder / "text.part", "To be");
  CHECK(failure(remote(), folder / "text").empty());
  CHECK(read_file(folder / "text") == kText);
  CHECK(calls(folder) == 2);
}

TEST_CASE("a file that is complete and wrong is removed", "[download]") {
  const TemporaryFolder folder;
  write_curl(folder, "printf 'To be, or not to be!' >> \"$2\"");
  const OtherPath path((folder / "bin").string() + ":" + std::getenv("PATH"));
  CHECK_THAT(failure(remote(), folder / "text"),
             ContainsSubstring("SHA-256") && ContainsSubstring(remote().sha256));
  CHECK_FALSE(fs::exists(folder / "text"));
  CHECK_FALSE(fs::exists(folder / "text.part"));
}

TEST_CASE("without curl a download says what to do", "[download]") {
  const TemporaryFolder folder;
  const OtherPath path(folder.path().string());
  CHECK_THAT(failure(remote(), folder / "text"),
             ContainsSubstring("curl is not installed") && ContainsSubstring("--from"));
  CHECK_FALSE(fs::exists(folder / "text"));
}

TEST_CASE("the curl that is installed continues a file", "[download]") {
  if (std::system("curl --version > /dev/null 2>&1") != 0) {
    WARN("skipped: curl is not installed");
    return;
  }
  const TemporaryFolder folder;
  write_plainly(folder / "published", kText);
  write_plainly(folder / "text.part", "To be,");
  CHECK(failure(remote("file://" + (folder / "published").string()), folder / "text").empty());
  CHECK(read_file(folder / "text") == kText);
  CHECK_THAT(failure(remote("file://" + (folder / "nowhere").string()), folder / "other"),
             ContainsSubstring("curl ended with"));
}
