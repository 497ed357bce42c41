// The programs that scripts measure: tokenizers, and llama.cpp (bench/peers.py).
#pragma once

#include <string>

#include "bench/kernels.h"

namespace tinygpt::bench {

// Installs what is missing into the build folder and bench/.llama: the first time some minutes.
// Throws Error where that fails; the script has said why.
void set_up_peers(const std::string& build);

// Encoding with GPT-2's vocabulary beside tiktoken and tokenizers, writing and reading with 110M
// LLaMA beside llama.cpp. The script times this program's own commands, in turn with theirs.
void bench_peers(Report& report, const Settings& settings, const std::string& build);

}  // namespace tinygpt::bench
