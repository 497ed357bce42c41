#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <exception>
#include <utility>

#include "tinygpt/core/error.h"
#include "tinygpt/text/pretokenize.h"
#include "tinygpt/text/tokenizer.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt {
namespace {

// A word seen before, and its tokens: one cache line. Few words make up most of a text, so a hit
// saves the merging.
constexpr std::size_t kCachedBytes = 24;
constexpr std::size_t kCachedIds = 9;

// A word of up to 24 bytes in three registers, from loads that may overlap; with the length it
// determines the word. Copying the bytes to a padded array instead makes the processor wait for its
// own stores, and took twice as long.
struct WordKey {
  std::uint64_t a = 0, b = 0, c = 0;
  std::uint16_t length = 0;
};

struct alignas(64) CachedWord {
  std::uint64_t a = 0, b = 0, c = 0;
  std::uint16_t length = 0;  // 0: empty
  std::uint16_t count = 0;
  std::array<int, kCachedIds> ids{};
};
static_assert(sizeof(CachedWord) == 64);

// Direct-mapped, so that its size is fixed: a word takes the place of the one before it.
struct WordCache {
  std::vector<CachedWord> slots;  // a power of two of them
  int shift = 64;
};

WordCache make_word_cache(std::size_t text_bytes) {
  constexpr std::size_t kSmallest = 16, kLargest = std::size_t{1} << 16;  // 4 MB
  WordCache cache;
  const std::size_t slots = std::clamp(std::bit_ceil(text_bytes / 8), kSmallest, kLargest);
  cache.slots.resize(slots);
  cache.shift = 64 - std::countr_zero(slots);
  return cache;
}

template <class T>
std::uint64_t load(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

WordKey word_key(std::string_view word) {
  const char* p = word.data();
  const std::size_t n = word.size();
  WordKey key;
  key.length = static_cast<std::uint16_t>(n);
  if (n < 4) {
    key.a = load<std::uint8_t>(p) | load<std::uint8_t>(p + n / 2) << 8 |
            load<std::uint8_t>(p + n - 1) << 16;
  } else if (n < 8) {
    key.a = load<std::uint32_t>(p) | load<std::uint32_t>(p + n - 4) << 32;
  } else {
    key.a = load<std::uint64_t>(p);
    key.b = load<std::uint64_t>(p + n - 8);
    if (n > 16) key.c = load<std::uint64_t>(p + 8);
  }
  return key;
}

std::size_t slot_of(const WordCache& cache, const WordKey& key) {
  std::uint64_t h = (key.a ^ key.length) * 0x9E3779B97F4A7C15u;
  h = (std::rotl(h, 29) ^ key.b) * 0xBF58476D1CE4E5B9u;
  h = (std::rotl(h, 29) ^ key.c) * 0x94D049BB133111EBu;
  return (h ^ h >> 29) * 0x9E3779B97F4A7C15u >> cache.shift;
}

bool holds(const CachedWord& cached, const WordKey& key) {
  return cached.length == key.length && cached.a == key.a && cached.b == key.b && cached.c == key.c;
}

// A longer word keeps its text and its tokens where they fit.
struct LongWord {
  std::string text;
  std::vector<int> ids;
};
constexpr std::size_t kLongWords = 1 << 13;
constexpr std::size_t kLongest = 256;  // bytes: what is longer hardly comes twice

}  // namespace

// What an encoder remembers from one text to the next.
struct EncoderMemory {
  WordCache cache;
  std::vector<LongWord> long_words;
  BpeScratch scratch;
};

namespace {

struct BpeEncoder {
  const Tokenizer& tokenizer;
  std::vector<int>& ids;
  EncoderMemory& memory;
  const char* origin = nullptr;  // where byte 0 of the text would be, for offsets in messages
};

std::string no_token(std::size_t offset, std::string_view what) {
  return fmt::format(
      "tokenizer: no token for {} at byte {} of the text: the tokenizer was made "
      "from a text without it",
      what, offset);
}

// scratch.symbols = the word's tokens.
void merge_word(BpeEncoder& e, std::string_view word) {
  e.memory.scratch.symbols.clear();
  for (const char& b : word) {
    const int id = e.tokenizer.byte_ids[static_cast<unsigned char>(b)];
    check(id >= 0, [&] {
      return no_token(static_cast<std::size_t>(&b - e.origin),
                      fmt::format("byte 0x{:02x}", static_cast<unsigned char>(b)));
    });
    e.memory.scratch.symbols.push_back(id);
  }
  bpe_merge_word(e.memory.scratch, e.tokenizer.pairs);
}

// The first, the middle and the last sixteen bytes tell most long words apart.
std::size_t long_word_slot(std::string_view word) {
  const char* p = word.data();
  const std::size_t n = word.size();
  std::uint64_t h = n;
  for (const std::size_t at : {std::size_t{0}, std::size_t{8}, n / 2, n - 16, n - 8}) {
    h = (std::rotl(h, 29) ^ load<std::uint64_t>(p + at)) * 0x9E3779B97F4A7C15u;
  }
  return (h ^ h >> 29) * 0x9E3779B97F4A7C15u >> (64 - std::countr_zero(kLongWords));
}

void encode_long_word(BpeEncoder& e, std::string_view word) {
  std::vector<LongWord>& known = e.memory.long_words;
  const auto append = [&](const std::vector<int>& tokens) {
    e.ids.insert(e.ids.end(), tokens.begin(), tokens.end());
  };
  if (word.size() > kLongest) {
    merge_word(e, word);
    append(e.memory.scratch.symbols);
    return;
  }
  if (known.empty()) known.resize(kLongWords);
  LongWord& place = known[long_word_slot(word)];
  if (place.text != word) {
    merge_word(e, word);
    place.text = word;
    place.ids = e.memory.scratch.symbols;
  }
  append(place.ids);
}

void encode_word(BpeEncoder& e, std::string_view word) {
  if (word.size() > kCachedBytes) {
    encode_long_word(e, word);
    return;
  }
  const WordKey key = word_key(word);
  CachedWord& cached = e.memory.cache.slots[slot_of(e.memory.cache, key)];
  if (holds(cached, key)) {
    e.ids.insert(e.ids.end(), cached.ids.begin(), cached.ids.begin() + cached.count);
    return;
  }
  merge_word(e, word);
  const std::vector<int>& symbols = e.memory.scratch.symbols;
  e.ids.insert(e.ids.end(), symbols.begin(), symbols.end());
  if (symbols.size() > kCachedIds) return;
  cached = {key.a, key.b, key.c, key.length, static_cast<std::uint16_t>(symbols.size()), {}};
  std::copy(symbols.begin(), symbols.end(), cached.ids.begin());
}

void encode_bpe(BpeEncoder& e, std::string_view piece, std::size_t offset) {
  std::string prefixed;
  e.origin = piece.data() - offset;
  if (e.tokenizer.add_prefix_space && piece[0] != ' ') {
    prefixed = fmt::format(" {}", piece);
    piece = prefixed;
    e.origin = prefixed.data() + 1 - offset;
  }
  const auto encode_words = [&](std::string_view stretch) {
    for_each_word(stretch, [&](std::string_view word) { encode_word(e, word); });
  };
  if (!e.tokenizer.pre_split) return encode_word(e, piece);
  if (!e.tokenizer.split_digits) return encode_words(piece);
  for (std::size_t begin = 0; begin < piece.size();) {
    const std::size_t end = next_digit_or_rest(piece, begin);
    encode_words(piece.substr(begin, end - begin));
    begin = end;
  }
}

void encode_bytes(const Tokenizer& t, std::string_view piece, std::vector<int>& ids) {
  for (const char b : piece) ids.push_back(t.byte_ids[static_cast<unsigned char>(b)]);
}

void encode_characters(const Tokenizer& t, std::string_view piece, std::size_t offset,
                       std::vector<int>& ids) {
  for (std::size_t i = 0; i < piece.size();) {
    const CodePoint c = decode_utf8(piece, i);
    check(c.valid, [&] {
      return fmt::format("tokenizer: not valid UTF-8 at byte {} of the text (0x{:02x})", offset + i,
                         static_cast<unsigned>(c.value));
    });
    const int id = c.value < t.character_ids.size() ? t.character_ids[c.value] : -1;
    check(id >= 0, [&] {
      return no_token(offset + i, fmt::format("character \"{}\" (U+{:04X})",
                                              piece.substr(i, static_cast<std::size_t>(c.bytes)),
                                              static_cast<unsigned>(c.value)));
    });
    ids.push_back(id);
    i += static_cast<std::size_t>(c.bytes);
  }
}

}  // namespace

TextPiece next_piece(const Tokenizer& t, std::string_view text, std::size_t begin) {
  for (std::size_t i = begin; i < text.size(); ++i) {
    if (!t.special_start[static_cast<unsigned char>(text[i])]) continue;
    for (const int index : t.longest_first) {
      const SpecialToken& special = t.special_tokens[index];
      if (!text.substr(i).starts_with(special.content)) continue;
      if (i > begin) return {text.substr(begin, i - begin), -1};
      return {text.substr(i, special.content.size()), special.id};
    }
  }
  return {text.substr(begin), -1};
}

namespace {

// Appends the tokens of a part of a text that begins at its byte `offset`.
void encode_part(const Tokenizer& t, EncoderMemory& memory, std::string_view text,
                 std::size_t offset, const EncodeOptions& options, std::vector<int>& ids) {
  BpeEncoder bpe{t, ids, memory};
  const bool split = options.allow_special && !t.special_tokens.empty();
  for (std::size_t begin = 0; begin < text.size();) {
    const TextPiece piece = split ? next_piece(t, text, begin) : TextPiece{text.substr(begin)};
    if (piece.id >= 0) ids.push_back(piece.id);
    else if (t.kind == TokenizerKind::bpe) encode_bpe(bpe, piece.text, offset + begin);
    else if (t.kind == TokenizerKind::byte) encode_bytes(t, piece.text, ids);
    else encode_characters(t, piece.text, offset + begin, ids);
    begin += piece.text.size();
  }
}

std::size_t expected_tokens(const Tokenizer& t, std::size_t bytes) {
  return t.kind == TokenizerKind::bpe ? bytes / 4 : bytes;
}

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Where the text may be cut without a word or a special token lying across, at byte `from` or
// later: behind a line feed between a letter or full stop and a letter. The line feed is then a
// word of its own, whatever surrounds it.
std::size_t safe_cut(std::string_view text, std::size_t from) {
  for (std::size_t i = std::max<std::size_t>(from, 2); i < text.size(); ++i) {
    const char before = text[i - 2];
    if (text[i - 1] == '\n' && (is_letter(before) || before == '.') && is_letter(text[i])) return i;
  }
  return text.size();
}

// Whether encode may cut at a safe_cut at all.
bool may_be_cut(const Tokenizer& t) {
  const bool one_word = t.kind == TokenizerKind::bpe && (!t.pre_split || t.add_prefix_space);
  return !one_word && std::none_of(t.special_tokens.begin(), t.special_tokens.end(), [](auto& s) {
    return s.content.find('\n') != std::string::npos;
  });
}

// Begins of parts of the text, and its end: the same tokens come out as in one piece.
std::vector<std::size_t> cuts_of(const Tokenizer& t, std::string_view text, int threads) {
  constexpr std::size_t kWorthAThread = 1 << 18;  // bytes: milliseconds of work
  const std::size_t parts =
      std::min(static_cast<std::size_t>(std::max(threads, 1)), text.size() / kWorthAThread + 1);
  std::vector<std::size_t> cuts = {0};
  for (std::size_t k = 1; k < parts && may_be_cut(t); ++k) {
    const std::size_t cut = safe_cut(text, text.size() * k / parts);
    if (cut > cuts.back() && cut < text.size()) cuts.push_back(cut);
  }
  cuts.push_back(text.size());
  return cuts;
}

// Calls work(i) for every i < n on up to `threads` threads, and throws what the first one threw.
template <class Work>
void on_threads(int n, int threads, Work&& work) {
  std::exception_ptr error;
  int first = n;
#pragma omp parallel for schedule(dynamic) num_threads(std::max(threads, 1))
  for (int i = 0; i < n; ++i) {
    try {
      work(i);
    } catch (...) {
#pragma omp critical(tinygpt_encode)
      if (i < first) {
        first = i;
        error = std::current_exception();
      }
    }
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace

std::vector<int> encode(const Tokenizer& t, std::string_view text, const EncodeOptions& options) {
  const std::vector<std::size_t> cuts = cuts_of(t, text, options.threads);
  const int parts = static_cast<int>(cuts.size()) - 1;
  std::vector<std::vector<int>> ids(static_cast<std::size_t>(parts));
  on_threads(parts, options.threads, [&](int i) {
    const std::size_t begin = cuts[i], size = cuts[i + 1] - begin;
    ids[i].reserve(expected_tokens(t, size));
    EncoderMemory memory;
    if (t.kind == TokenizerKind::bpe) memory.cache = make_word_cache(size);
    encode_part(t, memory, text.substr(begin, size), begin, options, ids[i]);
  });
  for (int i = 1; i < parts; ++i) {
    ids[0].insert(ids[0].end(), ids[i].begin(), ids[i].end());
    ids[i] = {};
  }
  return std::move(ids[0]);
}

std::vector<std::vector<int>> encode_all(const Tokenizer& t,
                                         std::span<const std::string_view> texts,
                                         const EncodeOptions& options) {
  if (texts.size() == 1) return {encode(t, texts[0], options)};
  std::size_t bytes = 0;
  for (const std::string_view text : texts) bytes += text.size();
  std::vector<std::vector<int>> ids(texts.size());
  // Each thread takes one long range of the texts, and remembers words from one to the next.
  const int ranges = static_cast<int>(
      std::clamp<std::size_t>(options.threads, 1, std::max<std::size_t>(texts.size(), 1)));
  on_threads(ranges, ranges, [&](int r) {
    EncoderMemory memory;
    if (t.kind == TokenizerKind::bpe) memory.cache = make_word_cache(bytes / ranges);
    const std::size_t begin = texts.size() * r / ranges, end = texts.size() * (r + 1) / ranges;
    for (std::size_t i = begin; i < end; ++i) {
      ids[i].reserve(expected_tokens(t, texts[i].size()));
      encode_part(t, memory, texts[i], 0, options, ids[i]);
    }
  });
  return ids;
}

}  // namespace tinygpt
