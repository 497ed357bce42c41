#include "tinygpt/simt/launch.h"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <numeric>
#include <optional>

#include "tinygpt/core/error.h"
#include "tinygpt/simt/block.h"
#include "tinygpt/simt/check.h"
#include "tinygpt/simt/checker.h"
#include "tinygpt/simt/device.h"
#include "tinygpt/simt/profiler.h"

namespace tinygpt::simt {
namespace {

uint3 block_of(const dim3& grid, std::uint64_t i) {
  return {static_cast<unsigned>(i % grid.x), static_cast<unsigned>(i / grid.x % grid.y),
          static_cast<unsigned>(i / grid.x / grid.y)};
}

Report launch_report(const Task& task, Fault fault, const std::string& message) {
  Report report;
  report.fault = fault;
  report.message = message;
  report.kernel = task.kernel;
  report.at = {task.where.file_name(), static_cast<int>(task.where.line()), {}, {}};
  return report;
}

// What a device would refuse to launch.
std::optional<Report> refusal(const Task& task) {
  const dim3 b = task.block, g = task.grid;
  const std::uint64_t threads = std::uint64_t{b.x} * b.y * b.z;
  const bool too_large = b.x > kMaxBlockX || b.y > kMaxBlockY || b.z > kMaxBlockZ;
  if (threads == 0 || threads > kMaxThreads || too_large) {
    return launch_report(task, Fault::launch_shape,
                         fmt::format("a block of {} x {} x {} threads; the device takes 1 to {}",
                                     b.x, b.y, b.z, kMaxThreads));
  }
  if (g.x == 0 || g.y == 0 || g.z == 0 || g.x > kMaxGridX || g.y > kMaxGridYZ || g.z > kMaxGridYZ) {
    return launch_report(task, Fault::launch_shape,
                         fmt::format("a grid of {} x {} x {} blocks", g.x, g.y, g.z));
  }
  const std::size_t allowed = std::max(kSharedDefault, allowed_dynamic_shared());
  if (task.dynamic_shared > allowed) {
    return launch_report(task, Fault::shared_size,
                         fmt::format("{} bytes of dynamic shared memory; without "
                                     "cudaFuncSetAttribute a block has {}, and with it {}",
                                     task.dynamic_shared, kSharedDefault, limits().shared_opt_in));
  }
  return std::nullopt;
}

// Blocks over the CPU's cores, in no particular order.
void run_fast(const Task& task) {
  const std::uint64_t blocks = std::uint64_t{task.grid.x} * task.grid.y * task.grid.z;
  std::atomic<std::uint64_t> next{0};
  std::optional<Report> failure;
  const auto work = [&] {
    BlockRunner& runner = block_runner();
    runner.prepare(task, nullptr);
    for (std::uint64_t i; (i = next.fetch_add(1)) < blocks;) {
      if (runner.run(block_of(task.grid, i))) continue;
      next = blocks;  // the others stop too
#pragma omp critical(tinygpt_simt_failure)
      if (!failure) failure = runner.failure();
    }
  };
  const int workers = static_cast<int>(
      std::min<std::uint64_t>(blocks, static_cast<std::uint64_t>(omp_get_max_threads())));
  if (workers <= 1) {
    work();
  } else {
#pragma omp parallel num_threads(workers)
    work();
  }
  if (failure) throw Error(describe(*failure), task.where);
}

// One block after another, so that the checker's tables need no locks and a seed fixes everything.
void run_checked(const Task& task) {
  const std::uint64_t blocks = std::uint64_t{task.grid.x} * task.grid.y * task.grid.z;
  std::optional<Profiler> profiler;
  if (Profiling* const profiling = current_profiling()) profiler.emplace(task, *profiling);
  Checker checker(task, check_seed(), profiler ? &*profiler : nullptr);
  BlockRunner& runner = block_runner();
  runner.prepare(task, &checker);
  const BlockOrder order(blocks, check_seed());
  for (std::uint64_t i = 0; i < blocks; ++i) {
    if (runner.run(block_of(task.grid, order.at(i)))) continue;
    checker.found(runner.failure());
    device().last_error = cudaErrorIllegalAddress;
    break;
  }
  if (profiler) profiler->finish();
  checker.deliver_all();
}

}  // namespace

void run_grid(const Task& task) {
  tell_of_unchecked_launch();
  if (const auto refused = refusal(task)) {
    Device& d = device();
    d.last_error = cudaErrorInvalidConfiguration;
    d.refused = *refused;
    d.refused_checked = task.checked;
    if (task.checked) deliver(*refused);
    return;
  }
  if (task.checked) {
    run_checked(task);
  } else {
    ++device().unchecked_launches;
    run_fast(task);
  }
}

}  // namespace tinygpt::simt
