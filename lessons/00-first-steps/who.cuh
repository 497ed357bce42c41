// A kernel that notes which thread had which element, and when.
#pragma once

namespace tinygpt::lesson_cuda {

// Launches `blocks` blocks of `threads` threads over n elements. All arrays are device memory.
//
// turn, block, thread [n]  written: the n-th to come, and who it was
// idle [1]                 in and out: threads without an element add 1
// counter [1]              in and out: 0 at first
void who(int* turn, int* block, int* thread, int* idle, int* counter, int n, int blocks,
         int threads);

}  // namespace tinygpt::lesson_cuda
