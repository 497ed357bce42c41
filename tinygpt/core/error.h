// The project's one exception, check(), which raises it, and the exercises' NotImplemented.
#pragma once

#include <concepts>
#include <source_location>
#include <stdexcept>
#include <string>
#include <utility>

namespace tinygpt {

// What went wrong, in one line that says what to do, and where in the source it was noticed.
// Only main() turns it into an exit code; everything else lets it pass.
struct Error : std::runtime_error {
  explicit Error(const std::string& message,
                 std::source_location noticed = std::source_location::current())
      : std::runtime_error(message), where(noticed) {}
  std::source_location where;
};

// What the course's exercises throw until they are written: names the task and how to check it.
struct NotImplemented : Error {
  explicit NotImplemented(const std::string& task,
                          std::source_location noticed = std::source_location::current())
      : Error(task + " is not written yet: ./course check " + task + " says what it must do",
              noticed) {}
};

inline void check(bool ok, const char* message,
                  std::source_location where = std::source_location::current()) {
  if (!ok) throw Error(message, where);
}

// The message is made only on failure: check(n > 0, [&] { return fmt::format("n is {}", n); });
template <std::invocable F>
void check(bool ok, F&& make_message,
           std::source_location where = std::source_location::current()) {
  if (!ok) throw Error(std::forward<F>(make_message)(), where);
}

}  // namespace tinygpt
