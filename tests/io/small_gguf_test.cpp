// Lesson 24's plain GGUF beside the library's: each opens what the other has written.
#include <cstring>

#include "solutions/24-quantized-inference/gguf.h"
#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "tinygpt/core/file.h"
#include "tinygpt/io/gguf.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

std::string some_bytes(std::size_t n) {
  std::string bytes;
  for (std::size_t i = 0; i < n; ++i) bytes += static_cast<char>(i * 31 + 7);
  return bytes;
}

ref::ModelFile example() {
  return {{{"general.architecture", std::string("llama")},
           {"llama.block_count", std::uint32_t{2}},
           {"llama.rope.freq_base", 10000.0f}},
          {{"blk.0.ffn_up.weight", {3, 64}, ref::TensorType::q8_0, some_bytes(3 * 2 * 34)},
           {"blk.0.ffn_norm.weight", {7}, ref::TensorType::f32, some_bytes(28)},
           {"blk.0.ffn_down.weight", {5, 32}, ref::TensorType::q4_0, some_bytes(5 * 18)}}};
}

std::vector<GgufSource> sources(const ref::ModelFile& file) {
  std::vector<GgufSource> all;
  for (const ref::ModelTensor& t : file.tensors) {
    all.push_back({t.name,
                   {t.shape.begin(), t.shape.end()},
                   static_cast<GgufType>(t.type),
                   [&t](const Sink& sink) { sink(t.data.data(), t.data.size()); }});
  }
  return all;
}

}  // namespace

TEST_CASE("the library opens what lesson 24's gguf_write wrote", "[gguf][lesson-24]") {
  const TemporaryFolder folder;
  const ref::ModelFile file = example();
  write_file_atomically(folder / "model.gguf", ref::gguf_write(file));
  const GgufFile opened = open_gguf(folder / "model.gguf");
  CHECK(opened.text("general.architecture") == "llama");
  CHECK(opened.integer("llama.block_count", 0, 100) == 2);
  CHECK(opened.number("llama.rope.freq_base") == 10000.0);
  REQUIRE(opened.tensors.size() == file.tensors.size());
  for (std::size_t i = 0; i < file.tensors.size(); ++i) {
    const GgufTensor& t = opened.tensors[i];
    CHECK(t.name == file.tensors[i].name);
    CHECK(std::vector<std::uint64_t>(t.shape.begin(), t.shape.end()) == file.tensors[i].shape);
    CHECK(static_cast<std::uint32_t>(t.type) == static_cast<std::uint32_t>(file.tensors[i].type));
    REQUIRE(t.bytes.size() == file.tensors[i].data.size());
    CHECK(std::memcmp(t.bytes.data(), file.tensors[i].data.data(), t.bytes.size()) == 0);
  }
}

TEST_CASE("lesson 24's gguf_read opens what the library wrote, and both write the same bytes",
          "[gguf][lesson-24]") {
  const TemporaryFolder folder;
  const ref::ModelFile file = example();
  write_gguf(folder / "model.gguf",
             {{"general.architecture", GgufValue::text("llama")},
              {"llama.block_count", GgufValue::u32(2)},
              {"llama.rope.freq_base", GgufValue::f32(10000.0f)}},
             sources(file));
  const std::string bytes = read_file(folder / "model.gguf");
  CHECK(ref::gguf_read(bytes) == file);
  CHECK(ref::gguf_write(file) == bytes);
}
