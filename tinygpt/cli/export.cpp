// tinygpt export and tinygpt import: a model as one GGUF file, and as a folder.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "tinygpt/cli/checks.h"
#include "tinygpt/cli/commands.h"
#include "tinygpt/cli/terminal.h"
#include "tinygpt/core/error.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/io/tokenizer_json.h"
#include "tinygpt/model/folder.h"
#include "tinygpt/model/gguf_model.h"

namespace tinygpt::cli {
namespace {

namespace fs = std::filesystem;

struct ExportArguments {
  std::string model = "models/demo";
  std::string out;  // empty: the folder's name with .gguf
  std::string name;
  std::string type = "f16";
};

struct ImportArguments {
  std::string file;
  std::string out;
  bool overwrite = false;
};

const std::map<std::string, GgufType> kTypes = {{"f32", GgufType::f32},
                                                {"f16", GgufType::f16},
                                                {"bf16", GgufType::bf16},
                                                {"q8_0", GgufType::q8_0},
                                                {"q4_0", GgufType::q4_0}};

GgufType type_of(const std::string& name) {
  const auto found = kTypes.find(name);
  check(found != kTypes.end(), [&] {
    return fmt::format("--type: there is no '{}'; there are: f32, f16, bf16, q8_0, q4_0", name);
  });
  return found->second;
}

// Without a slash at its end, so that it has a name.
fs::path plain(const std::string& folder) {
  const fs::path path = fs::path(folder).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

// A model that holds weights and computes nothing.
Gpt<float> make_holder(const GptConfig& config, const std::string& what) {
  check_memory(host_memory(), memory_ledger(config, cpu::ops(), Purpose::inference, 1, 1).total,
               what, "a machine with more memory can");
  return make_gpt(config, cpu::ops(), host_memory(), Purpose::inference, 1, 1);
}

void run_export(const ExportArguments& a) {
  const GgufType type = type_of(a.type);
  const fs::path folder(a.model);
  const GptConfig config = read_model_config(folder);
  check_has_weights(folder);
  const Tokenizer tokenizer = load_folder_tokenizer(folder);
  const fs::path out =
      a.out.empty() ? fs::path(plain(a.model).string() + ".gguf") : fs::path(a.out);
  check(!fs::is_directory(out), [&] {
    return fmt::format("--out {}: is a folder; GGUF is one file, such as model.gguf", out.string());
  });
  Gpt<float> model = make_holder(config, a.model);
  load_parameters(model, folder);
  const std::string name = a.name.empty() ? plain(a.model).filename().string() : a.name;
  save_gguf(model, tokenizer, name, type, out);
  fmt::print("Wrote {}: {} parameters in {}, {:.1f} MB\n", out.string(),
             short_number(static_cast<double>(parameter_ledger(config).total)), type_name(type),
             static_cast<double>(fs::file_size(out)) / 1e6);
}

// A folder that others wrote: shards, bfloat16 and the two files of an old tokenizer become one
// file of floats and one tokenizer.json.
void import_folder(const fs::path& from, const fs::path& out) {
  check(!fs::exists(out) || !fs::equivalent(from, out),
        [&] { return fmt::format("--out {}: is the folder itself; give another", out.string()); });
  const GptConfig config = read_model_config(from);
  check_has_weights(from);
  const Tokenizer tokenizer = load_folder_tokenizer(from);
  check_belongs(tokenizer, config, from.string());
  Gpt<float> model = make_holder(config, from.string());
  load_parameters(model, from);
  save_folder(model, tokenizer_to_json(tokenizer), out);
}

void import_gguf(const fs::path& from, const fs::path& out) {
  const GgufFile file = open_gguf(from);
  const GptConfig config = read_gguf_config(file);
  const Tokenizer tokenizer = read_gguf_tokenizer(file);
  Gpt<float> model = make_holder(config, from.string());
  load_gguf(model, file);
  save_folder(model, tokenizer_to_json(tokenizer), out);
}

void run_import(const ImportArguments& a) {
  const bool is_folder = fs::is_directory(a.file);
  check(!is_folder || !a.out.empty(),
        "--out: say which folder the model is to be in; it cannot be the folder that it is in");
  const fs::path out = a.out.empty() ? fs::path(a.file).replace_extension() : fs::path(a.out);
  check(a.overwrite || !fs::exists(out / "config.json"), [&] {
    return fmt::format("--out {}: there is a model already; --overwrite replaces it", out.string());
  });
  if (is_folder) import_folder(plain(a.file), out);
  else import_gguf(a.file, out);
  fmt::print("The model is in {}: {} parameters\n", out.string(),
             short_number(static_cast<double>(parameter_ledger(read_model_config(out)).total)));
}

}  // namespace

void add_export_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("export", "Write a model as one GGUF file, for llama.cpp and others");
  const auto a = std::make_shared<ExportArguments>();
  command->add_option("model", a->model, "The model's folder")->capture_default_str();
  command->add_option("--out", a->out, "The file (default: the folder's name with .gguf)");
  command->add_option("--name", a->name, "The model's name in the file (default: the folder's)");
  command
      ->add_option("--type", a->type,
                   "f32, f16, bf16, q8_0 (8 bits) or q4_0 (4 bits): of matrices; vectors stay f32")
      ->capture_default_str();
  command->callback([a] { run_export(*a); });
}

void add_import_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "import", "Make a model's folder of a GGUF file, or of one that others wrote");
  const auto a = std::make_shared<ImportArguments>();
  command
      ->add_option("model", a->file,
                   "A GGUF file, or a folder of Hugging Face's (GPT-2, LLaMA; shards, bfloat16)")
      ->required();
  command->add_option("--out", a->out, "The folder (default: a file's name without .gguf)");
  command->add_flag("--overwrite", a->overwrite, "Replace a model that is there");
  command->callback([a] { run_import(*a); });
}

}  // namespace tinygpt::cli
