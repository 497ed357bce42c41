// tinygpt quantize: a model in eight or in four bits.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "tinygpt/adapt/calibration.h"
#include "tinygpt/adapt/quantize.h"
#include "tinygpt/cli/checks.h"
#include "tinygpt/cli/commands.h"
#include "tinygpt/cli/kernels.h"
#include "tinygpt/cli/model_source.h"
#include "tinygpt/cli/terminal.h"
#include "tinygpt/core/error.h"
#include "tinygpt/io/tokenizer_json.h"
#include "tinygpt/model/folder.h"
#include "tinygpt/text/unicode.h"

namespace tinygpt::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::string model = "models/demo";
  std::string method;
  std::string out;
  std::string calibration;
  int sequences = 128;
  int context = 0;  // 0: the model's
  int batch = 8;
  std::uint64_t seed = 1;
  int group = 32;
  bool asymmetric = false;
  std::string scales;  // empty: what suits the method
  double damping = 0.01;
  std::string order = "activation";
  std::string embedding = "q8_0";
  bool overwrite = false;
  bool json = false;
  int threads = 0;
};

template <class T>
T choice(const std::map<std::string, T>& choices, const std::string& option,
         const std::string& name) {
  const auto found = choices.find(name);
  std::string known;
  for (const auto& [key, value] : choices) known += (known.empty() ? "" : ", ") + key;
  check(found != choices.end(),
        [&] { return fmt::format("{}: there is no '{}'; there are: {}", option, name, known); });
  return found->second;
}

QuantizeSettings settings_of(const Arguments& a) {
  QuantizeSettings s;
  s.method = choice<QuantizeMethod>({{"q8_0", QuantizeMethod::q8_0},
                                     {"q4_0", QuantizeMethod::nearest},
                                     {"gptq", QuantizeMethod::gptq},
                                     {"awq", QuantizeMethod::awq}},
                                    "--method", a.method);
  check(a.group >= 0 && a.damping > 0, "--group must be at least 0, --damping greater than 0");
  const bool eight = s.method == QuantizeMethod::q8_0;
  s.format = {eight ? 8 : 4, a.group, !a.asymmetric};
  s.rule = a.scales.empty() ? usual_rule(s.method)
                            : choice<ScaleRule>({{"absmax", ScaleRule::absmax},
                                                 {"searched", ScaleRule::searched},
                                                 {"outputs", ScaleRule::outputs}},
                                                "--scales", a.scales);
  // ggml's blocks of 8 bits are one format of many: the others are rounded to nearest as well.
  if (eight && (s.format != GroupFormat{8, 32, true} || s.rule != ScaleRule::absmax)) {
    s.method = QuantizeMethod::nearest;
  }
  s.damping = a.damping;
  s.activation_order = choice<bool>({{"activation", true}, {"natural", false}}, "--order", a.order);
  s.table =
      choice<GgufType>({{"f16", GgufType::f16}, {"q8_0", GgufType::q8_0}, {"q4_0", GgufType::q4_0}},
                       "--embedding", a.embedding);
  check(needs_calibration(s) || s.rule != ScaleRule::outputs || !a.calibration.empty(),
        "--scales outputs judges by what the layers see of a text: --calibration names one");
  check(!needs_calibration(s) || !a.calibration.empty(), [&] {
    return fmt::format(
        "--method {} rounds by what the layers see of a text: --calibration names "
        "one, a prepared corpus or a file",
        a.method);
  });
  return s;
}

// Whether the result is one GGUF file; else it is a folder of floats that were rounded.
bool is_file(const Arguments& a) { return fs::path(a.out).extension() == ".gguf"; }

void check_out(const Arguments& a, const QuantizeSettings& s) {
  check(!a.out.empty(), "--out: name the file to write, such as model.gguf");
  if (!is_file(a)) {
    check(a.overwrite || !fs::exists(fs::path(a.out) / "config.json"), [&] {
      return fmt::format("--out {}: there is a model already; --overwrite replaces it", a.out);
    });
    return;
  }
  check(!fs::is_directory(a.out), [&] { return fmt::format("--out {}: is a folder", a.out); });
  check(s.method == QuantizeMethod::q8_0 || s.format == GroupFormat{}, [&] {
    return fmt::format(
        "--out {}: GGUF's Q4_0 and Q8_0 are symmetric in groups of 32, and Q8_0's scales are "
        "absmax; another --out than *.gguf is a folder of rounded floats, which can hold any "
        "format",
        a.out);
  });
}

// The calibration text's windows; empty where none was asked for.
std::vector<int> calibration_tokens(const Arguments& a, const ModelSource& source, int T) {
  if (a.calibration.empty()) return {};
  check(a.sequences >= 1, "--sequences: must be at least 1");
  const TokenText text = open_text(a.calibration, Split::train, source.tokenizer);
  return draw_windows(*text.tokens, a.sequences, T, text.boundary_for(T),
                      Random{a.seed, 0, 0x63616C69});  // "cali"
}

class Progress {
 public:
  explicit Progress(bool quiet) : quiet_(quiet) {}
  void operator()(double share, const std::string& name) {
    if (was_interrupted()) throw CLI::RuntimeError(130);
    if (quiet_) return;
    const double spent = std::chrono::duration<double>(Clock::now() - start_).count();
    const std::string left =
        share > 0.02 ? duration(spent / share * (1 - share)) + " left" : "measuring";
    status_.show(fmt::format("{:3.0f}%  {}  {}", 100 * share, name, left));
  }
  double finish() {
    status_.clear();
    return std::chrono::duration<double>(Clock::now() - start_).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  bool quiet_;
  Clock::time_point start_ = Clock::now();
  StatusLine status_;
};

void print_json(const Arguments& a, const QuantizedModel& q, std::int64_t before, double seconds) {
  nlohmann::ordered_json j = {{"method", a.method},
                              {"out", replace_invalid_utf8(a.out)},
                              {"bytes", q.bytes},
                              {"float_bytes", before},
                              {"seconds", seconds}};
  for (const MatrixReport& r : q.matrices) {
    nlohmann::ordered_json m = {{"name", r.name},
                                {"values", r.values},
                                {"bytes", r.bytes},
                                {"weight_error", r.weight_error}};
    if (r.output_error >= 0) m["output_error"] = r.output_error;
    if (r.alpha >= 0) m["alpha"] = r.alpha;
    j["matrices"].push_back(m);
  }
  fmt::print("{}\n", j.dump());
}

void print_table(const Arguments& a, const QuantizedModel& q, std::int64_t before, double seconds) {
  fmt::print("{:<24} {:>9} {:>10}  {:>9}  {:>9}\n", "matrix", "values", "bytes", "weights",
             "outputs");
  for (const MatrixReport& r : q.matrices) {
    fmt::print("{:<24} {:>9} {:>10}  {:>8.3f}%  {:>9}{}\n", r.name,
               short_number(static_cast<double>(r.values)), r.bytes, 100 * r.weight_error,
               r.output_error < 0 ? "-" : fmt::format("{:.3f}%", 100 * r.output_error),
               r.alpha < 0 ? "" : fmt::format("  alpha {:.2f}", r.alpha));
  }
  fmt::print("Wrote {}: {:.2f} MB of parameters instead of {:.2f} MB, in {}\n", a.out,
             static_cast<double>(q.bytes) * 1e-6, static_cast<double>(before) * 1e-6,
             duration(seconds));
  fmt::print("(errors: squared, as a share of the squares of the weights or of the outputs)\n");
}

void save(const Arguments& a, const Gpt<float>& model, const ModelSource& source,
          const QuantizedModel& q, const QuantizeSettings& s) {
  if (!is_file(a)) {
    return save_folder(model, tokenizer_to_json(source.tokenizer), a.out);
  }
  const std::string name = fs::path(a.out).stem().string();
  const GgufType type = s.method == QuantizeMethod::q8_0 ? GgufType::q8_0 : GgufType::q4_0;
  save_gguf(model, source.tokenizer, name, type, a.out, q.encoded);
}

void run(const Arguments& a) {
  const QuantizeSettings s = settings_of(a);
  check_out(a, s);
  check(a.batch >= 1, "--batch: must be at least 1");
  KernelChoice cpu{"", a.threads, "cpu"};
  const Kernels kernels = choose_kernels(cpu);
  const ModelSource source = open_model(a.model);
  const int T = a.context > 0 ? a.context : source.config.context_length;
  check(a.context >= 0 && T <= source.config.context_length, [&] {
    return fmt::format("--context {}: the model sees {} tokens", a.context,
                       source.config.context_length);
  });
  const std::vector<int> tokens = calibration_tokens(a, source, T);
  check_memory(kernels.memory,
               memory_ledger(source.config, kernels.ops, Purpose::inference, a.batch, T).total,
               a.model, "choose a smaller --batch or --context");
  Gpt<float> model =
      make_gpt(source.config, kernels.ops, kernels.memory, Purpose::inference, a.batch, T);
  load_weights(model, source);
  catch_interrupts();
  Progress progress(a.json);
  const QuantizedModel q = quantize_model(model, tokens, T, s, std::ref(progress));
  const double seconds = progress.finish();
  save(a, model, source, q, s);
  const std::int64_t before = parameter_ledger(source.config).total * std::int64_t{sizeof(float)};
  if (a.json) print_json(a, q, before, seconds);
  else print_table(a, q, before, seconds);
}

void add_method_options(CLI::App& command, Arguments& a) {
  command
      .add_option("--method", a.method,
                  "q8_0 (8 bits), q4_0 (4 bits), gptq or awq (4 bits, by a calibration text)")
      ->required();
  command.add_option("--calibration", a.calibration,
                     "A prepared corpus (its training split), or a file of text");
  command.add_option("--sequences", a.sequences, "Windows of the calibration text")
      ->capture_default_str();
  command.add_option("--context", a.context,
                     "Tokens in a window (default: as many as the model sees)");
  command.add_option("--batch", a.batch, "Windows in a pass")->capture_default_str();
  command.add_option("--group", a.group, "Weights that share a scale (0: a whole row)")
      ->capture_default_str();
  command.add_flag("--asymmetric", a.asymmetric, "Give each group a zero of its own");
  command.add_option("--scales", a.scales,
                     "absmax (nothing is clipped), searched (least error of the weights) or "
                     "outputs (of the layers' outputs) (default: searched for gptq, outputs for "
                     "awq, else absmax)");
  command.add_option("--damping", a.damping, "gptq: share of the Hessian's mean added to it")
      ->capture_default_str();
  command.add_option("--order", a.order, "gptq: columns by activation (largest first) or natural")
      ->capture_default_str();
  command.add_option("--embedding", a.embedding, "The embedding table's type: f16, q8_0 or q4_0")
      ->capture_default_str();
}

}  // namespace

void add_quantize_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("quantize", "Put a model's weights in 8 or in 4 bits");
  const auto a = std::make_shared<Arguments>();
  command->add_option("--model", a->model, "The model's folder, or a GGUF file")
      ->capture_default_str();
  add_method_options(*command, *a);
  command->add_option("--out", a->out,
                      "The file to write, *.gguf; any other name: a folder of rounded floats");
  command->add_flag("--overwrite", a->overwrite, "Replace a model's folder that is there");
  add_seed_option(*command, a->seed, "Which windows of the calibration text are read");
  command->add_option("--threads", a->threads, "0: as many as there are processors")
      ->capture_default_str();
  command->add_flag("--json", a->json, "Print one JSON object");
  command->callback([a] { run(*a); });
}

}  // namespace tinygpt::cli
