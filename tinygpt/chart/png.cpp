#include "tinygpt/chart/png.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string_view>

#include "tinygpt/core/error.h"

namespace tinygpt::chart {
namespace {

// Without a name, and gone when it is closed. A program that reads and writes such files cannot
// wait for us while we wait for it, as it could at the ends of two pipes.
using NamelessFile = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

NamelessFile nameless_file() {
  NamelessFile file(std::tmpfile(), &std::fclose);
  check(file != nullptr, "no temporary file can be made: is the disk full, or $TMPDIR missing?");
  return file;
}

std::string content_of(std::FILE* file) {
  std::rewind(file);
  std::string all;
  std::array<char, 1 << 16> part;
  while (const std::size_t n = std::fread(part.data(), 1, part.size(), file))
    all.append(part.data(), n);
  return all;
}

// The exit status, or -1 where there is no such program.
int run_program(char* const arguments[], std::FILE* in, std::FILE* out, std::FILE* err) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ::fileno(in), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, ::fileno(out), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, ::fileno(err), STDERR_FILENO);
  pid_t pid = 0;
  const int failed = ::posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return -1;
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

std::string png_of_svg(const std::string& svg, double zoom) {
  const NamelessFile in = nameless_file(), out = nameless_file(), err = nameless_file();
  check(
      std::fwrite(svg.data(), 1, svg.size(), in.get()) == svg.size() && std::fflush(in.get()) == 0,
      "the picture does not fit into a temporary file: is the disk full?");
  std::rewind(in.get());
  std::array<std::string, 6> words = {"rsvg-convert",       "--zoom", fmt::format("{:g}", zoom),
                                      "--background-color", "white",  "--format=png"};
  std::array<char*, 7> arguments = {};
  for (std::size_t i = 0; i < words.size(); ++i) arguments[i] = words[i].data();
  const int status = run_program(arguments.data(), in.get(), out.get(), err.get());
  check(status != -1,
        "PNG needs the program rsvg-convert, which is not there (Debian and Ubuntu: "
        "sudo apt-get install librsvg2-bin; Fedora: librsvg2-tools; Arch, Homebrew: librsvg); "
        "SVG needs nothing");
  std::string png = content_of(out.get());
  check(status == 0 && std::string_view(png).substr(0, 8) == "\x89PNG\r\n\x1a\n", [&] {
    std::string says = content_of(err.get());
    says = says.substr(0, says.find('\n'));
    return fmt::format("rsvg-convert made no PNG: {}; SVG needs no such program",
                       says.empty() ? "it does not say why" : says);
  });
  return png;
}

}  // namespace tinygpt::chart
