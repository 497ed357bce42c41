// libFuzzer target: GPT-2's two files of a tokenizer, of which one is anything at all. They are
// refused with Error, or make a tokenizer that gives back what it encodes.
//
// An input is a letter and a file's content: v vocab.json, m merges.txt.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "tests/fuzz/folder.h"
#include "tinygpt/core/error.h"
#include "tinygpt/io/tokenizer_json.h"

using namespace tinygpt;
using namespace tinygpt::test;

namespace {

struct TokenizerFolder {
  TokenizerFolder() {
    write_plainly(folder / "vocab.json",
                  "{\"a\":0,\"b\":1,\"\xc4\xa0\":2,\"ab\":3,\"<|endoftext|>\":4}");
    write_plainly(folder / "merges.txt", "#version: 0.2\na b\n");
    add(files, 'v', folder / "vocab.json");
    add(files, 'm', folder / "merges.txt");
  }
  TemporaryFolder folder;
  std::vector<FuzzFile> files;
};

void use(const std::filesystem::path& folder) {
  const Tokenizer t = load_folder_tokenizer(folder);
  for (const std::string& token : t.vocabulary) {
    try {
      if (decode(t, encode(t, token)) != token) std::abort();
    } catch (const Error&) {  // a byte that has no token
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const TokenizerFolder folder;
  with_replaced(folder.files, data, size, [](const std::filesystem::path& replaced) {
    try {
      use(replaced.parent_path());
    } catch (const Error&) {
    }
  });
  return 0;
}
