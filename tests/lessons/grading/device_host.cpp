#include <nlohmann/json.hpp>

#include "tests/lessons/grading/device.h"

namespace tinygpt::lessons {

Memory device_memory() { return host_memory(); }
int rounds() { return 1; }

std::optional<DeviceFault> watch(int /*round*/, const std::function<void()>& work) {
  work();
  return std::nullopt;
}
bool fault_found() { return false; }

nlohmann::json measure(const ProfileRun&) { return nullptr; }

}  // namespace tinygpt::lessons
