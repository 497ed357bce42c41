// The experiments of lesson 24.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "lessons/24-quantized-inference/experiments.h"
#include "lessons/support/demo.h"
#include "solutions/21-quantization/quantize.h"
#include "solutions/24-quantized-inference/gguf.h"
#include "solutions/24-quantized-inference/quantized.h"
#include "tinygpt/io/gguf.h"

using namespace tinygpt;
using namespace tinygpt::lessons;

namespace {

// Four of a block's 32 values; the others are 0.
struct Place {
  std::size_t i;
  float w, x;
};
// snippet: values
const std::vector<Place> kPlaces = {
    {0, 3.5f, 1.27f}, {1, -4.0f, -0.5f}, {16, 1.5f, 0.3f}, {17, -1.0f, 0.9f}};
// end of snippet

void worked(const std::vector<Option>&) {
  std::vector<float> w(kQuantBlock, 0.0f), x(kQuantBlock, 0.0f);
  double exact = 0;
  for (const Place& p : kPlaces) w[p.i] = p.w, x[p.i] = p.x, exact += double{p.w} * p.x;
  BlockQ4_0 weight;
  BlockQ8_0 input;
  ref::quantize_q4_0(&weight, w.data(), kQuantBlock);
  ref::quantize_q8_0(&input, x.data(), kQuantBlock);
  fmt::print("weight: d = {:.2f}, four bits     x: d = {:.2f}, eight bits\n\n",
             static_cast<float>(weight.d), static_cast<float>(input.d));
  fmt::print("{:>3}{:>8}{:>9}{:>7}{:>7}{:>10}\n", "i", "weight", "stored", "x", "q", "product");
  int dot = 0, x_sum = 0;
  for (const Place& p : kPlaces) {
    const unsigned byte = weight.q[p.i % 16];
    const int stored = static_cast<int>(p.i < 16 ? byte & 15 : byte >> 4);
    const int q = input.q[p.i];
    dot += stored * q, x_sum += q;
    fmt::print("{:>3}{:>8.1f}{:>9}{:>7.2f}{:>7}{:>10}\n", p.i, p.w, stored, p.x, q, stored * q);
  }
  fmt::print("{:>34}{:>10}\n", fmt::format("sum {}", x_sum), dot);
  fmt::print("\nbyte 0: {:02x}   byte 1: {:02x}   bytes 2 to 15: {:02x}\n\n", weight.q[0],
             weight.q[1], weight.q[2]);
  float out = 0;
  ref::matvec_q4_0(&out, &weight, &input, 1, kQuantBlock);
  fmt::print("{} - 8 * {} = {}\n{} * 0.5 * 0.01 = {:.3f}     in floats: {:.3f}\n", dot, x_sum,
             dot - 8 * x_sum, dot - 8 * x_sum, out, exact);
}

// A row of the file's bytes, and what they are.
void print_bytes(const std::string& bytes, std::size_t at, std::size_t n, const std::string& what) {
  std::string hex;
  for (std::size_t i = at; i < at + std::min<std::size_t>(n, 10); ++i) {
    hex += fmt::format("{:02x} ", static_cast<unsigned char>(bytes[i]));
  }
  fmt::print("{:>4}  {:<33}{}\n", at, hex + (n > 10 ? ".." : ""), what);
}

void show_file(const std::vector<Option>&) {
  std::vector<float> w(2 * kQuantBlock);
  std::iota(w.begin(), w.end(), -30.0f);
  std::string data(2 * sizeof(BlockQ8_0), '\0');
  ref::quantize_q8_0(reinterpret_cast<BlockQ8_0*>(data.data()), w.data(), 2 * kQuantBlock);
  const std::string file =
      ref::gguf_write({{{"general.name", std::string("tiny")}},
                       {{"w", {2, kQuantBlock}, ref::TensorType::q8_0, std::move(data)}}});
  const std::vector<std::pair<std::size_t, const char*>> parts = {
      {4, "GGUF"},
      {4, "version 3"},
      {8, "tensors: 1"},
      {8, "settings: 1"},
      {8, "a text of 12 bytes"},
      {12, "\"general.name\""},
      {4, "its type: 8, a text"},
      {8, "a text of 4 bytes"},
      {4, "\"tiny\""},
      {8, "a text of 1 byte"},
      {1, "\"w\""},
      {4, "it has 2 sizes"},
      {8, "the columns: 32"},
      {8, "the rows: 2"},
      {4, "its type: 8, Q8_0"},
      {8, "its data: 0 bytes behind the start"}};
  std::size_t at = 0;
  for (const auto& [n, what] : parts) print_bytes(file, at, n, what), at += n;
  const std::size_t data_at = (at + 31) / 32 * 32;
  print_bytes(file, at, data_at - at, "zeros, up to a multiple of 32: the data start");
  print_bytes(file, data_at, 34, "row 0: its scale, 0.236 as a half, and 32 values");
  print_bytes(file, data_at + 34, 34, "row 1");
  print_bytes(file, data_at + 68, file.size() - data_at - 68, "zeros, up to a multiple of 32");
  // The library's reader, which reads what other programs write, too.
  std::vector<std::uint64_t> aligned(file.size() / 8);
  std::memcpy(aligned.data(), file.data(), file.size());
  const GgufFile opened = parse_gguf(std::as_bytes(std::span(aligned)), "tiny.gguf");
  fmt::print("\n{} bytes; the library's reader finds {} with {} rows of {} in {}\n", file.size(),
             opened.tensors[0].name, opened.tensors[0].shape[0], opened.tensors[0].shape[1],
             type_name(opened.tensors[0].type));
}

}  // namespace

int main(int argc, char** argv) {
  return run_demo(argc, argv, "Lesson 24: integers that multiply",
                  {{"worked", "the numbers of the lesson's worked example", worked},
                   {"file", "a small GGUF file, byte by byte", show_file},
                   {"table",
                    "one model in three formats: bytes, perplexity, speed",
                    compare_formats,
                    {{"steps", "of training", "300"}}},
                   {"speed",
                    "a larger model: tokens and bytes a second",
                    compare_speeds,
                    {{"model", "its shape, with random weights", "llama-42m"},
                     {"tokens", "to write", "24"},
                     {"threads", "that share the work", "1"}}}});
}
