// tinygpt merge: an adapter goes into the weights of its model.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "tinygpt/adapt/adapter_folder.h"
#include "tinygpt/cli/checks.h"
#include "tinygpt/cli/commands.h"
#include "tinygpt/cli/terminal.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/model/folder.h"

namespace tinygpt::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string model = "models/demo";
  std::string adapter = "models/tuned";
  std::string out;
  bool overwrite = false;
};

void run(const Arguments& a) {
  check(a.overwrite || !fs::exists(fs::path(a.out) / "config.json"), [&] {
    return fmt::format("--out {}: there is a model already; --overwrite replaces it", a.out);
  });
  std::error_code ignored;
  check(!fs::equivalent(a.model, a.out, ignored),
        "--out: is the base's own folder, which a second merge would find merged already; give "
        "another one");
  const GptConfig config = read_model_config(a.model);
  check_has_weights(a.model);
  const std::string tokenizer = read_file(fs::path(a.model) / "tokenizer.json", 1 << 28);
  check_memory(host_memory(), memory_ledger(config, cpu::ops(), Purpose::inference, 1, 1).total,
               a.model, "a machine with more memory can");
  Gpt<float> model = make_gpt(config, cpu::ops(), host_memory(), Purpose::inference, 1, 1);
  load_parameters(model, a.model);
  Adapter<float> adapter = load_adapter(model, a.adapter, 1);
  model.adapter = &adapter;
  merge_adapter(model);
  save_folder(model, tokenizer, a.out);
  fmt::print("The model is in {}: {} parameters, with the adapter of {} layers in them\n", a.out,
             short_number(static_cast<double>(parameter_ledger(config).total)),
             adapter.layout.parts.size());
}

}  // namespace

void add_merge_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("merge", "Put a LoRA adapter into its model's weights, as a new model");
  const auto a = std::make_shared<Arguments>();
  command->add_option("--model", a->model, "The model that the adapter was trained beside")
      ->capture_default_str();
  command->add_option("--adapter", a->adapter, "The adapter's folder")->capture_default_str();
  command->add_option("--out", a->out, "The new model's folder")->required();
  command->add_flag("--overwrite", a->overwrite, "Replace a model that is there");
  command->callback([a] { run(*a); });
}

}  // namespace tinygpt::cli
