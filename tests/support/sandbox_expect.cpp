// What a test program of Catch2 says of a sandbox.
#include "tests/support/catch.h"
#include "tests/support/sandbox.h"

namespace tinygpt::test {

void Sandbox::expect(const std::string& name, const float* buffer, const Values& expected,
                     const Shape& shape, const Tolerance& tolerance) const {
  const std::string message = problem(name, buffer, expected, shape, tolerance);
  if (message.empty()) SUCCEED();
  else FAIL_CHECK(message);
}

void Sandbox::expect_added(const std::string& name, const float* buffer, const Values& gradient,
                           const Shape& shape, Tolerance tolerance) const {
  const Values expected = added(buffer, gradient, tolerance);
  expect(name, buffer, expected, shape, tolerance);
}

}  // namespace tinygpt::test
