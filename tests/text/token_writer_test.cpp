#include <cstdint>
#include <filesystem>
#include <numeric>
#include <string>
#include <vector>

#include "tests/support/catch.h"
#include "tests/support/temporary_folder.h"
#include "tinygpt/core/error.h"
#include "tinygpt/text/npy_header.h"
#include "tinygpt/text/token_file.h"

using namespace tinygpt;
using tinygpt::test::TemporaryFolder;

namespace {

int files_in(const std::filesystem::path& folder) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) count += entry.exists();
  return count;
}

// A file of this header and so many bytes of data.
std::string file_with(std::string header, std::size_t data_bytes) {
  header.insert(0, std::string("\x93NUMPY\x01\x00\x00\x00", 10));
  while ((header.size() + 1) % 16 != 0) header += ' ';
  header += '\n';
  header[8] = static_cast<char>((header.size() - 10) & 0xFF);
  header[9] = static_cast<char>((header.size() - 10) >> 8);
  return header + std::string(data_bytes, '\0');
}

}  // namespace

TEST_CASE("pieces that are appended to a token file come back as one", "[token_file]") {
  const TemporaryFolder folder;
  std::vector<int> ids(1'200'000);  // more than is kept in memory
  std::iota(ids.begin(), ids.end(), 0);
  TokenFileWriter writer(folder / "t.npy", 1'200'000);
  const std::span<const int> all(ids);
  writer.append(all.first(1));
  writer.append({});
  writer.append(all.subspan(1, 999'999));
  writer.append(all.subspan(1'000'000));
  CHECK(writer.size() == 1'200'000);
  writer.finish();
  CHECK(files_in(folder.path()) == 1);
  const TokenFile file(folder / "t.npy", 1'200'000);
  REQUIRE(file.size() == 1'200'000);
  std::int64_t right = 0;
  for (std::int64_t i = 0; i < file.size(); ++i) right += file[i] == static_cast<int>(i) ? 1 : 0;
  CHECK(right == file.size());
}

TEST_CASE("a token file that is not finished leaves the old one and nothing else", "[token_file]") {
  const TemporaryFolder folder;
  write_token_file(folder / "t.npy", std::vector<int>{1, 2, 3}, 10);
  {
    TokenFileWriter writer(folder / "t.npy", 10);
    writer.append(std::vector<int>(2'000'000, 4));
  }
  CHECK(files_in(folder.path()) == 1);
  CHECK(TokenFile(folder / "t.npy", 10).size() == 3);
}

TEST_CASE("a token file cannot be written into a folder that is not there", "[token_file]") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(TokenFileWriter(folder / "none/t.npy", 10), ContainsSubstring("none/t.npy"));
}

TEST_CASE("the first id out of range is named, wherever it stands", "[token_file]") {
  const TemporaryFolder folder;
  for (const int vocabulary : {300, 70'000}) {
    for (const std::size_t at : {0u, 4095u, 4096u, 9999u}) {
      std::vector<int> ids(10'000, 5);
      ids[at] = vocabulary - 1;
      write_token_file(folder / "t.npy", ids, vocabulary);
      CHECK(TokenFile(folder / "t.npy", vocabulary).size() == 10'000);
      CHECK_THROWS_WITH(TokenFile(folder / "t.npy", vocabulary - 1),
                        ContainsSubstring("token " + std::to_string(at) + " is"));
    }
  }
}

TEST_CASE("headers are read in any order and spacing that NumPy allows", "[token_file]") {
  NpyHeader header;
  const std::string usual = npy_header(4, 12345678901234567890u);
  CHECK(usual.size() == kNpyHeaderBytes);
  for (const char* good : {"{'descr': '<u2', 'fortran_order': False, 'shape': (3,), }",
                           "{'shape':(3,),'descr':'<u2','fortran_order':False}",
                           "{ 'fortran_order' : False , 'shape' : ( 3 , ) , 'descr' : '<u2' }"}) {
    INFO(good);
    const std::string file = file_with(good, 6);
    CHECK(parse_npy_header(header, file) == nullptr);
    CHECK(header.count == 3);
    CHECK(header.width == 2);
    CHECK(header.data_at == file.size() - 6);
  }
}

TEST_CASE("hostile headers are refused", "[token_file]") {
  NpyHeader header;
  const auto refused = [&](const std::string& file, const char* about) {
    INFO(file);
    const char* wrong = parse_npy_header(header, file);
    REQUIRE(wrong != nullptr);
    CHECK_THAT(std::string(wrong), ContainsSubstring(about));
  };
  const auto with_shape = [](const std::string& shape) {
    return file_with("{'descr': '<u2', 'fortran_order': False, 'shape': " + shape + ", }", 6);
  };
  for (const char* shape : {"(3)", "()", "(3,1)", "(1,3)", "3", "(-3,)", "(3.0,)", "[3,]", "(,)",
                            "(99999999999999999999999,)"}) {
    refused(with_shape(shape), "not one-dimensional");
  }
  // Counts whose bytes overflow 64 bits to 6.
  refused(with_shape("(9223372036854775811,)"), "size disagrees");
  refused(with_shape("(18446744073709551615,)"), "size disagrees");
  refused(with_shape("(2,)"), "size disagrees");
  refused(file_with("{'descr': '<i2', 'fortran_order': False, 'shape': (3,), }", 6), "uint16");
  refused(file_with("{'descr': [('a', '<u2')], 'fortran_order': False, 'shape': (3,)}", 6), "uint");
  refused(file_with("{'descr': '<u2', 'shape': (3,)}", 6), "lacks an entry");
  refused(file_with("{'descr': '<u2', 'descr': '<u2', 'fortran_order': False, 'shape': (3,)}", 6),
          "entry too many");
  refused(file_with("{'descr': '<u2', 'fortran_order': False, 'shape': (3,), 'x': 1}", 6),
          "entry too many");
  refused(file_with("{'descr': '<u2', 'fortran_order': False, 'shape': (3,)} x", 6), "line feed");
  refused(file_with("{'descr': '<u2", 0), "uint16");
  refused(file_with("{", 0), "no dictionary");
  refused(file_with("", 0), "no dictionary");
  refused(file_with("{}", 0), "lacks an entry");
  // Cut off after every byte: never accepted, never read past its end.
  const std::string good = npy_header(2, 2) + "abcd";
  CHECK(parse_npy_header(header, good) == nullptr);
  for (std::size_t n = 0; n < good.size(); ++n) {
    const std::vector<char> exact(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n));
    CHECK(parse_npy_header(header, {exact.data(), exact.size()}) != nullptr);
  }
}
