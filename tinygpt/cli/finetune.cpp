// tinygpt finetune: a trained model goes on with another corpus, as a whole or by a LoRA adapter.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>

#include "tinygpt/adapt/adapter_folder.h"
#include "tinygpt/cli/checks.h"
#include "tinygpt/cli/commands.h"
#include "tinygpt/cli/train_session.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/core/sha256.h"
#include "tinygpt/model/folder.h"

namespace tinygpt::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  TrainOptions train;
  std::string model = "models/demo";
  std::string method = "lora";
  LoraConfig lora;

  bool is_lora() const { return method == "lora"; }
};

bool is_given(const CLI::App& command, const std::string& option) {
  return command.get_option(option)->count() > 0;
}

void check_arguments(const CLI::App& command, Arguments& a) {
  check(a.is_lora() || a.method == "full",
        [&] { return fmt::format("--method: there is no '{}'; there are: lora, full", a.method); });
  for (const char* option : {"--rank", "--alpha", "--dropout", "--targets"}) {
    check(a.is_lora() || !is_given(command, option),
          [&] { return fmt::format("{}: only for --method lora", option); });
  }
  check(!a.is_lora() || a.train.settings.dtype == "float",
        "--dtype: an adapter is trained in float; --method full knows bf16");
  if (!is_given(command, "--alpha")) a.lora.alpha = 2.0f * static_cast<float>(a.lora.rank);
  // Two matrices that start small and at zero want larger steps than weights that are good already.
  if (!is_given(command, "--lr")) a.train.settings.lr = a.is_lora() ? 3e-3f : 1e-3f;
  std::error_code ignored;
  check(!fs::equivalent(a.model, a.train.out, ignored),
        "--out: is the base's own folder; give another one");
}

// For --resume: the adapter is the one that was begun.
void take_lora(const CLI::App& command, LoraConfig& lora, const fs::path& checkpoint) {
  const LoraConfig stored = read_lora_config(checkpoint);
  const auto same = [&](const char* option, auto given, auto was) {
    check(!is_given(command, option) || given == was, [&] {
      return fmt::format("--resume: this training was started with {} {}, not {}", option, was,
                         given);
    });
  };
  same("--rank", lora.rank, stored.rank);
  same("--alpha", lora.alpha, stored.alpha);
  same("--dropout", lora.dropout, stored.dropout);
  check(!is_given(command, "--targets") || lora.targets == stored.targets,
        "--resume: this training was started with other --targets");
  lora = stored;
}

// The base's shape, with the settings completed to match it.
GptConfig prepare_config(Arguments& a, const Corpus& corpus) {
  const GptConfig config = read_model_config(a.model);
  check_has_weights(a.model);
  check(read_file(fs::path(a.model) / "tokenizer.json", 1 << 28) == corpus.tokenizer_json, [&] {
    return fmt::format(
        "--data {}: it has another tokenizer than {}: prepare the corpus with tinygpt data ... "
        "--tokenizer {}",
        a.train.data, a.model, (fs::path(a.model) / "tokenizer.json").string());
  });
  TrainSettings& s = a.train.settings;
  if (s.time == 0) s.time = config.context_length;
  check_settings(s, config);
  check_length(corpus.train, s.time);
  check_length(corpus.validation, s.time);
  return config;
}

// Base weights in shards are known by their index, which names them all.
TrainOrigin origin_of(const Arguments& a, const Corpus& corpus) {
  const TrainOptions& o = a.train;
  const fs::path whole = fs::path(a.model) / "model.safetensors";
  const fs::path index = fs::path(a.model) / "model.safetensors.index.json";
  return {o.data,
          corpus.info.made_from,
          o.kernels.kernels,
          o.kernels.threads,
          o.kernels.device,
          a.model,
          sha256_of_file(fs::exists(whole) ? whole : index)};
}

// A frozen base must be the same to the letter. What was trained as a whole has left it behind.
void check_base(const Arguments& a, const TrainOrigin& was, const TrainOrigin& is) {
  check(!a.is_lora() || was.base_sha256 == is.base_sha256, [&] {
    return fmt::format("--resume: {} is not the model that this training was started with",
                       a.model);
  });
}

void tune_whole(Arguments& a, const Corpus& corpus, const GptConfig& config, const Kernels& kernels,
                const std::optional<fs::path>& checkpoint, const TrainOrigin& origin,
                Clock::time_point begun) {
  TrainOptions& o = a.train;
  Gpt<Bfloat16> rounded;
  Gpt<float> model = make_models(o, config, kernels, rounded);
  Session s{o, corpus, model,
            make_trainer(model, o.settings, o.settings.dtype == "bf16" ? &rounded : nullptr)};
  s.start = begun;
  run_session(s, checkpoint, origin, [&] { load_parameters(model, a.model); });
}

std::string plan_of(const Arguments& a, const AdapterLayout& layout, const GptConfig& config) {
  const double share = 100.0 * static_cast<double>(layout.parameters()) /
                       static_cast<double>(parameter_ledger(config).total);
  return fmt::format("rank {}, alpha {} on {} linear layers: {} parameters ({:.1f}%); {} is frozen",
                     layout.rank, a.lora.alpha, layout.parts.size(),
                     short_number(static_cast<double>(layout.parameters())), share, a.model);
}

void tune_adapter(Arguments& a, const Corpus& corpus, const GptConfig& config,
                  const Kernels& kernels, const std::optional<fs::path>& checkpoint,
                  const TrainOrigin& origin, Clock::time_point begun) {
  TrainOptions& o = a.train;
  const TrainSettings& t = o.settings;
  const AdapterLayout layout = lora_layout(a.lora, config);
  const int rows = t.batch * t.time;
  check_memory(kernels.memory,
               memory_ledger(config, kernels.ops, Purpose::adapting, t.batch, t.time).total +
                   adapter_ledger(layout, config, kernels.ops, Purpose::adapting, rows).total,
               "this training",
               "choose a smaller --batch (and a larger --accumulate), --rank or model");
  Gpt<float> model =
      make_gpt(config, kernels.ops, kernels.memory, Purpose::adapting, t.batch, t.time);
  load_parameters(model, a.model);
  Adapter<float> adapter = make_adapter(layout, model, rows);
  model.adapter = &adapter;
  Session s{o, corpus, model, make_trainer(model, t)};
  s.start = begun;
  a.lora.base = a.model;
  s.product = adapter_product(adapter, a.lora, config);
  s.adapter_plan = plan_of(a, layout, config);
  run_session(s, checkpoint, origin, [&] { init_adapter(adapter, t.seed); });
}

void run(const CLI::App& command, Arguments& a) {
  const auto begun = Clock::now();
  check_arguments(command, a);
  complete_options(command, a.train);
  Product product;
  if (a.is_lora()) {
    product.config = "adapter_config.json";
    product.weights = "adapter_model.safetensors";
  }
  const std::optional<fs::path> checkpoint = find_checkpoint(a.train, product);
  std::optional<CheckpointInfo> stored;
  if (checkpoint) {
    check(fs::exists(*checkpoint / product.config), [&] {
      return fmt::format("--resume: {} is no training with --method {}", a.train.out, a.method);
    });
    stored = read_checkpoint_info(*checkpoint);
    take_settings(command, a.train, *stored);
    if (a.is_lora()) take_lora(command, a.lora, *checkpoint);
    if (!is_given(command, "--model") && !stored->origin.base.empty())
      a.model = stored->origin.base;
  }
  a.train.kernels.matmul_precision = a.train.settings.matmul_precision;
  const Kernels kernels = choose_kernels(a.train.kernels);
  const Corpus corpus(a.train.data);
  const GptConfig config = prepare_config(a, corpus);
  const TrainOrigin origin = origin_of(a, corpus);
  if (stored) {
    check_origin(a.train, stored->origin, origin);
    check_base(a, stored->origin, origin);
  }
  if (a.is_lora()) tune_adapter(a, corpus, config, kernels, checkpoint, origin, begun);
  else tune_whole(a, corpus, config, kernels, checkpoint, origin, begun);
}

}  // namespace

void add_finetune_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("finetune", "Train a trained model further, on another corpus");
  const auto a = std::make_shared<Arguments>();
  a->train.data = "data/tinytales-letters";
  a->train.out = "models/tuned";
  a->train.settings.time = 0;  // the model's context
  a->train.settings.steps = 500;
  a->train.settings.weight_decay = 0;
  command->add_option("--model", a->model, "The model to start from")->capture_default_str();
  command->add_option("--data", a->train.data, "A corpus with the same tokenizer")
      ->capture_default_str();
  command->add_option("--out", a->train.out, "Folder of the adapter, or of the new model")
      ->capture_default_str();
  command
      ->add_option("--method", a->method,
                   "lora: a small adapter, and the model stays as it is; full: all weights")
      ->capture_default_str();
  command->add_option("--rank", a->lora.rank, "lora: inner width of the adapter")
      ->capture_default_str();
  command->add_option("--alpha", a->lora.alpha,
                      "lora: the adapter counts alpha / rank times (default: twice the rank)");
  command->add_option("--dropout", a->lora.dropout, "lora: of the adapter's input")
      ->capture_default_str();
  command
      ->add_option("--targets", a->lora.targets,
                   "lora: layers to adapt, as Hugging Face calls them, such as q_proj,v_proj or "
                   "c_attn (default: all linear layers of the blocks)")
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  add_session_options(*command, a->train);
  command->callback([command, a] { run(*command, *a); });
}

}  // namespace tinygpt::cli
