// A peer that runs as a program of its own and answers line by line, so that it can be timed in
// turn with us.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <string>
#include <vector>

namespace tinygpt::bench {

// Runs a program (no shell) with this one's input and output, and waits for it. Throws Error where
// it cannot be started, or ends with another code than 0.
void run_program(const std::vector<std::string>& command);

class Peer {
 public:
  // Starts the program (no shell); throws Error where that fails.
  explicit Peer(const std::vector<std::string>& command);
  ~Peer();  // closes its input, which ends it, and waits
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  void write_line(const std::string& line);
  // The next line without its end; throws Error when the program has ended.
  std::string read_line();

 private:
  std::string name_;
  pid_t pid_ = -1;
  std::FILE* to_ = nullptr;
  std::FILE* from_ = nullptr;
};

}  // namespace tinygpt::bench
