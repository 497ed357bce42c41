#include "tinygpt/simt/report.h"

#include <fmt/format.h>

namespace tinygpt::simt {
namespace {

std::string describe(const uint3& v) { return fmt::format("({}, {}, {})", v.x, v.y, v.z); }

}  // namespace

const char* name(Fault fault) {
  switch (fault) {
    case Fault::race:
      return "race";
    case Fault::out_of_bounds:
      return "out of bounds";
    case Fault::misaligned:
      return "misaligned access";
    case Fault::uninitialised:
      return "uninitialised read";
    case Fault::missed_barrier:
      return "missed barrier";
    case Fault::divergent_barrier:
      return "divergent barrier";
    case Fault::absent_lane:
      return "absent lane";
    case Fault::wrong_mask:
      return "wrong mask";
    case Fault::use_after_free:
      return "use after free";
    case Fault::double_free:
      return "double free";
    case Fault::host_pointer:
      return "host pointer";
    case Fault::launch_shape:
      return "launch shape";
    case Fault::shared_size:
      return "too much shared memory";
    case Fault::unchecked_launch:
      return "unchecked launch";
    case Fault::stack_overflow:
      return "stack overflow";
    case Fault::missing_instruction:
      return "missing instruction";
  }
  return "fault";
}

std::string describe(const Report& report) {
  std::string text = fmt::format("{}:{}: {}: {}", report.at.file, report.at.line,
                                 name(report.fault), report.message);
  if (!report.kernel.empty()) {
    text += fmt::format(" (kernel {}, block {}, thread {})", report.kernel,
                        describe(report.at.block), describe(report.at.thread));
  }
  if (report.has_other) {
    text +=
        fmt::format("; the other is {}:{}, block {}, thread {}", report.other.file,
                    report.other.line, describe(report.other.block), describe(report.other.thread));
  }
  return text;
}

}  // namespace tinygpt::simt
