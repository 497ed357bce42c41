// What is known of every byte of device memory: whether it was written, by whom it was last
// written and read.
#pragma once

#include <cstddef>

#include "tinygpt/simt/device.h"

namespace tinygpt::simt {

struct Shadow {};

// The host wrote, or a copy did.
void mark_written(Allocation& allocation, const void* data, std::size_t bytes);
// Whether all of it was written by someone, or may have been by a kernel that was not checked.
bool written(const Allocation& allocation, const void* data, std::size_t bytes);

}  // namespace tinygpt::simt
