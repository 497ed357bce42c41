// libFuzzer target: any bytes as a tokenizer.json are refused with Error, or make a tokenizer that
// keeps its promises. A good seed corpus: tests/interop/tokenizers.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "tinygpt/core/error.h"
#include "tinygpt/io/tokenizer_json.h"

using namespace tinygpt;

namespace {

void require(bool ok) {
  if (!ok) std::abort();
}

// A character or a byte that the tokenizer does not know is an Error; what it encodes comes back.
void encode_and_decode(const Tokenizer& t, std::string_view text) {
  try {
    const std::string back = decode(t, encode(t, text));
    require(t.add_prefix_space || back == text);
  } catch (const Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Tokenizer t;
  try {
    t = parse_tokenizer_json(text, "fuzz");
  } catch (const Error&) {
    return 0;
  }
  encode_and_decode(t, text);
  for (const std::string& token : t.vocabulary) encode_and_decode(t, token);
  const Tokenizer back = parse_tokenizer_json(tokenizer_to_json(t), "written");
  require(back.kind == t.kind && back.vocabulary == t.vocabulary && back.merges == t.merges);
  require(back.special_tokens == t.special_tokens);
  return 0;
}
