// Buffers that notice a write outside of them, and inputs that notice a write at all.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "tinygpt/core/random.h"

namespace tinygpt::test {

inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// n floats with a band of known values before and after. The data is deliberately not aligned to
// more than a float where `shift` is odd: contracts promise nothing about alignment.
class Guarded {
 public:
  explicit Guarded(std::int64_t n, float fill = kNan, int shift = 0)
      : n_(static_cast<std::size_t>(n)), begin_(kBand + static_cast<std::size_t>(shift)) {
    all_.assign(begin_ + n_ + kBand, kCanary);
    std::fill_n(data(), n_, fill);
  }
  explicit Guarded(const std::vector<double>& values, int shift = 0)
      : Guarded(static_cast<std::int64_t>(values.size()), 0.0f, shift) {
    for (std::size_t i = 0; i < n_; ++i) data()[i] = static_cast<float>(values[i]);
    before_ = std::vector<float>(data(), data() + n_);
  }
  float* data() { return all_.data() + begin_; }
  std::span<const float> values() const { return {all_.data() + begin_, n_}; }
  std::vector<double> doubles() const { return {values().begin(), values().end()}; }

  // Nothing was written around the buffer.
  bool is_intact() const {
    for (std::size_t i = 0; i < all_.size(); ++i) {
      const bool inside = i >= begin_ && i < begin_ + n_;
      if (!inside && all_[i] != kCanary) return false;
    }
    return true;
  }
  // Nothing was written at all (for a buffer made from values).
  bool is_unchanged() const {
    return is_intact() && std::equal(before_.begin(), before_.end(), values().begin());
  }

 private:
  static constexpr std::size_t kBand = 67;
  static constexpr float kCanary = 1.2345e30f;
  std::size_t n_ = 0;
  std::size_t begin_ = 0;
  std::vector<float> all_;
  std::vector<float> before_;
};

// Values that a float holds exactly, so that oracle and kernel start from the same numbers.
inline std::vector<double> random_values(std::int64_t n, std::uint64_t seed, double scale = 1.0) {
  Random random{seed};
  std::vector<double> values(static_cast<std::size_t>(n));
  for (double& value : values) value = static_cast<float>(scale * random.normal());
  return values;
}

inline std::vector<int> random_tokens(std::int64_t n, int V, std::uint64_t seed) {
  Random random{seed, 0, 1};
  std::vector<int> tokens(static_cast<std::size_t>(n));
  for (int& token : tokens) token = static_cast<int>(random.below(static_cast<std::uint64_t>(V)));
  return tokens;
}

}  // namespace tinygpt::test
