#include "tinygpt/model/weights.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdint>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tinygpt/core/error.h"
#include "tinygpt/io/json.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t kLargestIndex = std::uint64_t{1} << 24;
constexpr std::size_t kMostShards = 1024;

struct Located {
  std::string file;
  TensorView view;
};
using Tensors = std::map<std::string, Located>;  // by canonical name

// A shard's tensors join those of the shards before it.
void add_file(Tensors& all, Family family, const SafetensorsFile& f) {
  const std::string file = f.file.path().string();
  for (const auto& [name, view] : f.tensors) {
    const bool added = all.try_emplace(canonical_name(family, name), Located{file, view}).second;
    check(added, [&] {
      return fmt::format("{}: tensor {} is there twice", file, quote_for_message(name));
    });
  }
}

const Located& take(Tensors& all, const FileTensor& t, const std::string& where) {
  const auto found = all.find(t.name);
  check(found != all.end(), [&] { return fmt::format("{}: has no tensor {}", where, t.name); });
  const auto& [file, view] = found->second;
  check(view.shape == t.shape, [&] {
    return fmt::format("{}: tensor {} has shape [{}] where config.json asks for [{}]", file, t.name,
                       fmt::join(view.shape, ", "), fmt::join(t.shape, ", "));
  });
  check(is_float_dtype(view.dtype), [&] {
    return fmt::format("{}: tensor {} has dtype {}; only F32, F16 and BF16 are read", file, t.name,
                       view.dtype);
  });
  return found->second;
}

// A tied head is the embedding; a copy of it in the file must not say otherwise.
void check_tied_copy(const Tensors& all, const Located& head, const std::string& embedding) {
  const TensorView& wte = all.at(embedding).view;
  const TensorView& copy = head.view;
  const bool same = copy.dtype == wte.dtype && copy.shape == wte.shape &&
                    std::memcmp(copy.bytes.data(), wte.bytes.data(), wte.bytes.size()) == 0;
  check(same, [&] {
    return fmt::format(
        "{}: lm_head.weight differs from {}, but config.json ties them "
        "(tie_word_embeddings)",
        head.file, embedding);
  });
}

std::vector<FoundTensor> match(Tensors& all, const ParameterLayout& layout, const GptConfig& c,
                               const std::string& where) {
  std::vector<FoundTensor> found;
  std::set<std::string> expected;
  for (FileTensor& t : file_tensors(layout, c)) {
    expected.insert(t.name);
    const TensorView& view = take(all, t, where).view;
    found.push_back({std::move(t), view});
  }
  for (const auto& [name, located] : all) {
    if (expected.contains(name) || is_constant_buffer(c.family, name)) continue;
    if (name == "lm_head.weight") {
      check_tied_copy(all, located, found[0].tensor.name);  // the layout begins with wte
      continue;
    }
    throw Error(fmt::format("{}: tensor {} does not belong to the model that config.json describes",
                            located.file, quote_for_message(name)));
  }
  return found;
}

// The shards' names, in order. A name leads to a file of the same folder and nowhere else.
std::set<std::string> shard_names(const json& map, const std::string& where) {
  std::set<std::string> names;
  for (const auto& [tensor, file] : map.items()) {
    check(file.is_string(), [&] { return where + ": weight_map must map names to file names"; });
    const auto& name = file.get_ref<const std::string&>();
    const bool plain = name.ends_with(".safetensors") && !name.starts_with('.') &&
                       name.find_first_of(std::string_view("/\\\0", 3)) == std::string::npos;
    check(plain, [&] {
      return fmt::format("{}: weight_map: {} is no name of a shard", where,
                         quote_for_message(name));
    });
    names.insert(name);
  }
  check(!names.empty() && names.size() <= kMostShards,
        [&] { return fmt::format("{}: weight_map names {} files", where, names.size()); });
  return names;
}

WeightFiles open_shards(const ParameterLayout& layout, const GptConfig& c, const fs::path& index) {
  const std::string where = index.string();
  const json root = parse_json(read_file(index, kLargestIndex), where);
  const bool has_map =
      root.is_object() && root.contains("weight_map") && root["weight_map"].is_object();
  check(has_map, [&] { return where + ": has no object weight_map"; });
  const json& map = root["weight_map"];
  WeightFiles w;
  Tensors all;
  for (const std::string& name : shard_names(map, where)) {
    w.files.push_back(open_safetensors(index.parent_path() / name));
    add_file(all, c.family, w.files.back());
    for (const auto& [tensor, view] : w.files.back().tensors) {
      check(map.contains(tensor) && map[tensor] == name, [&] {
        return fmt::format("{}: weight_map does not say that {} is in {}", where,
                           quote_for_message(tensor), name);
      });
    }
  }
  w.tensors = match(all, layout, c, where);
  return w;
}

}  // namespace

bool has_weights(const fs::path& folder) {
  return fs::exists(folder / "model.safetensors") ||
         fs::exists(folder / "model.safetensors.index.json");
}

WeightFiles open_weights(const ParameterLayout& layout, const GptConfig& config,
                         const fs::path& folder) {
  const fs::path file = folder / "model.safetensors";
  const fs::path index = folder / "model.safetensors.index.json";
  if (!fs::exists(file) && fs::exists(index)) return open_shards(layout, config, index);
  return open_weight_file(layout, config, file);
}

WeightFiles open_weight_file(const ParameterLayout& layout, const GptConfig& config,
                             const fs::path& file) {
  WeightFiles w;
  w.files.push_back(open_safetensors(file));
  Tensors all;
  add_file(all, config.family, w.files.back());
  w.tensors = match(all, layout, config, file.string());
  return w;
}

}  // namespace tinygpt
