// The tinygpt command.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>

#include "tinygpt/cli/commands.h"
#include "tinygpt/core/error.h"

namespace {

// Bad input: one line on standard error that says what to do.
int fail(const char* what) {
  fmt::print(stderr, "tinygpt: {}\n", what);
  return 2;
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
  tinygpt::cli::add_generate_command(app);
  tinygpt::cli::add_info_command(app);
  tinygpt::cli::add_bench_command(app);
  try {
    app.parse(argc, argv);
    return std::fflush(stdout) == 0 ? 0 : fail("standard output cannot be written");
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::RuntimeError& ended) {
    return ended.get_exit_code();  // a command that has said what there is to say
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr,
               "tinygpt: {} (tinygpt --help lists the commands, and tinygpt COMMAND --help "
               "its options)\n",
               error.what());
    return 2;
  } catch (const std::bad_alloc&) {
    return fail("not enough memory");
  } catch (const std::exception& error) {
    return fail(error.what());
  }
}
