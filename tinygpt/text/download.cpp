#include "tinygpt/text/download.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <string>
#include <vector>

#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/core/sha256.h"

extern char** environ;

namespace tinygpt {
namespace {

constexpr std::array kSources = {
    Source{
        "shakespeare",
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"},
    Source{"tinystories",
           "https://huggingface.co/datasets/roneneldan/TinyStories/resolve/main/"
           "TinyStoriesV2-GPT4-train.txt",
           ""},
};

// Runs a program without a shell and gives its exit code; -1 where it cannot be started.
int run_program(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = -1;
  if (::posix_spawnp(&pid, arguments[0], nullptr, nullptr, arguments.data(), environ) != 0)
    return -1;
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

const Source* find_source(std::string_view name) {
  for (const Source& source : kSources) {
    if (source.name == name) return &source;
  }
  return nullptr;
}

void check_digest(const std::filesystem::path& file, std::string_view expected_sha256) {
  const std::string digest = sha256_of_file(file);
  check(digest == expected_sha256, [&] {
    return fmt::format("{}: its SHA-256 is {}, not {}: this is another file than the one expected",
                       file.string(), digest, expected_sha256);
  });
}

void download(std::string_view url, std::string_view expected_sha256,
              const std::filesystem::path& to) {
  const std::filesystem::path part = to.string() + ".part";
  const int code = run_program({"curl", "--fail", "--location", "--continue-at", "-", "--retry",
                                "3", "--output", part.string(), std::string(url)});
  check(code != -1 && code != 127, [&] {
    return fmt::format(
        "curl is not installed: install it, or download {} yourself and give it with "
        "--from FILE",
        url);
  });
  check(code == 0, [&] {
    return fmt::format(
        "{} could not be downloaded (curl ended with {}): run the command again to "
        "continue, or download the file elsewhere and give it with --from FILE",
        url, code);
  });
  try {
    check_digest(part, expected_sha256);
  } catch (const Error&) {
    std::filesystem::remove(part);  // it is complete and wrong: continuing would not mend it
    throw;
  }
  std::filesystem::rename(part, to);
  sync_folder(to.parent_path());
}

}  // namespace tinygpt
