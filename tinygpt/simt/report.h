// What is wrong with a kernel, and where.
#pragma once

#include <string>

#include "tinygpt/simt/host/types.h"

namespace tinygpt::simt {

enum class Fault {
  race,               // two threads, one of them writing, with nothing that orders them
  out_of_bounds,      // of global or shared memory
  misaligned,         // an access that is not aligned to its own size
  uninitialised,      // a read of what was never written
  missed_barrier,     // a thread returned while others wait at a barrier
  divergent_barrier,  // threads of one block wait at different barriers
  absent_lane,        // a warp operation names a lane that does not come
  wrong_mask,         // lanes of one warp operation disagree about who takes part
  use_after_free,
  double_free,
  host_pointer,      // a kernel reads or writes host memory
  launch_shape,      // too many threads, or none
  shared_size,       // more shared memory than a block may have
  unchecked_launch,  // a launch failed, and nobody asked before its result was used
  stack_overflow,
  missing_instruction,  // one that the device's compute capability does not have
};

const char* name(Fault fault);

// A thread of the grid at a line of the source.
struct Place {
  std::string file;
  int line = 0;
  uint3 block{}, thread{};
};

struct Report {
  Fault fault{};
  std::string message;
  std::string kernel;  // as the launch spells it
  Place at;
  bool has_other = false;
  Place other;  // a race's other side
};

// One line: file:line: fault: message (kernel, block, thread).
std::string describe(const Report& report);

}  // namespace tinygpt::simt
