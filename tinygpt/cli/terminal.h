// What the commands share for talking to people: progress on one line, durations, interrupts.
#pragma once

#include <string>

namespace tinygpt::cli {

// Whether a person looks at standard output, so that lines may be redrawn and coloured.
bool output_is_terminal();

// A line that redraws itself on a terminal. Elsewhere only lines that are kept are printed.
class StatusLine {
 public:
  void show(const std::string& text);  // until the next one; nothing where output is no terminal
  void keep(const std::string& text);  // stays
  void clear();

 private:
  bool shown_ = false;
};

std::string bold(const std::string& text);
std::string dim(const std::string& text);

// "42 s", "3 min 05 s", "2 h 10 min"
std::string duration(double seconds);

// "950", "12.3k", "1.5M"
std::string short_number(double value);

// From now on, the first interrupt (Ctrl-C, SIGTERM) is only remembered, and the second one ends
// the program at once.
void catch_interrupts();
bool was_interrupted();

// Wraps text at spaces to a width, with an indent before every line.
std::string wrapped(const std::string& text, std::size_t width, const std::string& indent);

// The columns of the terminal, 80 where there is none.
int terminal_width();

}  // namespace tinygpt::cli
