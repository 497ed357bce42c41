#include "tinygpt/core/sha256.h"

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/catch.h"

using tinygpt::sha256;

// The examples of FIPS 180-4 and its companion document.
TEST_CASE("sha256 gives the standard's digests", "[core]") {
  CHECK(sha256("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(sha256(std::string(1'000'000, 'a')) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("sha256 pads every length around a block", "[core]") {
  // A wrong padding repeats a digest or crashes; digests of different lengths must all differ.
  std::vector<std::string> digests;
  for (std::size_t n = 50; n < 135; ++n) digests.push_back(sha256(std::string(n, 'x')));
  std::sort(digests.begin(), digests.end());
  CHECK(std::adjacent_find(digests.begin(), digests.end()) == digests.end());
  CHECK(sha256(std::string(64, 'a')) ==
        "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
}
