#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/ops/equations.h"
#include "tests/support/catch.h"
#include "tests/support/random_values.h"
#include "tests/support/sandbox.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

struct DecodeSize {
  int S, NH, NKV, HS, capacity;
  std::vector<int> sequence, position;
  int N() const { return static_cast<int>(sequence.size()); }
  int longest() const { return *std::max_element(position.begin(), position.end()) + 1; }
  std::int64_t qkv() const { return std::int64_t{N()} * (NH + 2 * NKV) * HS; }
  std::int64_t rows() const { return std::int64_t{S} * NKV * capacity; }
};

// The first token; several sequences of different length; several tokens of one; more keys than the
// stretches that kernels cut at (64 on CUDA, 512 on the processor), to the key.
const std::vector<DecodeSize> kSizes = {
    {1, 1, 1, 1, 1, {0}, {0}},
    {1, 2, 1, 5, 3, {0}, {2}},
    {3, 4, 2, 6, 17, {2, 0, 1}, {16, 0, 9}},
    {2, 6, 3, 17, 40, {1, 1, 1, 1, 0}, {30, 31, 32, 33, 5}},
    {1, 3, 1, 32, 70, {0, 0}, {63, 64}},
    {2, 4, 4, 16, 150, {1, 0}, {127, 128}},
    {1, 2, 2, 64, 1100, {0, 0, 0}, {511, 512, 1099}},
    {2, 8, 2, 40, 600, {1, 0}, {520, 3}},
    {1, 2, 1, 130, 33, {0}, {32}},
};

constexpr CacheType kTypes[] = {CacheType::f32, CacheType::bf16, CacheType::int8};

const char* name_of(CacheType type) {
  return type == CacheType::f32 ? "f32" : type == CacheType::bf16 ? "bf16" : "int8";
}

// A cache in the memory of an implementation's device, and what is in it as floats.
class DeviceCache {
 public:
  DeviceCache(const Implementation& i, const DecodeSize& s, CacheType type) : memory_(i.memory) {
    cache = {type, s.S, s.NKV, s.capacity, s.HS};
    bytes_ = static_cast<std::size_t>(cache_rows(cache) * s.HS * bytes_of(type));
    scale_bytes_ = static_cast<std::size_t>(cache_rows(cache)) * sizeof(float);
    cache.k = allocate(bytes_);
    cache.v = allocate(bytes_);
    cache.k_scale = static_cast<float*>(allocate(scale_bytes_));
    cache.v_scale = static_cast<float*>(allocate(scale_bytes_));
  }
  ~DeviceCache() {
    for (void* place : places_) memory_.release(place);
  }
  DeviceCache(const DeviceCache&) = delete;
  DeviceCache& operator=(const DeviceCache&) = delete;

  // Every place of k and v as floats.
  Values floats(bool values) const {
    std::vector<char> raw(bytes_);
    std::vector<float> scales(scale_bytes_ / sizeof(float));
    memory_.copy_out(raw.data(), values ? cache.v : cache.k, bytes_);
    memory_.copy_out(scales.data(), values ? cache.v_scale : cache.k_scale, scale_bytes_);
    Values out;
    const auto n =
        static_cast<std::size_t>(cache_rows(cache)) * static_cast<std::size_t>(cache.head_size);
    for (std::size_t i = 0; i < n; ++i) {
      if (cache.type == CacheType::f32) {
        out.push_back(reinterpret_cast<const float*>(raw.data())[i]);
      } else if (cache.type == CacheType::bf16) {
        out.push_back(float{reinterpret_cast<const Bfloat16*>(raw.data())[i]});
      } else {
        out.push_back(double{scales[i / static_cast<std::size_t>(cache.head_size)]} *
                      reinterpret_cast<const std::int8_t*>(raw.data())[i]);
      }
    }
    return out;
  }

  // Fills every place, so that what must not be read is there to be read.
  void fill(const Implementation& i, const DecodeSize& s, std::uint64_t seed, double scale) {
    const std::int64_t row = std::int64_t{s.NH + 2 * s.NKV} * s.HS;
    for (int sequence = 0; sequence < s.S; ++sequence) {
      Sandbox box(i, "kv_append");
      std::vector<int> sequences(static_cast<std::size_t>(s.capacity), sequence), positions;
      for (int p = 0; p < s.capacity; ++p) positions.push_back(p);
      const float* qkv = box.input(
          random_values(s.capacity * row, seed + static_cast<std::uint64_t>(sequence), scale));
      i.ops.kv_append(cache, qkv, box.input(sequences), box.input(positions), s.capacity, s.NH);
    }
  }

  KvCache cache;

 private:
  void* allocate(std::size_t bytes) {
    places_.push_back(memory_.allocate(bytes));
    memory_.zero(places_.back(), bytes);
    return places_.back();
  }
  Memory memory_;
  std::size_t bytes_ = 0, scale_bytes_ = 0;
  std::vector<void*> places_;
};

// The equation, in double precision, over what the cache holds.
Exact decode_equation(const DecodeSize& s, const Values& qkv, const Values& k, const Values& v) {
  Exact out;
  const auto row = static_cast<std::size_t>((s.NH + 2 * s.NKV) * s.HS);
  const auto HS = static_cast<std::size_t>(s.HS);
  for (std::size_t n = 0; n < s.sequence.size(); ++n) {
    for (int h = 0; h < s.NH; ++h) {
      const std::size_t head =
          static_cast<std::size_t>(s.sequence[n] * s.NKV + h / (s.NH / s.NKV)) *
          static_cast<std::size_t>(s.capacity) * HS;
      const auto keys = static_cast<std::size_t>(s.position[n]) + 1;
      std::vector<double> p(keys);
      for (std::size_t u = 0; u < keys; ++u) {
        for (std::size_t d = 0; d < HS; ++d) {
          p[u] += qkv[n * row + static_cast<std::size_t>(h) * HS + d] * k[head + u * HS + d];
        }
        p[u] /= std::sqrt(double(s.HS));
      }
      const double largest = *std::max_element(p.begin(), p.end());
      double sum = 0;
      for (double& x : p) sum += x = std::exp(x - largest);
      for (std::size_t d = 0; d < HS; ++d) {
        double value = 0, magnitude = 0;
        for (std::size_t u = 0; u < keys; ++u) {
          value += p[u] / sum * v[head + u * HS + d];
          magnitude += p[u] / sum * std::abs(v[head + u * HS + d]);
        }
        out.value.push_back(value);
        out.magnitude.push_back(magnitude);
      }
    }
  }
  return out;
}

bool too_much(const Implementation& i, const DecodeSize& s) {
  return too_much_to_watch(i, std::int64_t{s.N()} * s.NH * s.longest() * s.HS, 40'000);
}

}  // namespace

TEST_CASE("attention_decode matches its equation", "[kv_cache][forward][lesson-23]") {
  for (const DecodeSize& s : kSizes) {
    for (const double scale : {1.0, 4.0}) {
      const Values in = random_values(s.qkv(), 1, scale);
      for (const Implementation& i : implementations()) {
        if (too_much(i, s)) continue;
        for (const CacheType type : kTypes) {
          DeviceCache device(i, s, type);
          device.fill(i, s, 7, scale);
          const Exact expected = decode_equation(s, in, device.floats(false), device.floats(true));
          Sandbox box(i, std::string("attention_decode over a cache in ") + name_of(type));
          const float* qkv = box.input(in);
          const int *sequence = box.input(s.sequence), *position = box.input(s.position);
          float* out = box.output(std::int64_t{s.N()} * s.NH * s.HS);
          float* scratch = box.scratch(
              i.ops.attention_decode_scratch_size(s.N(), s.NH, s.NKV, s.HS, s.longest()));
          i.ops.attention_decode(out, qkv, device.cache, sequence, position, scratch, s.N(), s.NH,
                                 s.longest());
          const Shape shape = {{"n", s.N()}, {"h", s.NH}, {"d", s.HS}};
          // Scores grow with scale^2 sqrt(HS), and so does what their rounding does to exp.
          box.expect("out", out, expected.value, shape,
                     {.terms = double(s.longest()) + s.HS * scale * scale,
                      .factor = 4,
                      .magnitudes = expected.magnitude});
        }
      }
    }
  }
}

TEST_CASE("kv_append puts each row where it belongs, and nothing elsewhere",
          "[kv_cache][forward][lesson-23]") {
  for (const DecodeSize& s : kSizes) {
    const Values in = random_values(s.qkv(), 3);
    for (const Implementation& i : implementations()) {
      if (too_much(i, s)) continue;
      for (const CacheType type : kTypes) {
        DeviceCache device(i, s, type);
        device.fill(i, s, 7, 1.0);
        Values k = device.floats(false), v = device.floats(true);
        std::vector<double> allowed_k(k.size()), allowed_v(v.size());
        const std::size_t row = static_cast<std::size_t>((s.NH + 2 * s.NKV) * s.HS);
        const auto HS = static_cast<std::size_t>(s.HS);
        const auto put = [&](Values& to, std::vector<double>& allowed, std::size_t n, int g,
                             std::size_t from) {
          const auto at =
              static_cast<std::size_t>(cache_row(device.cache, s.sequence[n], g, s.position[n])) *
              HS;
          double largest = 0;
          for (std::size_t d = 0; d < HS; ++d) largest = std::max(largest, std::abs(in[from + d]));
          for (std::size_t d = 0; d < HS; ++d) {
            to[at + d] = in[from + d];
            if (type == CacheType::bf16) allowed[at + d] = std::abs(in[from + d]) / 256;
            if (type == CacheType::int8) allowed[at + d] = largest / 254 * 1.0001;
          }
        };
        for (std::size_t n = 0; n < s.sequence.size(); ++n) {
          for (int g = 0; g < s.NKV; ++g) {
            put(k, allowed_k, n, g, n * row + static_cast<std::size_t>(s.NH + g) * HS);
            put(v, allowed_v, n, g, n * row + static_cast<std::size_t>(s.NH + s.NKV + g) * HS);
          }
        }
        Sandbox box(i, "kv_append");
        const float* qkv = box.input(in);
        i.ops.kv_append(device.cache, qkv, box.input(s.sequence), box.input(s.position), s.N(),
                        s.NH);
        const Values found_k = device.floats(false), found_v = device.floats(true);
        std::size_t wrong = 0;
        for (std::size_t x = 0; x < k.size(); ++x) {
          wrong += !(std::abs(found_k[x] - k[x]) <= allowed_k[x]);
          wrong += !(std::abs(found_v[x] - v[x]) <= allowed_v[x]);
        }
        INFO(i.name << ", " << name_of(type) << ", capacity " << s.capacity);
        CHECK(wrong == 0);
        CHECK(box.damage().empty());
      }
    }
  }
}

TEST_CASE("a row of zeros and a row that is broken stay what they are in a small cache",
          "[kv_cache]") {
  const DecodeSize s{1, 1, 1, 4, 2, {0, 0}, {0, 1}};
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Implementation& i : implementations()) {
    for (const CacheType type : kTypes) {
      DeviceCache device(i, s, type);
      Sandbox box(i, "kv_append");
      // Row 0: a key of zeros, a value; row 1: a key with NaN, a value with infinity.
      const Values in = {1, 1, 1, 1, 0,   0, 0, 0, 1, 2, 3,        4,
                         1, 1, 1, 1, nan, 1, 1, 1, 1, 1, INFINITY, 1};
      i.ops.kv_append(device.cache, box.input(in), box.input(s.sequence), box.input(s.position), 2,
                      1);
      const Values k = device.floats(false), v = device.floats(true);
      INFO(i.name << ", " << name_of(type));
      CHECK(std::all_of(k.begin(), k.begin() + 4, [](double x) { return x == 0; }));
      CHECK(std::any_of(k.begin() + 4, k.end(), [](double x) { return std::isnan(x); }));
      CHECK(std::any_of(v.begin() + 4, v.end(), [](double x) { return !std::isfinite(x); }));
    }
  }
}

TEST_CASE("attention_decode refuses heads that do not divide", "[kv_cache]") {
  for (const Implementation& i : implementations()) {
    const DecodeSize s{1, 2, 2, 4, 2, {0}, {0}};
    DeviceCache device(i, s, CacheType::f32);
    Sandbox box(i, "attention_decode");
    float *out = box.accumulator(100), *scratch = box.scratch(10'000);
    const float* qkv = box.input(random_values(100, 1));
    CHECK_THROWS_AS(i.ops.attention_decode(out, qkv, device.cache, box.input(s.sequence),
                                           box.input(s.position), scratch, 1, 3, 1),
                    Error);
  }
}
