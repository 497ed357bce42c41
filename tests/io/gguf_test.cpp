#include "tinygpt/io/gguf.h"

#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "solutions/21-quantization/quantize.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;
using tinygpt::test::TemporaryFolder;

namespace {

template <class T>
GgufSource source(const std::string& name, std::vector<std::int64_t> shape, GgufType type,
                  std::vector<T> values) {
  return {name, std::move(shape), type,
          [values](const Sink& sink) { sink(values.data(), values.size() * sizeof(T)); }};
}

std::vector<float> steps(int n) {
  std::vector<float> x;
  for (int i = 0; i < n; ++i) x.push_back(static_cast<float>(i - n / 2) / 4);
  return x;
}

std::map<std::string, GgufValue> some_settings() {
  return {{"general.architecture", GgufValue::text("gpt2")},
          {"gpt2.block_count", GgufValue::u32(2)},
          {"gpt2.epsilon", GgufValue::f32(1e-5f)},
          {"tokenizer.add", GgufValue::boolean(true)},
          {"tokenizer.tokens", GgufValue::texts({"a", "", std::string("\xff\x00 b", 4)})},
          {"tokenizer.types", GgufValue::i32s({1, -2, 3})},
          {"tokenizer.scores", GgufValue::f32s({0.5f, -1.0f})},
          {"z.u64", {std::uint64_t{1} << 63, 10}},
          {"z.i8", {std::int64_t{-5}, 1}}};
}

std::vector<std::byte> bytes_of_file(const std::filesystem::path& path) {
  const std::string text = read_file(path);
  std::vector<std::byte> bytes(text.size());
  std::memcpy(bytes.data(), text.data(), text.size());
  return bytes;
}

// A small file as it should be, whose bytes tests then spoil.
std::vector<std::byte> good_file() {
  const TemporaryFolder folder;
  write_gguf(folder / "m.gguf", {{"a.key", GgufValue::u32(7)}, {"b.list", GgufValue::i32s({1, 2})}},
             {source("x", {2, 3}, GgufType::f32, steps(6)),
              source("y", {32}, GgufType::f16, std::vector<std::uint16_t>(32, 0x3c00))});
  return bytes_of_file(folder / "m.gguf");
}

std::size_t place_of(const std::vector<std::byte>& bytes, const std::string& text) {
  const std::string all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::size_t at = all.find(text);
  REQUIRE(at != std::string::npos);
  return at;
}

template <class T>
void put(std::vector<std::byte>& bytes, std::size_t at, T value) {
  REQUIRE(at + sizeof(T) <= bytes.size());
  std::memcpy(bytes.data() + at, &value, sizeof(T));
}

std::string refusal(const std::vector<std::byte>& bytes) {
  try {
    parse_gguf(bytes, "bad.gguf");
  } catch (const Error& e) {
    const std::string message = e.what();
    CHECK_THAT(message, ContainsSubstring("bad.gguf"));
    CHECK(message.find('\n') == std::string::npos);
    return message;
  }
  return "it was accepted";
}

}  // namespace

TEST_CASE("a gguf file gives back its settings and tensors") {
  const TemporaryFolder folder;
  const std::vector<float> x = steps(64);
  std::vector<BlockQ8_0> eight(2);
  std::vector<BlockQ4_0> four(2);
  ref::quantize_q8_0(eight.data(), x.data(), 64);
  ref::quantize_q4_0(four.data(), x.data(), 64);
  write_gguf(
      folder / "m.gguf", some_settings(),
      {source("f", {2, 3}, GgufType::f32, steps(6)),
       source("h", {3}, GgufType::f16, std::vector<std::uint16_t>{0x3c00, 0xc000, 0x3800}),
       source("b", {1, 2}, GgufType::bf16, std::vector<std::uint16_t>{0x3f80, 0xc000}),
       source("q8", {2, 32}, GgufType::q8_0, eight), source("q4", {64}, GgufType::q4_0, four)});
  const GgufFile g = open_gguf(folder / "m.gguf");
  CHECK(g.settings == some_settings());
  REQUIRE(g.tensors.size() == 5);
  const auto floats = [&](const char* name) {
    const GgufTensor* t = g.find(name);
    REQUIRE(t != nullptr);
    CHECK(reinterpret_cast<std::uintptr_t>(t->bytes.data()) % 32 == 0);
    std::vector<float> out(static_cast<std::size_t>(t->size()));
    copy_as_float(out, *t);
    return out;
  };
  CHECK(floats("f") == steps(6));
  CHECK(g.find("f")->shape == std::vector<std::int64_t>{2, 3});
  CHECK(floats("h") == std::vector<float>{1.0f, -2.0f, 0.5f});
  CHECK(floats("b") == std::vector<float>{1.0f, -2.0f});
  std::vector<float> expected(64);
  ref::dequantize_q8_0(expected.data(), eight.data(), 64);
  CHECK(floats("q8") == expected);
  ref::dequantize_q4_0(expected.data(), four.data(), 64);
  CHECK(floats("q4") == expected);
  CHECK(g.find("nothing") == nullptr);
}

TEST_CASE("a gguf file's first bytes are those of the format") {
  const std::vector<std::byte> bytes = good_file();
  CHECK(std::memcmp(bytes.data(), "GGUF\x03\0\0\0\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0", 24) == 0);
  // The first key: its length, its letters, type 4 (u32), the value.
  CHECK(std::memcmp(bytes.data() + 24, "\x05\0\0\0\0\0\0\0a.key\x04\0\0\0\x07\0\0\0", 21) == 0);
  // The tensor x of 2 rows and 3 columns: sizes from the fastest on.
  const std::size_t at = place_of(bytes, "x\x02") + 1;
  std::uint64_t sizes[2];
  std::memcpy(sizes, bytes.data() + at + 4, 16);
  CHECK(sizes[0] == 3);
  CHECK(sizes[1] == 2);
}

TEST_CASE("settings are asked for by kind, and missing ones are named") {
  const TemporaryFolder folder;
  write_gguf(folder / "m.gguf", some_settings(), {});
  const GgufFile g = open_gguf(folder / "m.gguf");
  CHECK(g.text("general.architecture") == "gpt2");
  CHECK(g.integer("gpt2.block_count", 1, 100) == 2);
  CHECK(g.number("gpt2.epsilon") == Approx(1e-5));
  CHECK_THROWS_WITH(g.text("general.name"), ContainsSubstring("has no setting general.name"));
  CHECK_THROWS_WITH(g.integer("gpt2.block_count", 3, 9),
                    ContainsSubstring("an integer from 3 to 9, and is 2"));
  CHECK_THROWS_WITH(g.integer("z.u64", 0, 9), ContainsSubstring("must be an integer"));
  CHECK_THROWS_WITH(g.number("general.architecture"), ContainsSubstring("must be a number"));
}

TEST_CASE("a gguf file cut short anywhere is refused") {
  const std::vector<std::byte> bytes = good_file();
  for (std::size_t n = 0; n < bytes.size() - 20; ++n) {  // the last bytes are padding
    std::vector<std::byte> part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
    INFO("the first " << n << " bytes");
    REQUIRE(refusal(part) != "it was accepted");
  }
}

TEST_CASE("hostile gguf headers are refused with what is wrong") {
  const std::vector<std::byte> good = good_file();
  const auto with = [&](std::size_t at, auto value) {
    std::vector<std::byte> bytes = good;
    put(bytes, at, value);
    return refusal(bytes);
  };
  constexpr std::uint64_t kHuge = ~std::uint64_t{0};
  CHECK_THAT(with(0, 'X'), ContainsSubstring("no GGUF file"));
  CHECK_THAT(with(4, std::uint32_t{2}), ContainsSubstring("version 2"));
  CHECK_THAT(with(4, std::uint32_t{3u << 24}), ContainsSubstring("big-endian"));
  CHECK_THAT(with(8, kHuge), ContainsSubstring("tensors do not fit"));
  CHECK_THAT(with(16, kHuge), ContainsSubstring("settings do not fit"));
  CHECK_THAT(with(24, kHuge), ContainsSubstring("do not fit"));
  CHECK_THAT(with(37, std::uint32_t{99}), ContainsSubstring("type 99"));
  const std::size_t list = place_of(good, "b.list") + 6;
  CHECK_THAT(with(list + 4, std::uint32_t{9}), ContainsSubstring("array of type 9"));
  CHECK_THAT(with(list + 8, kHuge), ContainsSubstring("elements do not fit"));
  const std::size_t x = place_of(good, "x\x02") + 1;
  CHECK_THAT(with(x, std::uint32_t{5}), ContainsSubstring("5 sizes"));
  CHECK_THAT(with(x + 4, std::uint64_t{0}), ContainsSubstring("out of range"));
  CHECK_THAT(with(x + 4, kHuge / 2), ContainsSubstring("out of range"));
  CHECK_THAT(with(x + 4, std::uint64_t{12}), ContainsSubstring("overlaps"));
  CHECK_THAT(with(x + 20, std::uint32_t{14}), ContainsSubstring("ggml's type 14"));
  CHECK_THAT(with(x + 20, std::uint32_t{8}), ContainsSubstring("blocks of 32"));
  CHECK_THAT(with(x + 24, std::uint64_t{3}), ContainsSubstring("no multiple of 32"));
  CHECK_THAT(with(x + 24, std::uint64_t{1} << 40), ContainsSubstring("beyond the"));
  CHECK_THAT(with(x - 1, 'y'), ContainsSubstring("comes twice"));
  CHECK_THAT(with(x - 1, '\xff'), ContainsSubstring("UTF-8"));
}

TEST_CASE("what cannot be written as gguf leaves an old file alone") {
  const TemporaryFolder folder;
  write_gguf(folder / "m.gguf", {{"a", GgufValue::u32(1)}}, {});
  const std::string before = read_file(folder / "m.gguf");
  const auto x = source("x", {6}, GgufType::f32, steps(6));
  const auto refused = [&](const std::vector<GgufSource>& tensors) {
    CHECK_THROWS_AS(write_gguf(folder / "m.gguf", {}, tensors), Error);
    CHECK(read_file(folder / "m.gguf") == before);
  };
  refused({x, x});
  refused({source("x", {7}, GgufType::f32, steps(6))});
  refused({source("x", {33}, GgufType::q8_0, std::vector<BlockQ8_0>(1))});
  refused({source("x", {}, GgufType::f32, steps(1))});
  refused({source("x", {1, 1, 1, 1, 6}, GgufType::f32, steps(6))});
}
