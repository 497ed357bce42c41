#include "tests/support/sandbox.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "tests/support/random_values.h"
#include "tinygpt/core/error.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace tinygpt::test {
namespace {

// As a float: a signalling NaN, which arithmetic turns into a quiet one, so that a value computed
// from one band is seen in another. As an int: an index far out of any range. Each buffer has its
// own, so that a copy from one band to another is seen, too.
constexpr std::uint32_t kBand = 0x7f95be00;
constexpr std::size_t kBandWords = 80;

constexpr const char* kReadOnly = "input";
constexpr const char* kWritable = "buffer";

}  // namespace

// Words rather than floats: only bits tell one NaN from another.
struct Sandbox::Block {
  std::vector<std::uint32_t> words;  // what was put there: band, data, band
  std::size_t begin = 0, size = 0;
  std::uint32_t* device = nullptr;
  const char* kind = kWritable;
  std::uint32_t band = kBand;

  std::span<std::uint32_t> data() { return {words.data() + begin, size}; }
  std::uint32_t* device_data() const { return device + begin; }
  std::size_t bytes() const { return words.size() * sizeof(std::uint32_t); }
};

Sandbox::Sandbox(const Implementation& implementation, std::string what, bool with_bands)
    : what_(implementation.name.empty() ? what : what + " of " + implementation.name),
      memory_(implementation.memory),
      with_bands_(with_bands && !implementation.exact_bounds),
      on_host_(memory_.allocate == host_memory().allocate) {}

Sandbox::~Sandbox() {
  for (const auto& block : blocks_) {
    open(*block);
    memory_.release(block->device);
  }
}

Sandbox::Block& Sandbox::add(std::int64_t n) {
  check(n >= 0, [&] { return fmt::format("{}: a buffer of {} values", what_, n); });
  auto block = std::make_unique<Block>();
  block->size = static_cast<std::size_t>(n);
  block->band = kBand + static_cast<std::uint32_t>(blocks_.size() % 256);
  // Odd, and another one for each buffer: contracts promise no alignment but a float's.
  if (with_bands_) block->begin = kBandWords + (2 * blocks_.size() + 1) % 16;
  block->words.assign(block->begin + block->size + (with_bands_ ? kBandWords : 0), block->band);
  block->device = static_cast<std::uint32_t*>(memory_.allocate(block->bytes()));
  blocks_.push_back(std::move(block));
  return *blocks_.back();
}

// Hides the bands from the program under test.
void Sandbox::close(const Block& block) const {
  if (!on_host_) return;
  const std::size_t end = block.begin + block.size;
  ASAN_POISON_MEMORY_REGION(block.device, block.begin * sizeof(std::uint32_t));
  ASAN_POISON_MEMORY_REGION(block.device + end, (block.words.size() - end) * sizeof(std::uint32_t));
}

void Sandbox::open(const Block& block) const {
  if (on_host_) ASAN_UNPOISON_MEMORY_REGION(block.device, block.bytes());
}

void Sandbox::publish(const Block& block) const {
  memory_.copy_in(block.device, block.words.data(), block.bytes());
  close(block);
}

const float* Sandbox::input(const Values& values) {
  float* const data = accumulator(values);
  blocks_.back()->kind = kReadOnly;
  return data;
}

const int* Sandbox::input(const std::vector<int>& values) {
  Block& block = add(static_cast<std::int64_t>(values.size()));
  block.kind = kReadOnly;
  std::ranges::transform(values, block.data().begin(),
                         [](int value) { return std::bit_cast<std::uint32_t>(value); });
  publish(block);
  return reinterpret_cast<const int*>(block.device_data());
}

float* Sandbox::output(std::int64_t n) {
  return accumulator(Values(static_cast<std::size_t>(n), std::numeric_limits<double>::quiet_NaN()));
}

float* Sandbox::accumulator(const Values& start) {
  Block& block = add(static_cast<std::int64_t>(start.size()));
  std::ranges::transform(start, block.data().begin(), [](double value) {
    return std::bit_cast<std::uint32_t>(static_cast<float>(value));
  });
  publish(block);
  return reinterpret_cast<float*>(block.device_data());
}

float* Sandbox::accumulator(std::int64_t n, std::uint64_t seed) {
  return accumulator(random_values(n, seed));
}

float* Sandbox::scratch(std::int64_t n) { return output(n); }

const Sandbox::Block& Sandbox::find(const void* data) const {
  for (const auto& block : blocks_) {
    if (block->device_data() == data) return *block;
  }
  throw Error(what_ + ": the test compares a buffer that is not in its sandbox");
}

Values Sandbox::values(const float* buffer) const {
  const Block& block = find(buffer);
  std::vector<float> floats(block.size);
  memory_.copy_out(floats.data(), buffer, floats.size() * sizeof(float));
  return {floats.begin(), floats.end()};
}

std::string Sandbox::damage() const {
  for (std::size_t b = 0; b < blocks_.size(); ++b) {
    const Block& block = *blocks_[b];
    std::vector<std::uint32_t> now(block.words.size());
    open(block);
    memory_.copy_out(now.data(), block.device, block.bytes());
    close(block);
    for (std::size_t i = 0; i < now.size(); ++i) {
      const bool inside = i >= block.begin && i < block.begin + block.size;
      if (now[i] == block.words[i] || (inside && block.kind == kWritable)) continue;
      const auto place = static_cast<std::int64_t>(i) - static_cast<std::int64_t>(block.begin);
      const std::string where = what_.empty() ? "" : what_ + ": ";
      return fmt::format("{}argument {} ({} of {} values) was written at [{}], {}", where, b + 1,
                         block.kind, block.size, place,
                         inside ? "but it is an input" : "outside of its bounds");
    }
  }
  return "";
}

std::string Sandbox::problem(const std::string& name, const float* buffer, const Values& expected,
                             const Shape& shape, const Tolerance& tolerance) const {
  const Values now = values(buffer);
  const std::vector<float> floats(now.begin(), now.end());
  const std::string wrong = difference(what_ + ", " + name, floats, expected, shape, tolerance);
  const std::string harm = damage();
  return wrong + (wrong.empty() || harm.empty() ? "" : "\n") + harm;
}

Values Sandbox::added(const float* buffer, const Values& gradient, Tolerance& tolerance) const {
  const Block& block = find(buffer);
  if (tolerance.magnitudes.empty()) tolerance.magnitudes.assign(gradient.size(), tolerance.scale);
  Values expected(gradient.size());
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    const double start = std::bit_cast<float>(block.words[block.begin + i]);
    expected[i] = start + gradient[i];
    tolerance.magnitudes[i] += std::abs(start) + std::abs(gradient[i]);
  }
  return expected;
}

}  // namespace tinygpt::test
