// Buffers for one call of an operator, which notice whatever it must not do.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/compare.h"
#include "tests/support/implementations.h"

namespace tinygpt::test {

// Holds the arguments of a call in the memory of the implementation's device. Around every buffer
// lies a band of a recognisable NaN: a write there is found afterwards, a value read there spoils
// the result, and the address sanitizer, where it is on, stops at once. Buffers start at addresses
// that are multiples of a float's size and of nothing more.
//
// expect() compares one result, and looks at all bands and inputs, too.
class Sandbox {
 public:
  // Without bands a buffer is an allocation of its own, whose bounds the emulator's checker knows.
  Sandbox(const Implementation& implementation, std::string what, bool with_bands = true);
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  const float* input(const Values& values);  // must not change
  const int* input(const std::vector<int>& values);
  float* output(std::int64_t n);            // NaN until it is written
  float* accumulator(const Values& start);  // holds values already: for += and for in-place work
  float* accumulator(std::int64_t n, std::uint64_t seed = 99);  // the same, random
  float* scratch(std::int64_t n);

  Values values(const float* buffer) const;

  void expect(const std::string& name, const float* buffer, const Values& expected,
              const Shape& shape, const Tolerance& tolerance = {}) const;
  // What expect() would say: empty, if all is well.
  std::string problem(const std::string& name, const float* buffer, const Values& expected,
                      const Shape& shape, const Tolerance& tolerance = {}) const;
  // What was written that must not be, or empty.
  std::string damage() const;
  // What the accumulator held at first plus the gradient, and the magnitudes of these sums.
  Values added(const float* buffer, const Values& gradient, Tolerance& tolerance) const;
  // Expects what the accumulator held at first plus the gradient. Magnitudes are the gradient's.
  void expect_added(const std::string& name, const float* buffer, const Values& gradient,
                    const Shape& shape, Tolerance tolerance = {}) const;

 private:
  struct Block;
  Block& add(std::int64_t n);
  const Block& find(const void* data) const;
  void publish(const Block& block) const;
  void open(const Block& block) const;
  void close(const Block& block) const;

  std::string what_;
  Memory memory_;
  bool with_bands_;
  bool on_host_;
  std::vector<std::unique_ptr<Block>> blocks_;
};

}  // namespace tinygpt::test
