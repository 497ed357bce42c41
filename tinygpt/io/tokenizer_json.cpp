#include "tinygpt/io/tokenizer_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_map>
#include <utility>

#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/text/bpe_alphabet.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt {
namespace {

using nlohmann::json;

constexpr std::uint64_t kLargestFile = std::uint64_t{1}
                                       << 28;  // the largest published are 1/8 of it
constexpr int kDeepest = 64;                   // ours are 4 deep
constexpr std::int64_t kLargestVocabulary = std::int64_t{1} << 24;

// A value with its place in the file, for messages: "tokenizer.json: model.vocab".
struct Field {
  const json* value = nullptr;  // null where the file does not have the field
  std::string place;
};

[[noreturn]] void fail(const Field& f, std::string_view what) {
  throw Error(fmt::format("{}: {}", f.place, what));
}

bool is_null(const Field& f) { return f.value == nullptr || f.value->is_null(); }

Field member(const Field& object, const char* name) {
  Field f{nullptr,
          fmt::format("{}{}{}", object.place, object.place.ends_with(": ") ? "" : ".", name)};
  if (is_null(object)) return f;
  if (!object.value->is_object()) fail(object, "must be an object");
  const auto found = object.value->find(name);
  if (found != object.value->end()) f.value = &*found;
  return f;
}

Field element(const Field& array, std::size_t i) {
  return {&(*array.value)[i], fmt::format("{}[{}]", array.place, i)};
}

const json& object_of(const Field& f) {
  if (is_null(f) || !f.value->is_object()) fail(f, "must be an object");
  return *f.value;
}

// An absent array is an empty one.
std::size_t length_of(const Field& f) {
  if (is_null(f)) return 0;
  if (!f.value->is_array()) fail(f, "must be an array");
  return f.value->size();
}

const std::string& string_of(const Field& f) {
  if (is_null(f) || !f.value->is_string()) fail(f, "must be a string");
  return f.value->get_ref<const std::string&>();
}

bool bool_of(const Field& f, bool otherwise) {
  if (is_null(f)) return otherwise;
  if (!f.value->is_boolean()) fail(f, "must be true or false");
  return f.value->get<bool>();
}

std::optional<int> as_id(const json& value, std::size_t vocabulary) {
  if (!value.is_number_integer()) return std::nullopt;
  // A number above 2^63 reads as a negative one here, and is refused as such.
  const auto id = value.get<std::int64_t>();
  if (id < 0 || id >= static_cast<std::int64_t>(vocabulary)) return std::nullopt;
  return static_cast<int>(id);
}

[[noreturn]] void fail_id(const Field& f, std::size_t vocabulary) {
  fail(f, fmt::format("must be an id from 0 to {}: {} tokens have ids without gaps",
                      static_cast<std::int64_t>(vocabulary) - 1, vocabulary));
}

int id_of(const Field& f, std::size_t vocabulary) {
  const std::optional<int> id = is_null(f) ? std::nullopt : as_id(*f.value, vocabulary);
  if (!id) fail_id(f, vocabulary);
  return *id;
}

std::string type_of(const Field& f) {
  if (is_null(f)) return "";
  return string_of(member(f, "type"));
}

void check_type(const Field& f, std::initializer_list<const char*> allowed) {
  const std::string type = type_of(f);
  for (const char* name : allowed) {
    if (type == name) return;
  }
  fail(f, fmt::format("type {} is not supported", quote_for_message(type)));
}

// Nesting is limited before anything is built: a hostile file can be brackets and nothing else.
void check_depth(std::string_view text, const std::string& name) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\') ++i;
    else if (c == '"') in_string = !in_string;
    else if (in_string) continue;
    else if (c == '[' || c == '{') ++depth;
    else if (c == ']' || c == '}') --depth;
    check(depth <= kDeepest, [&] {
      return fmt::format("{}: nested more than {} deep at byte {}", name, kDeepest, i);
    });
  }
}

json parse_json(std::string_view text, const std::string& name) {
  check_depth(text, name);
  try {
    return json::parse(text);
  } catch (const json::parse_error& e) {
    throw Error(fmt::format("{}: not valid JSON at byte {}", name, e.byte));
  } catch (const json::exception&) {  // a number that no double can hold
    throw Error(fmt::format("{}: not valid JSON: a number is out of range", name));
  }
}

// model's options that would change what a text is split into.
void check_model_options(const Field& model) {
  const Field type = member(model, "type");  // GPT-2's own file has none
  if (!is_null(type) && string_of(type) != "BPE") {
    fail(type,
         fmt::format("{} is not supported, only \"BPE\"", quote_for_message(string_of(type))));
  }
  for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const Field f = member(model, name);
    if (!is_null(f) && !string_of(f).empty()) fail(f, "is not supported, only \"\" or null");
  }
  for (const char* name : {"byte_fallback", "ignore_merges"}) {
    const Field f = member(model, name);
    if (bool_of(f, false)) fail(f, "is not supported, only false");
  }
  const Field dropout = member(model, "dropout");
  const bool is_zero = !is_null(dropout) && dropout.value->is_number() && *dropout.value == 0.0;
  if (!is_null(dropout) && !is_zero) fail(dropout, "is not supported, only null");
}

// How a file splits text before it merges, for messages: Split("\\p{N}{1,3}"), ByteLevel.
std::string describe_split(const Field& f, int depth = 0) {
  const std::string type = type_of(f);
  if (type == "Sequence" && depth < 2) {
    const Field list = member(f, "pretokenizers");
    std::string all;
    for (std::size_t i = 0; i < std::min<std::size_t>(length_of(list), 8); ++i) {
      all += (i == 0 ? "" : ", ") + describe_split(element(list, i), depth + 1);
    }
    return all;
  }
  const Field pattern = member(f, "pattern");
  if (is_null(pattern) || !pattern.value->is_object()) return type;
  const Field regex = member(pattern, "Regex");
  if (is_null(regex) || !regex.value->is_string()) return type;
  return fmt::format("{}({})", type, regex.value->get_ref<const std::string&>());
}

// The ByteLevel part of what splits the text: GPT-2 has it alone, and SmolLM cuts out each digit
// first. LLaMA 3's and Qwen's files are byte-level too, and split by another pattern.
Field read_pre_tokenizer(Tokenizer& t, const Field& pre) {
  if (type_of(pre) == "ByteLevel") return pre;
  const Field list = type_of(pre) == "Sequence" ? member(pre, "pretokenizers") : Field{};
  if (length_of(list) == 2 && type_of(element(list, 0)) == "Digits" &&
      type_of(element(list, 1)) == "ByteLevel") {
    const Field each = member(element(list, 0), "individual_digits");
    if (!bool_of(each, false)) fail(each, "is not supported, only true");
    t.split_digits = true;
    return element(list, 1);
  }
  fail(pre, fmt::format("splits text by {}; GPT-2's ByteLevel is supported, alone or after Digits",
                        quote_for_message(describe_split(pre))));
}

// ByteLevel only moves offsets; a template may add tokens, or, as transformers writes it, nothing.
void check_post_processor(const Field& post) {
  check_type(post, {"", "ByteLevel", "TemplateProcessing"});
  if (type_of(post) != "TemplateProcessing") return;
  const Field single = member(post, "single");
  for (std::size_t i = 0; i < length_of(single); ++i) {
    const Field token = member(element(single, i), "SpecialToken");
    if (!is_null(token)) {
      fail(post, fmt::format("adds the token {} to every text, which is not supported",
                             quote_for_message(string_of(member(token, "id")))));
    }
  }
  if (length_of(single) != 1) fail(single, "must hold the text alone");
}

// Fills in everything but vocabulary, merges and special tokens.
void read_pipeline(Tokenizer& t, const Field& root) {
  const Field normalizer = member(root, "normalizer");
  if (!is_null(normalizer)) check_type(normalizer, {});
  const Field pre = member(root, "pre_tokenizer");
  check_post_processor(member(root, "post_processor"));
  if (is_null(pre)) {
    t.kind = TokenizerKind::character;
    check_type(member(root, "decoder"), {"", "Fuse"});
    return;
  }
  const Field level = read_pre_tokenizer(t, pre);
  check_type(member(root, "decoder"), {"", "ByteLevel"});
  t.kind = TokenizerKind::bpe;
  const Field prefix = member(level, "add_prefix_space"), regex = member(level, "use_regex");
  if (is_null(prefix)) fail(prefix, "must be true or false");
  t.add_prefix_space = bool_of(prefix, false);
  t.pre_split = bool_of(regex, true);
  if (t.split_digits && t.add_prefix_space) fail(prefix, "is not supported, only false");
  if (t.split_digits && !t.pre_split) fail(regex, "is not supported, only true");
}

struct AddedToken {
  SpecialToken token;
  Field place;
};

std::vector<AddedToken> read_added_tokens(const Field& root, std::size_t vocabulary) {
  const Field list = member(root, "added_tokens");
  std::vector<AddedToken> tokens;
  for (std::size_t i = 0; i < length_of(list); ++i) {
    const Field entry = element(list, i);
    object_of(entry);
    for (const char* name : {"single_word", "lstrip", "rstrip"}) {
      const Field f = member(entry, name);
      if (bool_of(f, false)) fail(f, "is not supported, only false");
    }
    SpecialToken token;
    token.content = string_of(member(entry, "content"));
    if (token.content.empty()) fail(member(entry, "content"), "is empty");
    token.id = id_of(member(entry, "id"), vocabulary);
    token.is_control = bool_of(member(entry, "special"), true);
    tokens.push_back({std::move(token), entry});
  }
  return tokens;
}

// How many different tokens there are: an added token may or may not be in the vocabulary too.
std::size_t count_tokens(const Field& root, const Field& vocab) {
  std::size_t count = object_of(vocab).size();
  const Field list = member(root, "added_tokens");
  for (std::size_t i = 0; i < length_of(list); ++i) {
    if (!vocab.value->contains(string_of(member(element(list, i), "content")))) ++count;
  }
  if (count > static_cast<std::size_t>(kLargestVocabulary)) {
    fail(vocab, fmt::format("has more than {} tokens", kLargestVocabulary));
  }
  return count;
}

// A token's spelling in the file to its bytes.
std::string bytes_of(const Tokenizer& t, const std::string& spelling, const Field& vocab) {
  if (t.kind == TokenizerKind::character) return spelling;
  std::optional<std::string> bytes = unspell_bytes(spelling);
  if (!bytes) {
    fail(vocab, fmt::format("token {} has a character that stands for no byte",
                            quote_for_message(spelling)));
  }
  return *bytes;
}

// There are as many ids as tokens, and none is used twice, so that all are used.
void read_vocabulary(Tokenizer& t, const Field& root, const Field& vocab) {
  const std::size_t size = count_tokens(root, vocab);
  t.vocabulary.assign(size, "");
  std::unordered_map<std::string, int> special;
  for (AddedToken& added : read_added_tokens(root, size)) {
    const SpecialToken& token = added.token;
    if (!t.vocabulary[token.id].empty()) fail(added.place, fmt::format("id {} is taken", token.id));
    t.vocabulary[token.id] = token.content;
    special[token.content] = token.id;
    t.special_tokens.push_back(std::move(added.token));
  }
  for (const auto& [spelling, value] : vocab.value->items()) {
    const auto entry = [&vocab, &spelling = spelling] {  // only messages need it
      return Field{nullptr, fmt::format("{}[{}]", vocab.place, quote_for_message(spelling))};
    };
    const std::optional<int> id = as_id(value, size);
    if (!id) fail_id(entry(), size);
    const auto known = special.find(spelling);
    if (known != special.end() && known->second == *id) continue;
    if (known != special.end() || !t.vocabulary[*id].empty()) {
      fail(entry(), fmt::format("id {} contradicts another entry or added_tokens", *id));
    }
    if (spelling.empty()) fail(entry(), "the token is empty");
    t.vocabulary[*id] = bytes_of(t, spelling, vocab);
  }
}

// "a b" or ["a", "b"]; nothing where it is neither.
std::optional<std::pair<std::string, std::string>> as_merge(const json& value) {
  if (value.is_array() && value.size() == 2 && value[0].is_string() && value[1].is_string()) {
    return std::pair(value[0].get<std::string>(), value[1].get<std::string>());
  }
  if (!value.is_string()) return std::nullopt;
  const auto& text = value.get_ref<const std::string&>();
  const std::size_t space = text.find(' ');
  const bool is_one_space = space != std::string::npos && text.find(' ', space + 1) == text.npos;
  if (!is_one_space) return std::nullopt;
  return std::pair(text.substr(0, space), text.substr(space + 1));
}

void read_merges(Tokenizer& t, const Field& merges, const Field& vocab) {
  std::unordered_map<std::string_view, int> ids;
  for (const auto& [spelling, value] : vocab.value->get_ref<const json::object_t&>()) {
    ids.emplace(spelling, value.get<int>());
  }
  std::unordered_map<std::uint64_t, std::size_t> seen;
  for (std::size_t i = 0; i < length_of(merges); ++i) {
    const auto pair = as_merge((*merges.value)[i]);
    if (!pair) fail(element(merges, i), "must be two tokens with one space between");
    const auto id_of_token = [&](const std::string& spelling) {
      const auto found = ids.find(spelling);
      if (found == ids.end()) {
        fail(element(merges, i),
             fmt::format("names {}, which is not in model.vocab", quote_for_message(spelling)));
      }
      return found->second;
    };
    const auto& [left, right] = *pair;
    const Merge m{id_of_token(left), id_of_token(right), id_of_token(left + right)};
    const auto [before, is_new] = seen.try_emplace(pair_key(m.left, m.right), i);
    if (!is_new) fail(element(merges, i), fmt::format("is the same as number {}", before->second));
    t.merges.push_back(m);
  }
}

// A byte-level vocabulary of exactly the 256 bytes and special tokens.
bool is_bytes_only(const Tokenizer& t) {
  return t.merges.empty() && t.vocabulary.size() == 256 + t.special_tokens.size() &&
         !t.add_prefix_space;
}

// Every byte must have a token if unknown ones are not to become unk_token.
void check_unknown_token(const Tokenizer& t, const Field& model) {
  const Field unk = member(model, "unk_token");
  if (is_null(unk) || string_of(unk).empty()) return;
  const auto& ids = t.byte_ids;
  const bool is_complete =
      t.kind != TokenizerKind::character && std::find(ids.begin(), ids.end(), -1) == ids.end();
  if (!is_complete) fail(unk, "is not supported where a byte or character may be unknown");
}

}  // namespace

Tokenizer parse_tokenizer_json(std::string_view text, const std::string& name) {
  return tokenizer_from_json(parse_json(text, name), name);
}

Tokenizer tokenizer_from_json(const json& file, const std::string& name) {
  const Field root{&file, name + ": "};
  object_of(root);
  const Field model = member(root, "model");
  object_of(model);
  check_model_options(model);
  const Field vocab = member(model, "vocab");
  Tokenizer t;
  read_pipeline(t, root);
  read_vocabulary(t, root, vocab);
  read_merges(t, member(model, "merges"), vocab);
  if (t.kind == TokenizerKind::bpe && is_bytes_only(t)) {
    t.kind = TokenizerKind::byte;
    t.split_digits = false;  // where a token is a byte, nothing is to be split
  }
  try {
    index_tokenizer(t);
  } catch (const Error& e) {
    throw Error(fmt::format("{}: {}", name, e.what()));
  }
  check_unknown_token(t, model);
  return t;
}

Tokenizer load_tokenizer(const std::filesystem::path& path) {
  return parse_tokenizer_json(read_file(path, kLargestFile), path.string());
}

}  // namespace tinygpt
