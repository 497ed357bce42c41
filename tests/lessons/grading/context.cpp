#include "tests/lessons/grading/context.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

namespace tinygpt::lessons {
namespace {

// A signal handler may neither allocate nor format: each possible verdict lies ready as text.
struct Ready {
  int signal;
  const char* verdict;
  const char* problem;
  const char* nudge;
};
constexpr std::array<Ready, 5> kReady = {{
    {SIGSEGV, "crashed", "your code crashed (segmentation fault)",
     "It used memory that is not its own: an index far out of range (size() - 1 of nothing is "
     "huge), or a null pointer that the "
     "contract allows (look for \"may be nullptr\")."},
    {SIGBUS, "crashed", "your code crashed (bus error)", "It used memory that is not its own."},
    {SIGFPE, "crashed", "your code crashed (division by zero, of integers)",
     "A dimension may be 0 or 1: what is divided by?"},
    {SIGABRT, "crashed", "your code ended the program (abort)",
     "Often a container or the heap noticed a write out of its bounds."},
    {SIGALRM, "timeout", "your code did not come back in 10 seconds",
     "Does every loop end? Does its counter change, and by the right step?"},
}};

int verdict_file = -1;
std::string task;
std::array<std::array<char, 1536>, kReady.size()> lines;
std::array<std::size_t, kReady.size()> lengths{};
alignas(16) std::array<char, 65536> signal_stack;

void on_signal(int number) {
  for (std::size_t i = 0; i < kReady.size(); ++i) {
    if (kReady[i].signal != number) continue;
    [[maybe_unused]] const auto written = ::write(verdict_file, lines[i].data(), lengths[i]);
  }
  ::_exit(0);
}

}  // namespace

void set_context(const std::string& call) {
  for (std::size_t i = 0; i < kReady.size(); ++i) {
    const nlohmann::json verdict = {{"task", task},
                                    {"verdict", kReady[i].verdict},
                                    {"call", call.substr(0, 400)},
                                    {"problem", kReady[i].problem},
                                    {"nudge", kReady[i].nudge}};
    const std::string text =
        verdict.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) + "\n";
    lengths[i] = std::min(text.size(), lines[i].size());
    std::memcpy(lines[i].data(), text.data(), lengths[i]);
  }
}

void set_task(const std::string& id) {
  task = id;
  set_context("");
  ::alarm(id.empty() ? 0 : kPatience);
}

void watch_for_crashes(const std::string& verdict_path) {
  verdict_file = ::open(verdict_path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  // A stack of its own: the learner's may be what ran out.
  stack_t stack{};
  stack.ss_sp = signal_stack.data();
  stack.ss_size = signal_stack.size();
  ::sigaltstack(&stack, nullptr);
  for (const Ready& ready : kReady) {
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_ONSTACK;
    ::sigaction(ready.signal, &action, nullptr);
  }
}

}  // namespace tinygpt::lessons
