// Corpora: tinytales' stories, and folders that were prepared for training.
#include <fmt/format.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <algorithm>
#include <map>
#include <optional>
#include <span>

#include "tinygpt/core/error.h"
#include "tinygpt/core/sha256.h"
#include "tinygpt/io/corpus_write.h"
#include "tinygpt/io/tokenizer_json.h"
#include "tinygpt/python/arrays.h"
#include "tinygpt/python/bindings.h"
#include "tinygpt/python/corpus_files.h"
#include "tinygpt/python/interrupt.h"
#include "tinygpt/text/tinytales.h"

namespace tinygpt::python {

namespace fs = std::filesystem;

CorpusFiles::CorpusFiles(const fs::path& path)
    : folder(path),
      info(load_corpus_info(path)),
      tokenizer(std::make_shared<Tokenizer>(load_tokenizer(path / "tokenizer.json"))),
      train(path / "train.npy", vocab_size(*tokenizer)),
      validation(path / "validation.npy", vocab_size(*tokenizer)) {}

namespace {

using Texts = std::vector<std::string>;

// The grammar of a style, parsed once.
const Grammar& tinytales(const std::string& style) {
  static std::map<std::string, Grammar> known;
  const auto found = known.find(style);
  if (found != known.end()) return found->second;
  const TinytalesStyle named = tinytales_style(style);
  return known.emplace(style, parse_grammar(named.grammar, named.file)).first->second;
}

// A thousand at a time, so that Ctrl-C is seen.
Texts stories(std::int64_t count, std::uint64_t seed, std::int64_t first,
              const std::string& style) {
  check(count >= 0 && count <= 100'000'000 && first >= 0,
        "stories: count must be between 0 and 100,000,000, and first not negative");
  const Grammar& grammar = tinytales(style);
  return without_gil([&] {
    Texts all;
    while (std::ssize(all) < count) {
      check_interrupt();
      const std::int64_t more = std::min<std::int64_t>(1000, count - std::ssize(all));
      const Texts part = draw_stories(grammar, seed, first + std::ssize(all), more);
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  });
}

double nats_of(const Grammar& grammar, std::span<const std::string> texts) {
  double nats = 0;
  for (std::size_t at = 0; at < texts.size(); at += 256) {
    check_interrupt();
    nats += stories_nats(grammar, texts.subspan(at, std::min<std::size_t>(256, texts.size() - at)));
  }
  return nats;
}

double floor_of(const Texts& texts, const std::string& style) {
  check(!texts.empty(), "floor: there is no story");
  const Grammar& grammar = tinytales(style);
  return without_gil(
      [&] { return nats_of(grammar, texts) / static_cast<double>(stories_bytes(texts)); });
}

// Documents for training, with the share at the end held out; the floor where they are stories.
std::shared_ptr<CorpusFiles> write(const fs::path& folder, const Texts& documents,
                                   const Tokenizer& tokenizer, std::int64_t held_out,
                                   std::optional<double> train_floor,
                                   std::optional<double> validation_floor,
                                   const std::string& name) {
  check(held_out >= 1 && held_out < std::ssize(documents), [&] {
    return fmt::format("validation: {} of {} documents: both splits need one at least", held_out,
                       documents.size());
  });
  return without_gil([&] {
    CorpusInfo info;
    info.name = name;
    std::string all;
    for (const std::string& document : documents) all += document + '\n';
    info.text_sha256 = sha256(all);
    info.made_from = "documents " + info.text_sha256;
    info.train.floor_nats_per_byte = train_floor;
    info.validation.floor_nats_per_byte = validation_floor;
    TextSplit split;
    split.train.assign(documents.begin(), documents.end() - held_out);
    split.validation.assign(documents.end() - held_out, documents.end());
    split.has_documents = true;
    write_corpus(folder, info, split, tokenizer,
                 [](std::size_t, std::size_t) { check_interrupt(); });
    return std::make_shared<CorpusFiles>(folder);
  });
}

Tokenizer trained_on(std::span<const std::string> texts, int vocabulary) {
  std::string text;
  for (const std::string& story : texts) text += story + '\n';
  const std::vector<std::string> special = {std::string(kEndOfText)};
  return train_bpe_tokenizer(text, vocabulary, special, [](int, int) { check_interrupt(); });
}

std::shared_ptr<CorpusFiles> prepare_tinytales(const fs::path& folder, std::int64_t count,
                                               std::uint64_t seed, int vocabulary,
                                               const std::string& style, const Tokenizer* given) {
  check(count >= 2, "stories: at least 2, for training and for validation");
  const std::int64_t held_out = std::clamp<std::int64_t>(count / 40, 1, 1000);
  const Texts all = stories(count + held_out, seed, 0, style);
  const auto train = std::span(all).first(static_cast<std::size_t>(count));
  const auto validation = std::span(all).subspan(static_cast<std::size_t>(count));
  const Tokenizer tokenizer =
      given != nullptr ? *given : without_gil([&] { return trained_on(train, vocabulary); });
  const double floors[] = {floor_of({train.begin(), train.end()}, style),
                           floor_of({validation.begin(), validation.end()}, style)};
  return write(folder, all, tokenizer, held_out, floors[0], floors[1],
               tinytales_style(style).corpus);
}

std::optional<double> floor_per_token(const CorpusFiles& c) {
  const SplitInfo& split = c.info.validation;
  if (!split.floor_nats_per_byte) return {};
  return *split.floor_nats_per_byte * static_cast<double>(split.bytes) /
         static_cast<double>(split.tokens);
}

// NumPy maps the file itself, which has been checked.
py::object mapped(const TokenFile& file) {
  return py::module_::import("numpy").attr("load")(file.path().string(),
                                                   py::arg("mmap_mode") = "r");
}

void bind_corpus(py::class_<CorpusFiles, std::shared_ptr<CorpusFiles>>& c) {
  c.def(py::init([](const fs::path& path) {
          return without_gil([&] { return std::make_shared<CorpusFiles>(path); });
        }),
        py::arg("folder"), "Opens a prepared corpus.");
  c.def_static(
      "prepare_tinytales", &prepare_tinytales, py::arg("folder"), py::arg("stories") = 2000,
      py::arg("seed") = 1, py::arg("vocab_size") = 1024, py::arg("style") = "",
      py::arg("tokenizer") = py::none(),
      "Draws stories and one in 40 more for validation, trains a BPE tokenizer on the former (or "
      "takes the one that is given), and writes all into the folder. Their floor is known. "
      "style: '', or 'letters'.");
  c.def_static(
      "write",
      [](const fs::path& folder, const Texts& documents, const Tokenizer& tokenizer,
         std::int64_t validation, const std::string& name) {
        return write(folder, documents, tokenizer, validation, {}, {}, name);
      },
      py::arg("folder"), py::arg("documents"), py::arg("tokenizer"), py::arg("validation"),
      py::arg("name") = "documents",
      "Encodes documents into a folder; the last `validation` of them are held out. The tokenizer "
      "needs the special token '<|endoftext|>'.");
  c.def_readonly("tokenizer", &CorpusFiles::tokenizer, "The corpus's tokenizer.");
  c.def_property_readonly(
      "folder", [](const CorpusFiles& x) { return x.folder; }, "Where it lies.");
  c.def_property_readonly(
      "name", [](const CorpusFiles& x) { return x.info.name; }, "Such as 'tinytales'.");
  c.def_property_readonly(
      "train", [](const CorpusFiles& x) { return mapped(x.train); },
      "Training tokens [N], uint16 or uint32, mapped from the file.");
  c.def_property_readonly(
      "validation", [](const CorpusFiles& x) { return mapped(x.validation); },
      "Validation tokens [N], uint16 or uint32, mapped from the file.");
  c.def_property_readonly(
      "bytes_per_token",
      [](const CorpusFiles& x) {
        return static_cast<double>(x.info.validation.bytes) /
               static_cast<double>(x.info.validation.tokens);
      },
      "Of the validation text: nats per token divided by it are nats per byte.");
  c.def_property_readonly(
      "floor", &floor_per_token,
      "What the best possible model loses on the validation text, nats per token; None where it "
      "is not known.");
}

}  // namespace

void bind_corpora(py::module_& m) {
  py::class_<CorpusFiles, std::shared_ptr<CorpusFiles>> c(m, "Corpus",
                                                          "A folder prepared for training.");
  bind_corpus(c);
  c.def("__repr__", [](const CorpusFiles& x) {
    return fmt::format("<tinygpt.Corpus {}: {} training and {} validation tokens>", x.info.name,
                       x.train.size(), x.validation.size());
  });
  m.def("stories", &stories, py::arg("count"), py::arg("seed") = 1, py::arg("first") = 0,
        py::arg("style") = "",
        "Stories number first, first + 1, ... of a seed: short tales drawn from a grammar, whose "
        "probabilities are known. style: '', or 'letters'.");
  m.def("floor", &floor_of, py::arg("stories"), py::arg("style") = "",
        "What the best possible model loses on these stories, in nats per byte (each story's end "
        "counts as a byte); infinite where one is not of the grammar.");
}

}  // namespace tinygpt::python
