#include "tinygpt/text/download.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <vector>

#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/core/sha256.h"
#include "tinygpt/text/embedded_datasets.h"  // made by CMake from datasets/

extern char** environ;

namespace tinygpt {
namespace {

constexpr int kNotStarted = -1;
constexpr int kCannotContinue = 33;  // curl's code for a server without byte ranges

// Runs a program without a shell and gives its exit code.
int run_program(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = -1;
  if (::posix_spawnp(&pid, arguments[0], nullptr, nullptr, arguments.data(), environ) != 0)
    return kNotStarted;
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Continues `to` where it ends. The bar is for people only; errors are for all.
int run_curl(const std::string& url, const std::filesystem::path& to) {
  std::vector<std::string> command = {"curl", "--fail", "--location", "--continue-at", "-"};
  command.insert(command.end(), {"--retry", "3", "--connect-timeout", "30"});
  command.insert(command.end(), {"--speed-limit", "1", "--speed-time", "60"});
  if (isatty(STDERR_FILENO)) command.push_back("--progress-bar");
  else command.insert(command.end(), {"--silent", "--show-error"});
  command.insert(command.end(), {"--output", to.string(), "--", url});
  const int code = run_program(command);
  return code == 127 ? kNotStarted : code;
}

}  // namespace

std::string_view sources_json() { return kSourcesJson; }

void check_digest(const std::filesystem::path& file, std::string_view expected_sha256) {
  const std::string digest = sha256_of_file(file);
  check(digest == expected_sha256, [&] {
    return fmt::format("{}: its SHA-256 is {}, not {}: this is another file than the one expected",
                       file.string(), digest, expected_sha256);
  });
}

void download(const RemoteFile& file, const std::filesystem::path& to) {
  const std::filesystem::path part = to.string() + ".part";
  // A part that is complete, or more than that, has nothing to continue from.
  const auto have = [&] {
    std::error_code missing;
    const auto size = std::filesystem::file_size(part, missing);
    return missing ? std::int64_t{0} : static_cast<std::int64_t>(size);
  };
  if (have() > file.bytes) std::filesystem::remove(part);
  if (have() < file.bytes) {
    int code = run_curl(file.url, part);
    if (code == kCannotContinue) {  // the server sends whole files only
      std::filesystem::remove(part);
      code = run_curl(file.url, part);
    }
    check(code != kNotStarted, [&] {
      return fmt::format(
          "curl is not installed: install it, or download {} yourself and give it with --from FILE",
          file.url);
    });
    check(code == 0, [&] {
      return fmt::format(
          "{} could not be downloaded (curl ended with {}): run the command again to continue, or "
          "download the file elsewhere and give it with --from FILE",
          file.url, code);
    });
  }
  try {
    check_digest(part, file.sha256);
  } catch (const Error&) {
    std::filesystem::remove(part);  // it is complete and wrong: continuing would not mend it
    throw;
  }
  std::filesystem::rename(part, to);
  sync_folder(to.has_parent_path() ? to.parent_path() : ".");
}

}  // namespace tinygpt
