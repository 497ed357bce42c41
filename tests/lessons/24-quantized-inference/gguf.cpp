// Grades exercises/24-quantized-inference/gguf.cpp.
#include "solutions/24-quantized-inference/gguf.h"

#include <algorithm>
#include <functional>
#include <optional>

#include "tests/lessons/24-quantized-inference/gguf_oracle.h"
#include "tests/lessons/grading/exam.h"
#include "tinygpt/core/error.h"

namespace tinygpt::lessons {
namespace {

struct Slip {
  GgufRule rule;
  const char* nudge;
};

const std::vector<Slip>& slips() {
  static const std::vector<Slip> all = {
      {{.big_endian = true},
       "The numbers begin with their highest byte. GGUF is little-endian: 3 is 03 00 00 00. Copy "
       "a number's bytes as this machine has them."},
      {{.magic_backwards = true}, "The magic is backwards: it is four characters, not a number."},
      {{.version = 2}, "The version is 2. Here it is 3."},
      {{.counts_swapped = true},
       "The two counts have changed places: tensors come first, then settings."},
      {{.short_counts = true}, "The counts are of 32 bits. They are u64."},
      {{.short_lengths = true}, "A text's length is of 32 bits. It is a u64."},
      {{.no_lengths = true},
       "Texts end with a zero and have no length. Here a text is a u64 length and its bytes, and "
       "no zero."},
      {{.text_with_zero = true},
       "A text ends with a zero byte, as in C, and its length counts it. Readers would take it "
       "for a part of the text: write size() bytes and nothing more."},
      {{.zero_not_counted = true},
       "A zero byte follows each text. Its length is all that a reader needs."},
      {{.types_by_index = true},
       "A setting's type is its place in the variant. GGUF has numbers of its own: u32 is 4, f32 "
       "is 6, a text is 8."},
      {{.text_without_type = true},
       "A text's type is missing in front of it: a u32 8, as 4 and 6 stand in front of numbers."},
      {{.type_before_key = true}, "The type stands in front of the key. Key, type, value."},
      {{.type_before_sizes = true},
       "The tensor's type stands in front of its sizes. It comes behind them: number of sizes, "
       "sizes, type, offset."},
      {{.tensor_types_by_index = true},
       "The tensor's type is its place among the three. Write TensorType's own number: 0, 2 or 8."},
      {{.offset_of_end = true},
       "This offset is where the tensor's data end. Write it before you add their length."},
      {{.rows_first = true},
       "The sizes stand with the rows first. GGUF names the fastest first, the columns: write "
       "the shape from its last size to its first."},
      {{.short_sizes = true}, "A size is of 32 bits. It is a u64; how many there are is a u32."},
      {{.long_number_of_sizes = true},
       "The number of sizes is of 64 bits. It is a u32; the sizes are u64."},
      {{.offset_not_aligned = true},
       "An offset is no multiple of 32: each tensor begins at the next multiple of 32 behind the "
       "one before it. Round up what you add."},
      {{.offset_not_aligned = true, .data_side_by_side = true},
       "The tensors lie side by side. Each begins at a multiple of 32, so that it can be used "
       "where it lies: round up the offsets, and write the zeros between."},
      {{.offset_from_file = true},
       "The offsets count from the start of the file. They count from the start of the data, so "
       "that the first is 0."},
      {{.offset_zero = true}, "All offsets are 0. Each tensor lies behind the one before it."},
      {{.data_not_aligned = true},
       "The data begin right behind the last description. They begin at a multiple of 32 bytes "
       "from the file's start: write zeros up to there."},
      {{.data_side_by_side = true},
       "The offsets are multiples of 32, and the data do not keep to them: zeros are missing "
       "between the tensors."},
      {{.end_not_padded = true}, "The zeros behind the last tensor are missing."},
      {{.padded_when_aligned = true},
       "32 zeros are written where the size is a multiple of 32 already. There it needs none."},
      {{.alignment = 16}, "Data are aligned to 16 bytes. Here it is 32."},
      {{.alignment = 64}, "Data are aligned to 64 bytes. Here it is 32."},
      {{.tensors_first = true}, "The tensors' descriptions come behind the settings."}};
  return all;
}

std::string hex(const std::string& bytes, std::size_t at) {
  return at < bytes.size() ? fmt::format("{:02x}", static_cast<unsigned char>(bytes[at]))
                           : std::string("the end of the file");
}

// Which field the first wrong byte is in.
std::string first_difference(const std::string& actual, const GgufBytes& expected) {
  std::size_t at = 0;
  while (at < actual.size() && at < expected.bytes.size() && actual[at] == expected.bytes[at]) {
    ++at;
  }
  auto field = expected.fields.upper_bound(at);
  const std::string what = at >= expected.bytes.size() ? "behind the end" : (--field)->second;
  return fmt::format("byte {}, {}: expected {}, is {}", at, what, hex(expected.bytes, at),
                     hex(actual, at));
}

std::string describe(const ModelFile& file) {
  std::string text;
  for (const ModelTensor& t : file.tensors) text += fmt::format(" {}", t.name);
  return fmt::format("{} settings, {} tensors{}{}", file.settings.size(), file.tensors.size(),
                     text.empty() ? "" : ":", text);
}

void examine_write(Exam& exam) {
  for (const ModelFile& file : gguf_files()) {
    exam.call(fmt::format("gguf_write({})", describe(file)));
    const std::string actual = ref::gguf_write(file);
    const GgufBytes expected = gguf_exact(file);
    if (actual == expected.bytes) continue;
    std::string nudge;
    for (const Slip& slip : slips()) {
      if (nudge.empty() && gguf_exact(file, slip.rule).bytes == actual) nudge = slip.nudge;
    }
    exam.wrong(first_difference(actual, expected), nudge);
  }
}

std::string shape_text(const std::vector<std::uint64_t>& shape) {
  std::string text;
  for (const std::uint64_t size : shape)
    text += fmt::format("{}{}", text.empty() ? "" : ", ", size);
  return "{" + text + "}";
}

void compare_tensor(Exam& exam, const ModelTensor& actual, const ModelTensor& expected,
                    const GgufBytes& file) {
  exam.expect_equal("a tensor's name", actual.name, expected.name);
  if (actual.shape != expected.shape) {
    const bool reversed = std::vector(actual.shape.rbegin(), actual.shape.rend()) == expected.shape;
    exam.wrong(fmt::format("the shape of {}: expected {}, is {}", expected.name,
                           shape_text(expected.shape), shape_text(actual.shape)),
               reversed ? "The file names the fastest size first. Here shapes have the rows first: "
                          "reverse them."
                        : "");
  }
  exam.expect_true(actual.type == expected.type,
                   fmt::format("the type of {}: expected {}, is {}", expected.name,
                               static_cast<int>(expected.type), static_cast<int>(actual.type)));
  if (actual.data == expected.data) return;
  const std::size_t right = file.bytes.find(expected.data);
  const std::size_t found = actual.data.empty() ? std::string::npos : file.bytes.find(actual.data);
  exam.wrong(fmt::format("the data of {}: {} bytes, expected {}; they are not those that stand at "
                         "byte {}",
                         expected.name, actual.data.size(), expected.data.size(), right),
             actual.data.size() != expected.data.size()
                 ? "A tensor has tensor_bytes(type, product of its sizes) bytes."
             : found < right
                 ? "Its data are looked for too far in front. Offsets count from the start of the "
                   "data, which is the next multiple of 32 behind the descriptions."
                 : "Offsets count from the start of the data, which is the next multiple of 32 "
                   "behind the descriptions.");
}

void compare_file(Exam& exam, const ModelFile& actual, const ModelFile& expected,
                  const GgufBytes& file) {
  exam.expect_equal("the number of settings", static_cast<std::int64_t>(actual.settings.size()),
                    static_cast<std::int64_t>(expected.settings.size()));
  exam.expect_equal("the number of tensors", static_cast<std::int64_t>(actual.tensors.size()),
                    static_cast<std::int64_t>(expected.tensors.size()));
  for (std::size_t i = 0; i < expected.settings.size(); ++i) {
    exam.expect_equal("a setting's key", actual.settings[i].first, expected.settings[i].first);
    exam.expect_true(
        actual.settings[i].second == expected.settings[i].second,
        fmt::format("the value of {} is another, or of another type", expected.settings[i].first),
        "Type 4 is a u32, type 6 an f32 (its four bytes are a float's), type 8 a text.");
  }
  for (std::size_t i = 0; i < expected.tensors.size(); ++i) {
    compare_tensor(exam, actual.tensors[i], expected.tensors[i], file);
  }
}

// A file that is wrong must be refused by an Error, whatever else it might lead to.
void expect_refused(Exam& exam, const std::string& what, const std::string& bytes,
                    const std::string& nudge) {
  exam.call(fmt::format("gguf_read({})", what));
  std::string instead = "it is read as if nothing were wrong";
  try {
    ref::gguf_read(bytes);
  } catch (const Error&) {
    return;
  } catch (const std::exception& problem) {
    instead = fmt::format("it throws {} instead of an Error of its own", problem.what());
  }
  exam.wrong(instead, nudge);
}

template <class T>
std::string with(std::string bytes, std::size_t at, T value) {
  std::memcpy(bytes.data() + at, &value, sizeof(T));
  return bytes;
}

std::size_t place_of(const GgufBytes& file, const std::string& field) {
  for (const auto& [at, what] : file.fields) {
    if (what == field) return at;
  }
  throw Error("the grader knows no field " + field);
}

// One field at a time lies.
void examine_lies(Exam& exam, const GgufBytes& file) {
  const std::string& good = file.bytes;
  const auto at = [&](const char* field) { return place_of(file, field); };
  const char* const counted =
      "Do not believe a count or a length: compare it with what is left of the file, and "
      "allocate nothing before that.";
  const char* const product =
      "A product of sizes can overflow, and then a huge tensor seems small. Check each factor: n "
      "<= limit / size before n *= size.";
  const char* const behind =
      "A sum such as offset + length can overflow. Subtract instead: length <= size - data - "
      "offset, after checking that each part fits.";
  expect_refused(exam, "another magic", with(good, 0, 'X'), "The first four bytes are \"GGUF\".");
  expect_refused(exam, "version 2", with(good, 4, std::uint32_t{2}), "Only version 3 is known.");
  expect_refused(exam, "a file that claims 2^60 tensors",
                 with(good, at("the number of tensors"), std::uint64_t{1} << 60), counted);
  expect_refused(exam, "a file that claims 2^60 settings",
                 with(good, at("the number of settings"), std::uint64_t{1} << 60), counted);
  expect_refused(exam, "a key whose length is 2^64 - 1",
                 with(good, at("the length of the key general.name"), ~std::uint64_t{0}), counted);
  expect_refused(exam, "a tensor of type 1", with(good, at("the type of blk.0.up"), 1),
                 "A tensor's type is one of TensorType's, or refused.");
  expect_refused(exam, "a tensor with 2^32 - 1 sizes",
                 with(good, at("the number of sizes of blk.0.up"), ~std::uint32_t{0}), counted);
  expect_refused(exam, "a tensor of 2^62 columns",
                 with(good, at("size 0 of blk.0.up"), std::uint64_t{1} << 62), product);
  std::string overflow = with(good, at("size 0 of blk.0.up"), std::uint64_t{1} << 32);
  overflow = with(overflow, at("size 1 of blk.0.up"), std::uint64_t{1} << 32);
  expect_refused(exam, "a tensor of 2^32 x 2^32 values", overflow, product);
  expect_refused(exam, "a tensor of Q8_0 with 33 columns",
                 with(good, at("size 0 of blk.0.up"), std::uint64_t{33}),
                 "Q8_0 and Q4_0 keep 32 values together, and a row begins with a block of its "
                 "own: columns that are no multiple of 32 are refused.");
  expect_refused(exam, "an offset of 8",
                 with(good, at("the offset of blk.0.norm"), std::uint64_t{8}),
                 "An offset that is no multiple of 32 is refused: whoever uses the data where "
                 "they lie counts on it.");
  expect_refused(exam, "an offset of 2^64 - 32",
                 with(good, at("the offset of blk.0.norm"), ~std::uint64_t{31}), behind);
  expect_refused(exam, "an offset of 2^20",
                 with(good, at("the offset of blk.0.norm"), std::uint64_t{1} << 20), behind);
}

// Data may lie in any order: a tensor says where its own are.
void examine_order(Exam& exam) {
  ModelFile file = {
      {}, {some_tensor("w", {8}, TensorType::f32), some_tensor("v", {2, 4}, TensorType::f32)}};
  file.tensors[1].data[0] = 'v';  // they are of equal size, and not the same
  GgufBytes bytes = gguf_exact(file);
  bytes.bytes = with(bytes.bytes, place_of(bytes, "the offset of w"), std::uint64_t{32});
  bytes.bytes = with(bytes.bytes, place_of(bytes, "the offset of v"), std::uint64_t{0});
  exam.call("gguf_read(a file whose second tensor's data come first)");
  const ModelFile actual = ref::gguf_read(bytes.bytes);
  const bool in_order =
      actual.tensors.size() == 2 && actual.tensors[0].data == file.tensors[0].data;
  exam.expect_true(!in_order, "w has the data that lie first, and v those that lie second",
                   "Each tensor says where its data lie: go by its offset, not by the order.");
  std::swap(file.tensors[0].data, file.tensors[1].data);
  compare_file(exam, actual, file, bytes);
}

void examine_read(Exam& exam) {
  std::vector<ModelFile> files = gguf_files();
  // Three sizes of floats come first: in no order are they rows that are no whole blocks.
  std::rotate(files.begin(), files.end() - 1, files.end());
  for (const ModelFile& file : files) {
    exam.call(fmt::format("gguf_read(a file with {})", describe(file)));
    const GgufBytes bytes = gguf_exact(file);
    compare_file(exam, ref::gguf_read(bytes.bytes), file, bytes);
  }
  examine_order(exam);
  const GgufBytes last = gguf_exact(gguf_files()[1]);  // behind its setting nothing follows
  expect_refused(exam, "a last setting of type 9",
                 with(last.bytes, place_of(last, "the type of general.architecture"), 9),
                 "A type that is not 4, 6 or 8 is refused: its length is not known.");
  expect_refused(
      exam, "a last setting whose length is 2^64 - 1",
      with(last.bytes, place_of(last, "the length of the value of general.architecture"),
           ~std::uint64_t{0}),
      "A sum such as at + n can overflow, and an int cannot hold a length. Compare as u64, and "
      "subtract: n <= size - at.");
  const GgufBytes file = gguf_exact(gguf_files()[5]);
  examine_lies(exam, file);
  for (std::size_t n = 0; n < file.end; ++n) {
    // A view of its own memory, so that nothing stands behind its end.
    const std::vector<char> part(file.bytes.begin(),
                                 file.bytes.begin() + static_cast<std::ptrdiff_t>(n));
    expect_refused(exam, fmt::format("the first {} of {} bytes", n, file.bytes.size()),
                   std::string(part.begin(), part.end()),
                   "A file that is cut short ends where more is expected. Before every read, ask "
                   "whether there are so many bytes left.");
  }
}

}  // namespace

std::vector<Task> tasks() {
  return {{"24.gguf_write", examine_write}, {"24.gguf_read", examine_read}};
}

}  // namespace tinygpt::lessons
