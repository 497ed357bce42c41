#include "tinygpt/cli/kernels.h"

#include <fmt/format.h>
#include <omp.h>

#include <map>

#include "solutions/table.h"
#include "solutions/table_cuda.h"
#include "tinygpt/core/error.h"
#include "tinygpt/cpu/table.h"
#include "tinygpt/cuda/table.h"
#include "tinygpt/simt/memory.h"

namespace tinygpt::cli {
namespace {

// Where kernels can run. The first table is the one to take where nothing else is asked for.
struct Device {
  std::string name;
  std::vector<NamedOps> tables;
  Memory memory;
  std::map<std::string, Ops<Bfloat16>> bf16_tables;
};

#if defined(TINYGPT_HAS_CUDA)
std::string gpu_problem() { return ref_cuda::unusable(); }
Device gpu() {
  return {"cuda",
          {{"cuda", cuda::ops()}, {"ref_cuda", ref_cuda::ops()}},
          simt::gpu_memory(),
          {{"cuda", cuda::bf16_ops()}, {"ref_cuda", ref_cuda::bf16_ops()}}};
}
#else
std::string gpu_problem() { return "this program was built without the CUDA toolkit"; }
Device gpu() { return {}; }
#endif

Device library_device(const std::string& name, bool bf16_products) {
  if (name == "cpu") {
    const Ops<float> fast = bf16_products ? cpu::bf16_product_ops() : cpu::ops();
    return {name, {{"cpu", fast}, {"ref", ref::ops()}}, host_memory(), {}};
  }
  if (name == "emulated") {
    return {name,
            {{"cuda", cuda_emulated::ops()}, {"ref_cuda", ref_cuda_emulated::ops()}},
            simt::emulated_memory(),
            {{"cuda", cuda_emulated::bf16_ops()}, {"ref_cuda", ref_cuda_emulated::bf16_ops()}}};
  }
  check(name == "cuda", [&] {
    return fmt::format("--device: there is no '{}'; there are: auto, cpu, cuda, emulated", name);
  });
  const std::string problem = gpu_problem();
  check(problem.empty(), [&] {
    return fmt::format(
        "--device cuda: {}: --device cpu computes on the processor, and --device emulated runs "
        "the CUDA kernels there, slowly",
        problem);
  });
  return gpu();
}

Device make_device(const std::string& name, bool bf16_products) {
  Device device = library_device(name, bf16_products);
  for (const MoreKernels& table : more_tables(name)) {
    device.tables.push_back({table.name, table.ops});
    if (name != "cpu") device.bf16_tables[table.name] = table.bf16_ops;
  }
  return device;
}

// The GPU, if there is one, unless kernels are asked for that run on the processor.
std::string automatic_device(const std::string& kernels) {
  const bool on_cpu = kernels == "cpu" || kernels.starts_with("cpu,") || kernels == "ref" ||
                      kernels.starts_with("ref,") || kernels == "mine" ||
                      kernels.starts_with("mine,");
  return !on_cpu && gpu_problem().empty() ? "cuda" : "cpu";
}

// Throws where the device or the kernels cannot do what --matmul-precision bf16 asks for.
void check_bf16_products(const KernelChoice& choice, const Ops<float>& ops) {
  check(choice.device == "cpu", [&] {
    return fmt::format(
        "--matmul-precision bf16 is for --device cpu: on {} it is --dtype bf16 that computes in "
        "bf16",
        choice.device);
  });
  check(ops.linear_forward == cpu::bf16_product_ops().linear_forward, [&] {
    return fmt::format(
        "--matmul-precision bf16 needs the linear layer of the kernels cpu: --kernels {} has "
        "another",
        choice.kernels);
  });
}

}  // namespace

void add_kernel_options(CLI::App& command, KernelChoice& choice) {
  command.add_option(
      "--kernels", choice.kernels,
      "On the cpu: cpu (fast), ref (clear), or a mixture such as cpu,softmax=ref; "
      "on cuda and emulated: cuda (fast) or ref_cuda (clear) (default: the device's fastest)");
  command.add_option("--threads", choice.threads, "Threads (default: one for each processor)");
  command
      .add_option("--device", choice.device,
                  "auto (a GPU where there is one), cpu, cuda, or emulated (CUDA kernels on the "
                  "processor: slow)")
      ->capture_default_str();
}

Kernels choose_kernels(KernelChoice& choice) {
  check(choice.threads >= 0 && choice.threads <= 1024, [&] {
    return fmt::format("--threads is {}: it must be between 1 and 1024", choice.threads);
  });
  if (choice.threads == 0) choice.threads = omp_get_num_procs();
  omp_set_num_threads(choice.threads);
  if (choice.device == "auto") choice.device = automatic_device(choice.kernels);
  const bool bf16_products = choice.matmul_precision == "bf16";
  const Device device = make_device(choice.device, bf16_products);
  if (choice.kernels.empty()) choice.kernels = device.tables[0].name;
  // Tables are mixed in float alone; in bf16 the one that is named first does it all.
  const auto bf16 = device.bf16_tables.find(choice.kernels.substr(0, choice.kernels.find(',')));
  const Ops<float> ops = mix_ops(device.tables, choice.kernels);
  if (bf16_products) check_bf16_products(choice, ops);
  return {ops, bf16 != device.bf16_tables.end() ? bf16->second : Ops<Bfloat16>{}, device.memory};
}

}  // namespace tinygpt::cli
