// What the engine's two files share.
#pragma once

#include "tinygpt/infer/engine.h"

namespace tinygpt {

// Floats of scratch that a pass over `rows` tokens may use.
template <class Real>
std::int64_t pass_scratch(const ModelWeights<Real>& weights, const EngineSettings& settings,
                          int rows);

// Whether the host can read what is there: no copy is needed.
inline bool is_host(const Memory& memory) { return memory.allocate == host_memory().allocate; }

}  // namespace tinygpt
