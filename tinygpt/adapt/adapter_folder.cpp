#include "tinygpt/adapt/adapter_folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <vector>

#include "solutions/19-lora/lora.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/io/safetensors.h"
#include "tinygpt/model/file_tensors.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "adapter_config.json";
constexpr const char* kWeights = "adapter_model.safetensors";
constexpr std::string_view kPrefix = "base_model.model.";
constexpr std::string_view kA = ".lora_A.weight", kB = ".lora_B.weight";
constexpr std::uint64_t kInitStream = 0x6C6F7261;  // "lora"; one stream for each part

// Both halves of a module, as a file has them.
struct Halves {
  const TensorView *a = nullptr, *b = nullptr;
};
using Modules = std::map<std::string, Halves>;

Modules modules_of(const SafetensorsFile& f, Family family) {
  Modules modules;
  const std::string where = f.file.path().string();
  for (const auto& tensor : f.tensors) {
    const std::string& name = tensor.first;
    const bool is_a = name.ends_with(kA), is_b = name.ends_with(kB);
    check(name.starts_with(kPrefix) && (is_a || is_b), [&] {
      return fmt::format(
          "{}: tensor {} is no half of a LoRA adapter of a linear layer, which are called {}"
          "MODULE{} and {}",
          where, quote_for_message(name), kPrefix, kA, kB);
    });
    const std::string inner =
        name.substr(kPrefix.size(), name.size() - kPrefix.size() - (is_a ? kA : kB).size());
    Halves& halves = modules[canonical_name(family, inner)];
    const TensorView*& half = is_a ? halves.a : halves.b;
    check(half == nullptr, [&] {
      return fmt::format("{}: tensor {} is there twice", where, quote_for_message(name));
    });
    half = &tensor.second;
  }
  return modules;
}

void check_half(const TensorView& view, std::int64_t rows, std::int64_t cols,
                const std::string& module, std::string_view half, const std::string& where) {
  check(view.shape == std::vector<std::int64_t>{rows, cols}, [&] {
    return fmt::format("{}: tensor {}{} has shape [{}] where the model and {} ask for [{}, {}]",
                       where, quote_for_message(module), half, fmt::join(view.shape, ", "), kConfig,
                       rows, cols);
  });
  check(is_float_dtype(view.dtype), [&] {
    return fmt::format("{}: tensor {}{} has dtype {}; only F32, F16 and BF16 are read", where,
                       quote_for_message(module), half, quote_for_message(view.dtype));
  });
}

std::string named(const std::string& base) { return fmt::format(", {}", quote_for_message(base)); }

// The parts that the file's tensors are of, each checked against the model.
std::vector<AdapterPart> parts_of(const Modules& modules, const LoraConfig& config,
                                  const GptConfig& model, const std::string& where) {
  const std::vector<AdapterPart> known = adaptable_modules(model);
  std::vector<AdapterPart> parts;
  for (const auto& [module, halves] : modules) {
    const auto part = std::find_if(known.begin(), known.end(),
                                   [&, &name = module](const auto& p) { return p.module == name; });
    check(part != known.end(), [&, &name = module] {
      return fmt::format("{}: the model has no linear layer {}: is this adapter for another one{}?",
                         where, quote_for_message(name),
                         config.base.empty() ? std::string() : named(config.base));
    });
    check(halves.a != nullptr && halves.b != nullptr, [&, &name = module] {
      return fmt::format("{}: {} has only one of lora_A and lora_B", where,
                         quote_for_message(name));
    });
    check_half(*halves.a, config.rank, part->in, module, kA, where);
    check_half(*halves.b, part->out, config.rank, module, kB, where);
    parts.push_back(*part);
  }
  check(!parts.empty(), [&] { return where + ": it holds no tensor"; });
  return parts;
}

SafetensorsFile open_adapter(const fs::path& folder) {
  const fs::path file = folder / kWeights;
  check(fs::exists(file) || !fs::exists(folder / "adapter_model.bin"), [&] {
    return fmt::format(
        "{}: only {} is read, and there is adapter_model.bin instead: save the adapter again "
        "with save_pretrained(..., safe_serialization=True)",
        folder.string(), kWeights);
  });
  return open_safetensors(file);
}

void copy_half(float* to, const TensorView& view, const std::string& module,
               const std::string& where) {
  const std::span<float> values(to, static_cast<std::size_t>(view.size()));
  copy_as_float(values, view);
  const bool finite =
      std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
  check(finite, [&] {
    return fmt::format("{}: {} holds a value that is not finite", where, quote_for_message(module));
  });
}

// Values laid out like the adapter's parameters, from a file whose tensors were checked.
void copy_values(float* values, const AdapterLayout& layout, const Modules& modules,
                 const std::string& where) {
  for (const AdapterPart& part : layout.parts) {
    const Halves& halves = modules.at(part.module);
    copy_half(values + part.a, *halves.a, part.module, where);
    copy_half(values + part.b, *halves.b, part.module, where);
  }
}

void write_values(const AdapterLayout& layout, const float* values, const fs::path& file) {
  std::vector<TensorSource> sources;
  const auto add = [&](const std::string& name, std::int64_t offset, std::int64_t rows,
                       std::int64_t cols) {
    const float* from = values + offset;
    const auto bytes = static_cast<std::size_t>(rows * cols) * sizeof(float);
    sources.push_back({name, {rows, cols}, [=](const Sink& sink) { sink(from, bytes); }});
  };
  for (const AdapterPart& p : layout.parts) {
    add(fmt::format("{}{}{}", kPrefix, p.module, kA), p.a, layout.rank, p.in);
    add(fmt::format("{}{}{}", kPrefix, p.module, kB), p.b, p.out, layout.rank);
  }
  write_safetensors(file, sources, {{"format", "pt"}});
}

// The config's targets where they stand for just these modules; else the modules by their names.
std::vector<std::string> targets_for(const AdapterLayout& layout, const LoraConfig& config,
                                     const GptConfig& model) {
  std::vector<std::string> short_names, modules;
  const auto found_by = [&](const std::vector<std::string>& targets) {
    std::size_t found = 0;
    for (const AdapterPart& p : adaptable_modules(model)) {
      found += std::any_of(targets.begin(), targets.end(),
                           [&](const std::string& target) { return is_target(p.module, target); });
    }
    return found;
  };
  for (const AdapterPart& p : layout.parts) {
    modules.push_back(p.module);
    const std::string name = p.module.substr(p.module.rfind('.') + 1);
    if (std::find(short_names.begin(), short_names.end(), name) == short_names.end()) {
      short_names.push_back(name);
    }
  }
  if (!config.targets.empty() && found_by(config.targets) == modules.size()) return config.targets;
  return found_by(short_names) == modules.size() ? short_names : modules;
}

}  // namespace

void init_adapter(Adapter<float>& adapter, std::uint64_t seed) {
  std::vector<float> values(static_cast<std::size_t>(adapter.layout.total));
  std::uint64_t stream = kInitStream;
  for (const AdapterPart& p : adapter.layout.parts) {
    ref::lora_init(values.data() + p.a, values.data() + p.b, p.in, p.out, adapter.layout.rank, seed,
                   ++stream);
  }
  adapter.memory.copy_in(adapter.params(), values.data(), values.size() * sizeof(float));
}

void save_adapter(const Adapter<float>& adapter, const LoraConfig& config, const GptConfig& model,
                  const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  check(fs::is_directory(folder),
        [&] { return fmt::format("{}: cannot be made a folder", folder.string()); });
  std::vector<float> values(static_cast<std::size_t>(adapter.layout.total));
  adapter.memory.copy_out(values.data(), adapter.params(), values.size() * sizeof(float));
  write_values(adapter.layout, values.data(), folder / kWeights);
  write_file_atomically(
      folder / kConfig,
      lora_config_json(config, targets_for(adapter.layout, config, model), model.family));
}

Adapter<float> load_adapter(const Gpt<float>& model, const fs::path& folder, int rows) {
  const LoraConfig config = read_lora_config(folder);
  const SafetensorsFile file = open_adapter(folder);
  const std::string where = file.file.path().string();
  const Modules modules = modules_of(file, model.config.family);
  const AdapterLayout layout = make_adapter_layout(parts_of(modules, config, model.config, where),
                                                   config.rank, lora_scale(config), config.dropout);
  std::vector<float> values(static_cast<std::size_t>(layout.total));
  copy_values(values.data(), layout, modules, where);
  Adapter<float> adapter = make_adapter(layout, model, rows);
  adapter.memory.copy_in(adapter.params(), values.data(), values.size() * sizeof(float));
  return adapter;
}

Product adapter_product(Adapter<float>& adapter, const LoraConfig& config, const GptConfig& model) {
  // A file of just this adapter's tensors.
  const auto load_values = [&adapter, config, model](float* values, const fs::path& path) {
    const SafetensorsFile file = open_safetensors(path);
    const Modules modules = modules_of(file, model.family);
    const auto parts = parts_of(modules, config, model, path.string());
    check(parts.size() == adapter.layout.parts.size(), [&] {
      return fmt::format("{}: it is of {} modules, not of {}", path.string(), parts.size(),
                         adapter.layout.parts.size());
    });
    for (const AdapterPart& p : adapter.layout.parts) {
      check(modules.contains(p.module),
            [&] { return fmt::format("{}: has no {}", path.string(), p.module); });
    }
    copy_values(values, adapter.layout, modules, path.string());
  };
  Product product;
  product.config = kConfig;
  product.weights = kWeights;
  product.save = [&adapter, config, model](const fs::path& folder) {
    save_adapter(adapter, config, model, folder);
  };
  product.load = [&adapter, load_values](const fs::path& folder) {
    std::vector<float> values(static_cast<std::size_t>(adapter.layout.total));
    load_values(values.data(), folder / kWeights);
    adapter.memory.copy_in(adapter.params(), values.data(), values.size() * sizeof(float));
  };
  product.save_values = [&adapter](const float* values, const fs::path& file) {
    write_values(adapter.layout, values, file);
  };
  product.load_values = load_values;
  return product;
}

}  // namespace tinygpt
