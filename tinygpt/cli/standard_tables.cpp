#include "tinygpt/cli/kernels.h"

namespace tinygpt::cli {

std::vector<NamedOps> more_tables() { return {}; }

}  // namespace tinygpt::cli
