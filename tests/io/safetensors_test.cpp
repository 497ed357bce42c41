#include "tinygpt/io/safetensors.h"

#include <sys/stat.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "tinygpt/core/error.h"

using namespace tinygpt;
using tinygpt::test::TemporaryFolder;

namespace {

std::string file_with(std::uint64_t announced, const std::string& header, const std::string& data) {
  std::string file(8, '\0');
  std::memcpy(file.data(), &announced, 8);
  return file + header + data;
}

std::string file_with(const std::string& header, const std::string& data) {
  return file_with(header.size(), header, data);
}

// Plainly: without fsync, a thousand files take no time.
void write_plainly(const std::filesystem::path& path, const std::string& content) {
  std::ofstream(path, std::ios::binary) << content;
}

// The message with which a file of this content is refused.
std::string refusal(const std::string& content) {
  const TemporaryFolder folder;
  write_plainly(folder / "t.safetensors", content);
  try {
    open_safetensors(folder / "t.safetensors");
  } catch (const Error& e) {
    const std::string message = e.what();
    CHECK(message.find('\n') == std::string::npos);
    CHECK(message.size() < 400);
    CHECK_THAT(message, ContainsSubstring((folder / "t.safetensors").string()));
    return message;
  }
  return "it was accepted";
}

// A tensor's entry, of which each hostile file changes one part.
struct Entry {
  std::string dtype = R"("F32")", shape = "[2,3]", offsets = "[0,24]";
  std::string text() const {
    return R"({"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}";
  }
};

std::string refusal_of(const Entry& entry, std::size_t data_bytes = 24) {
  return refusal(file_with(R"({"a":)" + entry.text() + "}", std::string(data_bytes, '\1')));
}

}  // namespace

TEST_CASE("tensors come back from a file as they were written", "[io][safetensors]") {
  const TemporaryFolder folder;
  const std::vector<float> a = {1.5f, -0.0f, std::numeric_limits<float>::infinity(), 1e-45f};
  const std::vector<float> b = {std::nanf("7")};
  const auto source = [](const std::vector<float>& v) {
    return [&v](const Sink& sink) { sink(v.data(), v.size() * sizeof(float)); };
  };
  write_safetensors(folder / "t",
                    {{"a\"b\n", {2, 2}, source(a)},
                     {"none", {3, 0}, [](const Sink&) {}},
                     {"scalar", {}, source(b)}},
                    {{"format", "pt"}});
  const SafetensorsFile file = open_safetensors(folder / "t");
  CHECK(file.metadata == std::map<std::string, std::string>{{"format", "pt"}});
  REQUIRE(file.tensors.size() == 3);
  const TensorView& view = file.tensors.at("a\"b\n");
  CHECK(view.shape == std::vector<std::int64_t>{2, 2});
  CHECK(reinterpret_cast<std::uintptr_t>(view.bytes.data()) % 8 == 0);
  std::vector<float> back(4);
  copy_as_float(back, view);
  CHECK(std::memcmp(back.data(), a.data(), 16) == 0);
  CHECK(file.tensors.at("none").size() == 0);
  CHECK(file.tensors.at("scalar").size() == 1);
  copy_as_float(std::span(back).first(1), file.tensors.at("scalar"));
  CHECK(std::memcmp(back.data(), b.data(), 4) == 0);
}

TEST_CASE("a file without tensors is a file", "[io][safetensors]") {
  const TemporaryFolder folder;
  write_safetensors(folder / "t", {}, {});
  CHECK(open_safetensors(folder / "t").tensors.empty());
  CHECK(refusal(file_with("{}", "")) == "it was accepted");
  CHECK(refusal(file_with("{}   ", "")) == "it was accepted");
}

TEST_CASE("a writer that fails leaves the old file", "[io][safetensors]") {
  const TemporaryFolder folder;
  write_safetensors(folder / "t", {}, {});
  const std::string before = read_file(folder / "t");
  const auto too_little = [](const Sink& sink) { sink("abcd", 4); };
  CHECK_THROWS_AS(write_safetensors(folder / "t", {{"a", {2}, too_little}}, {}), Error);
  CHECK(read_file(folder / "t") == before);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("every 16-bit float is read as its value", "[io][safetensors]") {
  std::string data;
  for (std::uint32_t i = 0; i < 65536; ++i) {
    data += static_cast<char>(i & 0xFF);
    data += static_cast<char>(i >> 8);
  }
  for (const std::string dtype : {"F16", "BF16"}) {
    const TemporaryFolder folder;
    const Entry entry{"\"" + dtype + "\"", "[65536]", "[0,131072]"};
    write_plainly(folder / "t", file_with("{\"a\":" + entry.text() + "}", data));
    const SafetensorsFile file = open_safetensors(folder / "t");
    std::vector<float> values(65536);
    copy_as_float(values, file.tensors.at("a"));
    const int fraction_bits = dtype == "F16" ? 10 : 7, bias = dtype == "F16" ? 15 : 127;
    const int exponents = 1 << (15 - fraction_bits);
    for (int bits = 0; bits < 65536; ++bits) {
      const int exponent = (bits & 0x7FFF) >> fraction_bits;
      const int fraction = bits & ((1 << fraction_bits) - 1);
      const float value = values[static_cast<std::size_t>(bits)];
      CAPTURE(dtype, bits, value);
      REQUIRE(std::signbit(value) == (bits >= 32768));
      if (exponent == exponents - 1) {
        REQUIRE((fraction == 0 ? std::isinf(value) : std::isnan(value)));
        continue;
      }
      // Subnormal numbers have no leading one and the exponent of the smallest normal ones.
      const int leading = exponent == 0 ? 0 : 1 << fraction_bits;
      const double expected =
          std::ldexp(leading + fraction, std::max(exponent, 1) - bias - fraction_bits);
      REQUIRE(std::abs(double{value}) == expected);
    }
  }
}

TEST_CASE("a file that is cut short is refused", "[io][safetensors][hostile]") {
  const std::string whole = file_with(R"({"a":)" + Entry().text() + "}", std::string(24, '\1'));
  REQUIRE(refusal(whole) == "it was accepted");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK(refusal(whole.substr(0, size)) != "it was accepted");
  }
  CHECK_THAT(refusal(whole.substr(0, 5)), ContainsSubstring("5 bytes are too few"));
  CHECK_THAT(refusal(whole.substr(0, 20)), ContainsSubstring("cut short"));
  CHECK_THAT(refusal(whole.substr(0, whole.size() - 1)), ContainsSubstring("cut short"));
}

TEST_CASE("a header whose length lies is refused", "[io][safetensors][hostile]") {
  const std::string header = R"({"a":)" + Entry().text() + "}", data(24, '\1');
  CHECK_THAT(refusal(file_with(header.size() - 1, header, data)),
             ContainsSubstring("not valid JSON"));
  CHECK_THAT(refusal(file_with(header.size() + 1, header, data)),
             ContainsSubstring("not valid JSON"));
  CHECK_THAT(refusal(file_with(0, header, data)), ContainsSubstring("no JSON object"));
  for (const std::uint64_t length :
       {std::uint64_t{1} << 20, std::uint64_t{1} << 63, ~std::uint64_t{0}, ~std::uint64_t{0} - 8}) {
    CHECK_THAT(refusal(file_with(length, header, data)), ContainsSubstring("is announced"));
  }
  const std::string long_header(std::size_t{17} << 20, ' ');
  CHECK_THAT(refusal(file_with("{" + long_header + "}", "")),
             ContainsSubstring("more than the 16777216"));
}

TEST_CASE("a header that is no object of tensors is refused", "[io][safetensors][hostile]") {
  CHECK_THAT(refusal(file_with("[]", "")), ContainsSubstring("no JSON object"));
  CHECK_THAT(refusal(file_with(" {}", "")), ContainsSubstring("no JSON object"));
  CHECK_THAT(refusal(file_with(R"({"a":NaN})", "")), ContainsSubstring("not valid JSON"));
  CHECK_THAT(refusal(file_with("{\"a\xFF\":1}", "")), ContainsSubstring("not valid JSON"));
  CHECK_THAT(refusal(file_with(R"({"a":7})", "")), ContainsSubstring("must be an object"));
  CHECK_THAT(refusal(file_with(R"({"a":{}})", "")), ContainsSubstring("has no dtype"));
  CHECK_THAT(refusal(file_with(R"({"__metadata__":{"a":1}})", "")),
             ContainsSubstring("__metadata__"));
  CHECK_THAT(refusal(file_with(R"({"__metadata__":[]})", "")), ContainsSubstring("__metadata__"));
  std::string deep = R"({"a":)";
  for (int i = 0; i < 100000; ++i) deep += '[';
  CHECK_THAT(refusal(file_with(deep, "")), ContainsSubstring("nested more than 64 deep"));
  const std::string a = R"("a":)" + Entry().text();
  CHECK_THAT(refusal(file_with("{" + a + "," + a + "}", std::string(24, '\1'))),
             ContainsSubstring("has \"a\" twice"));
}

TEST_CASE("a tensor of the wrong type, shape or place is refused", "[io][safetensors][hostile]") {
  REQUIRE(refusal_of(Entry{}) == "it was accepted");
  CHECK_THAT(refusal_of({.dtype = "\"F31\""}), ContainsSubstring("unknown dtype \"F31\""));
  CHECK_THAT(refusal_of({.dtype = "4"}), ContainsSubstring("dtype must be a string"));
  CHECK_THAT(refusal_of({.dtype = "\"F16\""}),
             ContainsSubstring("span 24 bytes where F16 of shape [2, 3] take 12"));
  for (const char* shape : {"6", "[2.0,3]", "[-2,-3]", "[\"2\",3]", "[[2,3]]", "[2,null]",
                            "[9223372036854775808]", "[1e2]"}) {
    CHECK_THAT(refusal_of({.shape = shape}), ContainsSubstring("shape must"));
  }
  // 2^32 x 2^32 x 6 is 6 x 2^64: 0 bytes to whoever does not look.
  CHECK_THAT(refusal_of({.shape = "[4294967296,4294967296,6]"}),
             ContainsSubstring("needs more bytes than the file's"));
  CHECK_THAT(refusal_of({.shape = "[4611686018427387910]"}), ContainsSubstring("needs more bytes"));
  CHECK_THAT(refusal_of({.shape = "[7]"}), ContainsSubstring("needs more bytes"));
  CHECK_THAT(refusal_of({.shape = "[2,2]"}), ContainsSubstring("span 24 bytes where F32 of shape"));
  CHECK_THAT(refusal_of({.shape = "[0,4611686018427387904,4]"}),
             ContainsSubstring("span 24 bytes"));
  for (const char* offsets : {"[24,0]", "[0]", "[0,24,24]", "{}", "[0.0,24]", "[-24,0]", "null",
                              "[0,18446744073709551615]"}) {
    CHECK_THAT(refusal_of({.offsets = offsets}), ContainsSubstring("data_offsets must be"));
  }
  CHECK_THAT(refusal_of({.offsets = "[8,32]"}), ContainsSubstring("end at 32"));
  CHECK_THAT(refusal_of(Entry{}, 25), ContainsSubstring("25 bytes of data"));
  CHECK_THAT(refusal_of({.offsets = "[1,25]"}, 25), ContainsSubstring("after the end"));
}

TEST_CASE("tensors that overlap or leave a gap are refused", "[io][safetensors][hostile]") {
  const auto pair = [](const std::string& first, const std::string& second, std::size_t bytes) {
    return refusal(file_with(R"({"a":)" + Entry{R"("U8")", "[4]", first}.text() + R"(,"b":)" +
                                 Entry{R"("U8")", "[4]", second}.text() + "}",
                             std::string(bytes, '\1')));
  };
  CHECK(pair("[0,4]", "[4,8]", 8) == "it was accepted");
  CHECK(pair("[4,8]", "[0,4]", 8) == "it was accepted");
  CHECK_THAT(pair("[0,4]", "[0,4]", 4), ContainsSubstring("before the end"));
  CHECK_THAT(pair("[0,4]", "[3,7]", 7), ContainsSubstring("before the end"));
  CHECK_THAT(pair("[0,4]", "[5,9]", 9), ContainsSubstring("after the end"));
}

TEST_CASE("what is no regular file is refused without waiting", "[io][safetensors][hostile]") {
  const TemporaryFolder folder;
  REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
  CHECK_THROWS_WITH(open_safetensors(folder / "fifo"), ContainsSubstring("not a regular file"));
  CHECK_THROWS_WITH(open_safetensors(folder.path()), ContainsSubstring("not a regular file"));
  CHECK_THROWS_WITH(open_safetensors(folder / "none"), ContainsSubstring("cannot be opened"));
}

// Whatever a few changed bytes do, the reader refuses in one line or gives views inside the file.
TEST_CASE("random damage is refused or harmless", "[io][safetensors][hostile]") {
  const std::string whole =
      file_with(R"({"__metadata__":{"k":"v"},"a":)" + Entry().text() + "}", std::string(24, '\1'));
  const TemporaryFolder folder;
  std::uint32_t random = 1;
  for (int round = 0; round < 2000; ++round) {
    std::string damaged = whole;
    for (int i = 0; i < 3; ++i) {
      random = random * 1664525u + 1013904223u;
      damaged[(random >> 8) % (damaged.size() - 24)] = static_cast<char>(random >> 24);
    }
    write_plainly(folder / "t", damaged);
    try {
      const SafetensorsFile file = open_safetensors(folder / "t");
      for (const auto& [name, view] : file.tensors) {
        std::vector<float> values(static_cast<std::size_t>(view.size()));
        if (is_float_dtype(view.dtype)) copy_as_float(values, view);
      }
    } catch (const Error& e) {
      REQUIRE(std::string(e.what()).find('\n') == std::string::npos);
    }
  }
}
