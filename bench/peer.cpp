#include "bench/peer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tinygpt/core/error.h"

extern char** environ;

namespace tinygpt::bench {
namespace {

// 0, or why the program could not be started.
int spawn(pid_t& pid, const std::vector<std::string>& command,
          const posix_spawn_file_actions_t* actions) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  return ::posix_spawnp(&pid, arguments[0], actions, nullptr, arguments.data(), environ);
}

}  // namespace

void run_program(const std::vector<std::string>& command) {
  pid_t pid = -1;
  check(spawn(pid, command, nullptr) == 0,
        [&] { return fmt::format("{}: cannot be started", command.front()); });
  int status = 0;
  ::waitpid(pid, &status, 0);
  check(WIFEXITED(status) && WEXITSTATUS(status) == 0,
        [&] { return fmt::format("this did not succeed: {}", fmt::join(command, " ")); });
}

Peer::Peer(const std::vector<std::string>& command) : name_(command.front()) {
  int in[2], out[2];
  check(::pipe2(in, O_CLOEXEC) == 0 && ::pipe2(out, O_CLOEXEC) == 0,
        "bench: no pipe could be made");
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  const int failure = spawn(pid_, command, &actions);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(in[0]);
  ::close(out[1]);
  to_ = ::fdopen(in[1], "w");
  from_ = ::fdopen(out[0], "r");
  if (failure != 0) {
    pid_ = -1;
    std::fclose(to_);
    std::fclose(from_);
    throw Error(fmt::format("{}: cannot be started", name_));
  }
}

Peer::~Peer() {
  std::fclose(to_);
  std::fclose(from_);
  ::waitpid(pid_, nullptr, 0);
}

void Peer::write_line(const std::string& line) {
  fmt::print(to_, "{}\n", line);
  std::fflush(to_);
}

std::string Peer::read_line() {
  std::string line;
  for (int c = std::fgetc(from_); c != '\n'; c = std::fgetc(from_)) {
    check(c != EOF, [&] { return fmt::format("{}: ended before it answered", name_); });
    line.push_back(static_cast<char>(c));
  }
  return line;
}

}  // namespace tinygpt::bench
