// Runs a libFuzzer target without libFuzzer: inputs are mutations of the given files, from a seed.
// It knows nothing of coverage, but builds with any compiler and takes a second, so that every test
// run includes some. The same command repeats a crash; with TINYGPT_FUZZ_SAVE=FILE in the
// environment each input is written there first, so that the last one stays.
//
//   fuzz_NAME SEED ROUNDS FILE...
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "tinygpt/core/file.h"
#include "tinygpt/core/random.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using tinygpt::Random;

// What breaks readers of text and of binary headers alike.
const std::vector<std::string> kFragments = {"null",
                                             "0",
                                             "-1",
                                             "1e999",
                                             "true",
                                             "\"\"",
                                             "[]",
                                             "{}",
                                             "\"a\"",
                                             "[[[",
                                             "\xFF",
                                             "\\u0000",
                                             "18446744073709551615",
                                             std::string(8, '\0'),
                                             std::string(8, '\xFF'),
                                             std::string("\1\0\0\0\0\0\0\0", 8)};

void mutate(std::string& s, Random& random) {
  const std::size_t at = random.below(s.size());
  switch (random.below(6)) {
    case 0:
      s[at] = static_cast<char>(s[at] ^ (1 << random.below(8)));
      break;
    case 1:
      s.erase(at, 1 + random.below(8));
      break;
    case 2:
      s.insert(at, kFragments[random.below(kFragments.size())]);
      break;
    case 3:
      s.insert(at, s.substr(random.below(s.size()), random.below(40)));
      break;
    case 4:
      s.resize(at);
      break;
    default: {  // another value for a JSON key
      const std::size_t colon = s.find(':', at), end = s.find_first_of(",}]\n", colon);
      if (colon == s.npos || end == s.npos) break;
      s.replace(colon + 1, end - colon - 1, kFragments[random.below(kFragments.size())]);
    }
  }
}

void save(const std::string& input, const char* path) {
  if (std::FILE* file = std::fopen(path, "wb")) {
    std::fwrite(input.data(), 1, input.size(), file);
    std::fclose(file);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: %s SEED ROUNDS FILE...\n", argv[0]);
    return 2;
  }
  std::vector<std::string> files;
  for (int i = 3; i < argc; ++i) files.push_back(tinygpt::read_file(argv[i]));
  const char* saved = std::getenv("TINYGPT_FUZZ_SAVE");
  Random random{std::strtoull(argv[1], nullptr, 10)};
  const long rounds = std::strtol(argv[2], nullptr, 10);
  for (long round = 0; round < rounds; ++round) {
    std::string input = files[random.below(files.size())];
    for (std::uint64_t n = 1 + random.below(4); n > 0 && !input.empty(); --n) mutate(input, random);
    if (saved != nullptr) save(input, saved);
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
  }
  std::printf("%ld inputs\n", rounds);
  return 0;
}
