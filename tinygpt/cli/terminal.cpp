#include "tinygpt/cli/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

namespace tinygpt::cli {
namespace {

// A signal handler can reach nothing but a global.
volatile std::sig_atomic_t interrupts = 0;

void on_interrupt(int) {
  if (interrupts > 0) std::_Exit(130);
  interrupts = 1;
}

}  // namespace

bool output_is_terminal() { return ::isatty(STDOUT_FILENO) != 0; }

int terminal_width() {
  winsize size{};
  const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20;
  return known ? size.ws_col : 80;
}

void StatusLine::show(const std::string& text) {
  if (!output_is_terminal()) return;
  const auto room = static_cast<std::size_t>(terminal_width() - 1);  // a full line would wrap
  fmt::print("\r\x1b[K{}", text.substr(0, room));
  std::fflush(stdout);
  shown_ = true;
}

void StatusLine::clear() {
  if (shown_) fmt::print("\r\x1b[K");
  shown_ = false;
}

void StatusLine::keep(const std::string& text) {
  clear();
  fmt::print("{}\n", text);
  std::fflush(stdout);
}

std::string bold(const std::string& text) {
  return output_is_terminal() ? "\x1b[1m" + text + "\x1b[0m" : text;
}

std::string dim(const std::string& text) {
  return output_is_terminal() ? "\x1b[2m" + text + "\x1b[0m" : text;
}

std::string duration(double seconds) {
  const auto s = static_cast<long long>(seconds + 0.5);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{} min {:02} s", s / 60, s % 60);
  return fmt::format("{} h {:02} min", s / 3600, s / 60 % 60);
}

std::string short_number(double value) {
  if (value >= 999'500) return fmt::format("{:.1f}M", value * 1e-6);
  if (value >= 9'995) return fmt::format("{:.1f}k", value * 1e-3);
  return fmt::format("{:.0f}", value);
}

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  action.sa_flags = SA_RESTART;
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

bool was_interrupted() { return interrupts > 0; }

std::string wrapped(const std::string& text, std::size_t width, const std::string& indent) {
  std::string result, line;
  const auto flush = [&] {
    result += indent + line + '\n';
    line.clear();
  };
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find_first_of(" \n", at), text.size());
    const std::string word = text.substr(at, end - at);
    if (!line.empty() && indent.size() + line.size() + 1 + word.size() > width) flush();
    if (!line.empty()) line += ' ';
    line += word;
    if (end < text.size() && text[end] == '\n') flush();
    at = end + 1;
  }
  if (!line.empty()) flush();
  return result;
}

}  // namespace tinygpt::cli
