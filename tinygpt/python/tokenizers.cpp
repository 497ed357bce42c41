// Tokenizers: train, load, save, encode, decode.
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "tinygpt/io/tokenizer_json.h"
#include "tinygpt/python/arrays.h"
#include "tinygpt/python/bindings.h"
#include "tinygpt/python/interrupt.h"
#include "tinygpt/text/tokenizer.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt::python {
namespace {

using Shared = std::shared_ptr<Tokenizer>;
using Texts = std::vector<std::string>;

Shared shared(Tokenizer tokenizer) { return std::make_shared<Tokenizer>(std::move(tokenizer)); }

Shared train_bpe(const std::string& text, int vocab_size, const Texts& special) {
  return without_gil([&] {
    return shared(
        train_bpe_tokenizer(text, vocab_size, special, [](int, int) { check_interrupt(); }));
  });
}

Shared train_characters(const std::string& text, const Texts& special) {
  return without_gil([&] { return shared(train_char_tokenizer(text, special)); });
}

py::object encode_text(const Tokenizer& tokenizer, const std::string& text, bool allow_special) {
  return array_of(
      without_gil([&] { return encode(tokenizer, text, {.allow_special = allow_special}); }));
}

std::string decode_bytes(const Tokenizer& tokenizer, const py::object& ids, bool skip_control) {
  const std::vector<int> all = token_list(ids, "ids");
  return without_gil([&] { return decode(tokenizer, all, {.skip_control = skip_control}); });
}

py::list pieces(const Tokenizer& tokenizer, const std::string& text, bool allow_special) {
  py::list all;
  const std::vector<int> ids =
      without_gil([&] { return encode(tokenizer, text, {.allow_special = allow_special}); });
  for (const int id : ids) {
    all.append(py::bytes(std::string(token_bytes(tokenizer, id))));
  }
  return all;
}

py::list merges(const Tokenizer& tokenizer) {
  py::list all;
  for (const Merge& merge : tokenizer.merges) {
    all.append(py::make_tuple(merge.left, merge.right, merge.result));
  }
  return all;
}

py::dict special_tokens(const Tokenizer& tokenizer) {
  py::dict all;
  for (const SpecialToken& token : tokenizer.special_tokens) all[py::str(token.content)] = token.id;
  return all;
}

std::string describe(const Tokenizer& tokenizer) {
  return std::string("<tinygpt.Tokenizer: ") + kind_name(tokenizer.kind) + ", " +
         std::to_string(vocab_size(tokenizer)) + " tokens>";
}

void bind_making(py::class_<Tokenizer, Shared>& c) {
  c.def_static(
      "byte", [](const Texts& special) { return shared(byte_tokenizer(special)); },
      py::arg("special_tokens") = Texts(), "A token is a byte; the special tokens follow.");
  c.def_static("train_bpe", &train_bpe, py::arg("text"), py::arg("vocab_size"),
               py::arg("special_tokens") = Texts(),
               "GPT-2's byte-level byte pair encoding, learned from a text. vocab_size counts the "
               "256 bytes, the merges and the special tokens.");
  c.def_static("train_characters", &train_characters, py::arg("text"),
               py::arg("special_tokens") = Texts(), "A token is a character of this text.");
  c.def_static(
      "load",
      [](const std::filesystem::path& path) {
        return without_gil([&] { return shared(load_tokenizer(path)); });
      },
      py::arg("path"), "Reads a tokenizer.json.");
  c.def(
      "save",
      [](const Tokenizer& t, const std::filesystem::path& path) {
        without_gil([&] { save_tokenizer(path, t); });
      },
      py::arg("path"), "Writes a tokenizer.json, atomically.");
}

void bind_use(py::class_<Tokenizer, Shared>& c) {
  c.def("encode", &encode_text, py::arg("text"), py::arg("allow_special") = true,
        "Text (str, or bytes) to ids: an int32 array [T]. Without allow_special, the text of a "
        "special token is text like any other.");
  c.def(
      "decode",
      [](const Tokenizer& t, const py::object& ids, bool skip_control) {
        return replace_invalid_utf8(decode_bytes(t, ids, skip_control));
      },
      py::arg("ids"), py::arg("skip_control") = false,
      "Ids [T] to text. Bytes that are not UTF-8 become U+FFFD; skip_control leaves control "
      "tokens out.");
  c.def(
      "decode_bytes",
      [](const Tokenizer& t, const py::object& ids, bool skip_control) {
        return py::bytes(decode_bytes(t, ids, skip_control));
      },
      py::arg("ids"), py::arg("skip_control") = false, "Ids [T] to the bytes that they stand for.");
  c.def(
      "token_bytes",
      [](const Tokenizer& t, int id) { return py::bytes(std::string(token_bytes(t, id))); },
      py::arg("id"), "The bytes that one token stands for.");
  c.def("pieces", &pieces, py::arg("text"), py::arg("allow_special") = true,
        "The text cut at token boundaries: a list of bytes, one for each id that encode gives.");
}

}  // namespace

void bind_tokenizers(py::module_& m) {
  py::class_<Tokenizer, Shared> c(m, "Tokenizer", "Text to integers and back.");
  bind_making(c);
  bind_use(c);
  c.def_property_readonly(
      "kind", [](const Tokenizer& t) { return kind_name(t.kind); },
      "'byte', 'character' or 'bpe'.");
  c.def_property_readonly("vocab_size", &vocab_size, "How many tokens there are.");
  c.def("__len__", &vocab_size);
  c.def_property_readonly("merges", &merges,
                          "[(left, right, result), ...] in the order of learning; bpe.");
  c.def_property_readonly("special_tokens", &special_tokens, "{content: id}.");
  c.def("__repr__", &describe);
}

}  // namespace tinygpt::python
