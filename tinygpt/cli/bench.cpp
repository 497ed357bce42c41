// tinygpt bench: how fast everything is, beside its peers and the machine's limits.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "bench/kernels.h"
#include "bench/peers.h"
#include "bench/products.h"
#include "tinygpt/cli/commands.h"
#include "tinygpt/cli/kernels.h"
#include "tinygpt/core/error.h"
#include "tinygpt/core/file.h"
#include "tinygpt/cpu/levels.h"
#include "tinygpt/cpu/peak.h"
#include "tinygpt/io/tokenizer_json.h"
#include "tinygpt/text/tinytales.h"

namespace tinygpt::cli {
namespace {

constexpr std::array kParts = {"matmul", "attention", "step", "generate", "tokenizer"};

struct Arguments {
  std::vector<std::string> only;  // of kParts; empty: all that concern the device
  std::string config = "nano-10m";
  int vocabulary = 256;
  std::string text;       // for the tokenizer; default: tinytales
  std::string tokenizer;  // a file or folder; default: one learned from the text
  std::string json;
  std::string dtype = "float";
  bool peers = false;
  bench::Settings settings;
  KernelChoice kernels;
};

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown processor";
}

// The folder with bin/ that this program runs from.
std::string build_folder() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path().string();
}

// PyTorch's interpreter: the one given, or that of the virtual environment in bench/.
std::string find_python(const std::string& given) {
  if (given == "none") return "";
  if (!given.empty()) return given;
  const std::string usual = "bench/.venv/bin/python";
  return ::access(usual.c_str(), X_OK) == 0 ? usual : "";
}

std::string tokenizer_text(const Arguments& a) {
  if (!a.text.empty()) return read_file(a.text, std::uint64_t{1} << 30);
  const Grammar grammar = parse_grammar(tinytales_grammar_text(), "datasets/tinytales.grammar");
  std::string text;
  for (const std::string& story : draw_stories(grammar, 1, 0, 5000)) text += story + "\n";
  return text;
}

std::optional<Tokenizer> tokenizer_of(const Arguments& a) {
  if (a.tokenizer.empty()) return std::nullopt;
  return std::filesystem::is_directory(a.tokenizer) ? load_folder_tokenizer(a.tokenizer)
                                                    : load_tokenizer(a.tokenizer);
}

void check_arguments(const Arguments& a) {
  for (const std::string& name : a.only) {
    check(std::find(kParts.begin(), kParts.end(), name) != kParts.end(), [&] {
      return fmt::format("--only: there is no '{}'; there are: {}", name, fmt::join(kParts, ", "));
    });
  }
  check(a.dtype == "float" || a.dtype == "bf16",
        [&] { return fmt::format("--dtype is '{}': it must be float or bf16", a.dtype); });
  if (!a.json.empty()) {
    const auto folder = std::filesystem::absolute(a.json).parent_path();
    check(::access(folder.c_str(), W_OK) == 0, [&] {
      return fmt::format("--json {}: nothing can be written to {}", a.json, folder.string());
    });
  }
  const bench::Settings& s = a.settings;
  check(s.batch >= 1 && s.time >= 1 && s.rounds >= 1 && s.rounds <= 1000,
        "--batch, --time and --rounds must be at least 1, and --rounds at most 1000");
}

// What the settings need of the device that was chosen.
void choose_device(Arguments& a) {
  const Kernels chosen = choose_kernels(a.kernels);
  bench::Settings& s = a.settings;
  s.device = a.kernels.device;
  s.memory = chosen.memory;
  KernelChoice reference = a.kernels;
  reference.kernels = s.on_host() ? "ref" : "ref_cuda";
  const Kernels clear = choose_kernels(reference);
  s.ops = chosen.ops;
  s.reference = clear.ops;
  s.bf16_ops = chosen.bf16_ops;
  s.bf16_reference = clear.bf16_ops;
  s.bf16 = a.dtype == "bf16";
  if (s.on_host() && a.kernels.kernels == "cpu") {
    KernelChoice rounded = a.kernels;
    rounded.matmul_precision = "bf16";
    s.bf16_product_ops = choose_kernels(rounded).ops;
  }
  check(!s.bf16 || s.bf16_ops.linear_forward != nullptr,
        "--dtype bf16 needs kernels for it, which the processor has not: --device cuda measures a "
        "GPU, --device emulated runs the CUDA kernels here, slowly");
  if (!s.on_host()) s.products = bench::device_products(s.device);
}

bench::Machine machine_of(const bench::Settings& s) {
  bench::Machine machine{processor_name(), s.device, s.threads, 0, 0, "g++ " __VERSION__, ""};
  if (s.on_host()) {
    machine.level = cpu::chosen_level();
    // A measurement lasts milliseconds, and a core that was idle may take longer to wake.
    for (int round = 0; round < 50; ++round) {
      const double gflops = cpu::measure_peak_flops(s.threads) * 1e-9;
      machine.peak_gflops = std::max(machine.peak_gflops, gflops);
    }
    machine.bandwidth_gbs = bench::measure_read_bandwidth(s.threads) * 1e-9;
  }
  return machine;
}

void run(Arguments& a) {
  check_arguments(a);
  choose_device(a);
  bench::Settings& s = a.settings;
  s.config = named_config(a.config);
  s.config.vocab_size = a.vocabulary;
  s.config.context_length = std::max(s.config.context_length, s.time);
  check_config(s.config);
  s.threads = a.kernels.threads;
  if (a.peers) {
    check(s.on_host(), "--peers: they are compared on the cpu; on a GPU, PyTorch alone (--python)");
    bench::set_up_peers(build_folder());
    if (s.python.empty()) s.python = build_folder() + "/interop/venv/bin/python";
  }
  s.python = find_python(s.python);
  std::signal(SIGPIPE, SIG_IGN);  // a peer that ends is reported, not died of
  const auto wanted = [&](const char* name) {
    if (a.only.empty()) return s.on_host() || std::string_view(name) != "tokenizer";
    return std::find(a.only.begin(), a.only.end(), name) != a.only.end();
  };
  bench::Report report;
  report.machine = machine_of(s);
  if (wanted("matmul")) bench_matmul(report, s);
  if (wanted("attention")) bench_attention(report, s);
  if (wanted("step")) bench_step(report, s);
  if (wanted("generate")) bench_generate(report, s);
  if (wanted("tokenizer")) {
    const std::optional<Tokenizer> given = tokenizer_of(a);
    bench_tokenizer(report, s, tokenizer_text(a), given ? &*given : nullptr);
  }
  if (a.peers) bench::bench_peers(report, s, build_folder());
  fmt::print("{}", to_table(report));
  if (s.python.empty() && wanted("step")) {
    fmt::print(
        "\nFor PyTorch beside it: python3 -m venv bench/.venv && bench/.venv/bin/pip install -r "
        "bench/requirements.txt\nFor all others, too: --peers, which installs them\n");
  }
  if (!a.json.empty()) write_file_atomically(a.json, to_json(report).dump(2) + "\n");
}

}  // namespace

void add_bench_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("bench", "Measure speed, beside other programs and the machine's limits");
  const auto a = std::make_shared<Arguments>();
  command->add_option("--only", a->only, fmt::format("{}", fmt::join(kParts, ", ")))
      ->delimiter(',');
  command->add_option("--config", a->config, "A named shape")->capture_default_str();
  command->add_option("--vocab-size", a->vocabulary, "Its vocabulary")->capture_default_str();
  command->add_option("--batch", a->settings.batch, "Sequences")->capture_default_str();
  command->add_option("--time", a->settings.time, "Tokens in a sequence")->capture_default_str();
  command
      ->add_option("--dtype", a->dtype,
                   "float, or bf16 on cuda and emulated: of all but the tokenizer")
      ->capture_default_str();
  command->add_option("--rounds", a->settings.rounds, "Measurements, of which the median counts")
      ->capture_default_str();
  command->add_option("--text", a->text, "Text for the tokenizer (default: tinytales)");
  command->add_option(
      "--tokenizer", a->tokenizer,
      "Encode with this one, a file or a folder (default: one learned from the text)");
  command->add_option("--python", a->settings.python,
                      "An interpreter with PyTorch (default: bench/.venv/bin/python), or none");
  command->add_flag("--peers", a->peers,
                    "Beside PyTorch, tiktoken, tokenizers and llama.cpp, which are installed once");
  command->add_option("--json", a->json, "Write the figures to this file, too");
  add_kernel_options(*command, a->kernels);
  command->callback([a] { run(*a); });
}

}  // namespace tinygpt::cli
