// The checker: sees every load, store, barrier and warp synchronisation of an instrumented kernel.
#pragma once

#include <cstdint>
#include <vector>

#include "tinygpt/simt/block.h"
#include "tinygpt/simt/report.h"

namespace tinygpt::simt {

// While one lives, faults are collected in it; without one, the launch that finds a fault throws
// Error. The seed chooses the order in which blocks and threads run: 0 is their natural order, and
// the same seed gives the same order again.
class Checking {
 public:
  explicit Checking(std::uint64_t seed = 0);
  ~Checking();
  Checking(const Checking&) = delete;
  Checking& operator=(const Checking&) = delete;

  std::uint64_t seed;
  std::vector<Report> reports;

 private:
  Checking* outer_;
};

// The seed of the launches from here on, of those outside of any Checking; 0 at first.
void set_check_seed(std::uint64_t seed);
std::uint64_t check_seed();

// Collects the report, or throws Error where nobody collects.
void deliver(const Report& report);

}  // namespace tinygpt::simt
