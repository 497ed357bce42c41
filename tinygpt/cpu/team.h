// A team of threads that stays awake from one operator to the next, for passes of a few tokens:
// fifty operators in two milliseconds.
//
// What OpenMP's loops do not do:
// - Threads that have nothing to do read ahead: they ask for the weights that the next product
//   begins with, which memory would otherwise not deliver while the leader normalizes, rotates and
//   attends.
// - Whoever is done takes over what others have not begun.
// - In a product the leader does not wait for a thread that the system has taken off its core: it
//   computes that thread's piece itself. Threads work on copies of the inputs and put results in
//   place only if the piece is still theirs.
//
// Measured on two cores of Zen 5 with 110M LLaMA, against OpenMP's loops. With little else on the
// cores, an earlier form that shared out in this way decoded 6% faster in Q8_0 and 9% in Q4_0; what
// reading ahead adds was no clearer than the noise. Beside compilers that kept both cores busy,
// this form: 168 to 266 tokens/s in Q8_0 where OpenMP's loops made 5 to 67.
#pragma once

#include <cstdint>
#include <type_traits>

#include "tinygpt/ops/pass.h"

namespace tinygpt::cpu {

// A pass of fewer multiplications (some 100 microseconds on one core) gets no team: it would wait
// longer for its threads than it computes where the machine does other things, too.
inline constexpr std::int64_t kAwakeMultiplications = std::int64_t{1} << 22;

KeepAwake keep_awake;
ReadAhead read_ahead;

// Whether the calling thread leads a team that is awake.
bool leads_team();

// The calling thread's number among those that share its work, in an awake team or in OpenMP's.
int thread_number();

namespace detail {

// Work that is cut into chunks. The functions get `context`, or a copy of it.
struct Job {
  const void* context;
  std::int64_t context_bytes;
  std::int64_t chunks;
  // Does a chunk, and is waited for: for work without `commit`.
  void (*run)(const void* context, std::int64_t chunk);
  // For work with it: `input` is read, by others than the leader from a copy, and `out` written,
  // which is the leader's place for results or one that `commit` copies there.
  const void* input = nullptr;
  std::int64_t input_bytes = 0;
  std::int64_t out_bytes = 0;
  void (*compute)(const void* context, const void* input, void* out, std::int64_t chunk) = nullptr;
  void (*commit)(const void* context, const void* out, std::int64_t chunk) = nullptr;
};

void run_job(const Job& job);

}  // namespace detail

inline constexpr std::int64_t kMostChunks = 0xffff;

// Calls work(chunk) for 0 .. chunks - 1 (at most kMostChunks) on the team that the calling thread
// leads.
template <class Work>
void run_chunks(std::int64_t chunks, const Work& work) {
  detail::run_job({&work, sizeof(Work), chunks, [](const void* context, std::int64_t chunk) {
                     (*static_cast<const Work*>(context))(chunk);
                   }});
}

// Sizes up to which a product can run so.
inline constexpr std::int64_t kMostInput = 64 * 1024, kMostOutput = 16 * 1024;

// The same for chunks that the leader takes over from threads that do not come to an end. Work is
// trivial to copy and has
//   void compute(const void* input, void* out, std::int64_t chunk) const;
//   void commit(const void* out, std::int64_t chunk) const;
// where `out` is nullptr for the leader, which writes to the place itself and does not commit.
// It may be called twice for a chunk, and must not read what another operator writes beside
// `input` (input_bytes <= kMostInput); out_bytes <= kMostOutput.
template <class Work>
void run_product(std::int64_t chunks, const Work& work, const void* input, std::int64_t input_bytes,
                 std::int64_t out_bytes) {
  static_assert(std::is_trivially_copyable_v<Work> && sizeof(Work) <= 256);
  detail::run_job({&work, sizeof(Work), chunks, nullptr, input, input_bytes, out_bytes,
                   [](const void* context, const void* in, void* out, std::int64_t chunk) {
                     static_cast<const Work*>(context)->compute(in, out, chunk);
                   },
                   [](const void* context, const void* out, std::int64_t chunk) {
                     static_cast<const Work*>(context)->commit(out, chunk);
                   }});
}

}  // namespace tinygpt::cpu
