#include "tinygpt/cli/kernels.h"

#include <fmt/format.h>
#include <omp.h>

#include "solutions/table.h"
#include "tinygpt/core/error.h"
#include "tinygpt/cpu/table.h"

namespace tinygpt::cli {

void add_kernel_options(CLI::App& command, KernelChoice& choice) {
  command
      .add_option("--kernels", choice.kernels,
                  "cpu (fast), ref (clear), or a mixture such as cpu,softmax=ref")
      ->capture_default_str();
  command.add_option("--threads", choice.threads, "Threads (default: one for each processor)");
  command.add_option("--device", choice.device, "auto or cpu")->capture_default_str();
}

Ops<float> choose_kernels(KernelChoice& choice) {
  check(choice.device == "auto" || choice.device == "cpu", [&] {
    return fmt::format("--device: there is no '{}' in this build; there are: auto, cpu",
                       choice.device);
  });
  check(choice.threads >= 0 && choice.threads <= 1024, [&] {
    return fmt::format("--threads is {}: it must be between 1 and 1024", choice.threads);
  });
  if (choice.threads == 0) choice.threads = omp_get_num_procs();
  omp_set_num_threads(choice.threads);
  return mix_ops({{"ref", ref::ops()}, {"cpu", cpu::ops()}}, choice.kernels);
}

}  // namespace tinygpt::cli
