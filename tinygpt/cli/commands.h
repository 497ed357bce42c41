// The subcommands of `tinygpt`, one file each; main.cpp adds them in this order.
#pragma once

namespace CLI {
class App;
}

namespace tinygpt::cli {

void add_data_command(CLI::App& app);
void add_tokenizer_command(CLI::App& app);
void add_train_command(CLI::App& app);
void add_finetune_command(CLI::App& app);
void add_merge_command(CLI::App& app);
void add_generate_command(CLI::App& app);
void add_chat_command(CLI::App& app);
void add_eval_command(CLI::App& app);
void add_quantize_command(CLI::App& app);
void add_export_command(CLI::App& app);
void add_import_command(CLI::App& app);
void add_info_command(CLI::App& app);
void add_bench_command(CLI::App& app);
void add_plot_command(CLI::App& app);

}  // namespace tinygpt::cli
