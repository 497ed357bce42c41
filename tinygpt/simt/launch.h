// What kernel<<<grid, block, shared, stream>>>(arguments) becomes.
#pragma once

#include <cstddef>
#include <source_location>
#include <string>
#include <tuple>

#include "tinygpt/simt/host/kernel.h"
#include "tinygpt/simt/host/runtime.h"

namespace tinygpt::simt {

// A kernel with its arguments, ready to be run by every thread of a grid.
struct Task {
  const char* kernel;          // as the source spells it
  std::source_location where;  // of the launch
  bool checked;                // compiled with instrumentation
  dim3 grid, block;
  std::size_t dynamic_shared;
  void (*run)(const void* closure);
  const void* closure;  // function and arguments: the kernel's parameter space
  std::size_t closure_bytes;
};

// Runs the grid and returns when it is done. What CUDA would report through cudaGetLastError is
// reported so; what would hang or be undefined on a device throws Error.
void run_grid(const Task& task);

template <class F, class... Arguments>
struct Closure {
  F function;
  std::tuple<Arguments...> arguments;
  static void run(const void* self) {
    const auto& closure = *static_cast<const Closure*>(self);
    std::apply(closure.function, closure.arguments);
  }
};

// `kernel<A><<<grid, block>>>(x, y)` is rewritten to
// `Launch(grid, block)("kernel<A>", [=](auto... p) { kernel<A>(p...); })(x, y)`.
class Launch {
 public:
  Launch(dim3 grid, dim3 block, std::size_t shared = 0, cudaStream_t = nullptr,
         std::source_location where = std::source_location::current())
      : grid_(grid), block_(block), shared_(shared), where_(where) {}

  template <class F>
  auto operator()(const char* name, F function) const {
    return [=, *this](auto... arguments) {
      const Closure<F, decltype(arguments)...> closure{function, {arguments...}};
      run_grid({name, where_, TINYGPT_SIMT_IS_CHECKED, grid_, block_, shared_, &closure.run,
                &closure, sizeof(closure)});
    };
  }

 private:
  dim3 grid_, block_;
  std::size_t shared_;
  std::source_location where_;
};

}  // namespace tinygpt::simt
