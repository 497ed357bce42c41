// The tinygpt command.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <new>
#include <string>

#include "tinygpt/cli/commands.h"
#include "tinygpt/core/error.h"
#include "tinygpt/text/unicode.h"

namespace {

// Bad input: one line on standard error that says what to do. Names of files may hold anything.
int fail(const std::string& what) {
  std::string line = tinygpt::replace_controls(what);
  std::replace(line.begin(), line.end(), '\n', ' ');
  fmt::print(stderr, "tinygpt: {}\n", line);
  return 2;
}

// Without the standard library's "filesystem error: cannot ...".
std::string message_of(const std::filesystem::filesystem_error& error) {
  return fmt::format("{}: {}", error.path1().string(), error.code().message());
}

}  // namespace

int main(int argc, char** argv) {
  // A file that grows beyond the user's limit is an error like a full disk, not a sudden end.
  std::signal(SIGXFSZ, SIG_IGN);
  CLI::App app{"Build, train and run small GPTs."};
  app.name("tinygpt");
  app.require_subcommand(1);
  // Of an option that is given twice, the last counts: scripts add theirs behind a common part.
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  app.set_help_all_flag("--help-all", "The options of every command");
  tinygpt::cli::add_data_command(app);
  tinygpt::cli::add_tokenizer_command(app);
  tinygpt::cli::add_train_command(app);
  tinygpt::cli::add_finetune_command(app);
  tinygpt::cli::add_merge_command(app);
  tinygpt::cli::add_generate_command(app);
  tinygpt::cli::add_chat_command(app);
  tinygpt::cli::add_eval_command(app);
  tinygpt::cli::add_quantize_command(app);
  tinygpt::cli::add_export_command(app);
  tinygpt::cli::add_import_command(app);
  tinygpt::cli::add_info_command(app);
  tinygpt::cli::add_bench_command(app);
  tinygpt::cli::add_plot_command(app);
  try {
    app.parse(argc, argv);
    return std::fflush(stdout) == 0 ? 0 : fail("standard output cannot be written");
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::RuntimeError& ended) {
    return ended.get_exit_code();  // a command that has said what there is to say
  } catch (const CLI::ParseError& error) {
    return fail(fmt::format(
        "{} (tinygpt --help lists the commands, and tinygpt COMMAND --help its options)",
        error.what()));
  } catch (const std::bad_alloc&) {
    return fail("not enough memory");
  } catch (const std::filesystem::filesystem_error& error) {
    return fail(message_of(error));
  } catch (const std::exception& error) {
    return fail(error.what());
  }
}
