#include "tinygpt/simt/shadow.h"

namespace tinygpt::simt {

void mark_written(Allocation&, const void*, std::size_t) {}
bool written(const Allocation&, const void*, std::size_t) { return true; }

}  // namespace tinygpt::simt
