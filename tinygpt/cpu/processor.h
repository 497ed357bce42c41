// What the processor and the operating system support.
#pragma once

#include <string_view>

namespace tinygpt::cpu {

// Whether instructions of this name, which is the compiler's (-mavx2: "avx2"), can run here. Throws
// Error on a name that it does not know.
bool processor_has(std::string_view feature);

}  // namespace tinygpt::cpu
