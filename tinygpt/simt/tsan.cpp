// The functions that -fsanitize=thread calls before every load and store. The sanitizer's own
// library is not linked: these hand each access of a kernel to the checker, and ignore the host's.
#include <cstddef>
#include <cstring>

#include "tinygpt/simt/checker.h"

namespace {

using tinygpt::simt::AccessKind;

inline void access(const void* address, std::size_t bytes, std::size_t alignment, AccessKind kind,
                   const void* where) {
  auto& registers = tinygpt::simt::registers;
  if (registers.in_kernel && registers.checker) {
    registers.checker->access({address, bytes, alignment, kind, where});
  }
}

constexpr AccessKind kRead = AccessKind::read, kWrite = AccessKind::write;

}  // namespace

#define WHERE __builtin_return_address(0)

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}

void __tsan_read1(void* p) { access(p, 1, 1, kRead, WHERE); }
void __tsan_read2(void* p) { access(p, 2, 2, kRead, WHERE); }
void __tsan_read4(void* p) { access(p, 4, 4, kRead, WHERE); }
void __tsan_read8(void* p) { access(p, 8, 8, kRead, WHERE); }
void __tsan_read16(void* p) { access(p, 16, 16, kRead, WHERE); }
void __tsan_write1(void* p) { access(p, 1, 1, kWrite, WHERE); }
void __tsan_write2(void* p) { access(p, 2, 2, kWrite, WHERE); }
void __tsan_write4(void* p) { access(p, 4, 4, kWrite, WHERE); }
void __tsan_write8(void* p) { access(p, 8, 8, kWrite, WHERE); }
void __tsan_write16(void* p) { access(p, 16, 16, kWrite, WHERE); }

// Types that are packed: any alignment is theirs.
void __tsan_unaligned_read2(void* p) { access(p, 2, 1, kRead, WHERE); }
void __tsan_unaligned_read4(void* p) { access(p, 4, 1, kRead, WHERE); }
void __tsan_unaligned_read8(void* p) { access(p, 8, 1, kRead, WHERE); }
void __tsan_unaligned_read16(void* p) { access(p, 16, 1, kRead, WHERE); }
void __tsan_unaligned_write2(void* p) { access(p, 2, 1, kWrite, WHERE); }
void __tsan_unaligned_write4(void* p) { access(p, 4, 1, kWrite, WHERE); }
void __tsan_unaligned_write8(void* p) { access(p, 8, 1, kWrite, WHERE); }
void __tsan_unaligned_write16(void* p) { access(p, 16, 1, kWrite, WHERE); }

void __tsan_read_range(void* p, std::size_t n) { access(p, n, 1, kRead, WHERE); }
void __tsan_write_range(void* p, std::size_t n) { access(p, n, 1, kWrite, WHERE); }

// Later versions of clang call these for copies of whole objects.
void* __tsan_memcpy(void* to, const void* from, std::size_t n) {
  access(from, n, 1, kRead, WHERE);
  access(to, n, 1, kWrite, WHERE);
  return std::memcpy(to, from, n);
}
void* __tsan_memmove(void* to, const void* from, std::size_t n) {
  access(from, n, 1, kRead, WHERE);
  access(to, n, 1, kWrite, WHERE);
  return std::memmove(to, from, n);
}
void* __tsan_memset(void* to, int value, std::size_t n) {
  access(to, n, 1, kWrite, WHERE);
  return std::memset(to, value, n);
}
}
