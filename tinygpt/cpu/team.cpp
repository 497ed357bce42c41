#include "tinygpt/cpu/team.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "tinygpt/core/buffer.h"
#include "tinygpt/core/error.h"
#include "tinygpt/cpu/few_rows.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace tinygpt::cpu {
namespace {

using detail::Job;

thread_local int worker = 0;  // of a team; 0 for every other thread

// What a thread has still to do of a job, in one word, so that everybody takes from it by
// comparing and exchanging: the chunks [begin, end) that nobody has begun, and how far the thread
// is with the one before them.
enum State : std::uint64_t { kIdle, kComputes, kCommits };

struct Share {
  std::uint64_t job, begin, end, state;  // 30, 16, 16 and 2 bits
};
constexpr std::uint64_t kJobMask = (std::uint64_t{1} << 30) - 1;

std::uint64_t pack(const Share& s) { return s.job << 34 | s.begin << 18 | s.end << 2 | s.state; }
Share unpack(std::uint64_t word) {
  return {word >> 34, word >> 18 & 0xffff, word >> 2 & 0xffff, word & 3};
}

struct alignas(64) Word {
  std::atomic<std::uint64_t> bits{0};

  Share load() const { return unpack(bits.load(std::memory_order_acquire)); }
  bool exchange(const Share& expected, const Share& desired) {
    std::uint64_t old = pack(expected);
    return bits.compare_exchange_strong(old, pack(desired), std::memory_order_acq_rel);
  }
};

struct Team {
  const int threads;
  std::vector<std::thread> workers;  // 1, 2, ..; the leader is 0
  std::unique_ptr<Word[]> shares;
  // What is run now. Written while the gate is closed and nobody inside.
  Job job{};
  std::uint64_t number = 0;
  // The job's number, whether it may be entered, and how many threads are inside.
  alignas(64) std::atomic<std::uint32_t> gate{0};
  std::atomic<std::int64_t> done{0};        // chunks
  std::atomic<std::uint32_t> computing{0};  // workers that have left the gate with their copies
  std::atomic<bool> over{false};
  // What the next product reads.
  alignas(64) std::atomic<const char*> next{nullptr};
  std::atomic<std::int64_t> next_bytes{0};

  explicit Team(int n);
  ~Team();
};

constexpr std::uint32_t kOpen = 256, kNumber = 512;  // of the gate; below kOpen: threads inside
constexpr int kMostThreads = 128;

// Pauses before a thread that waits falls asleep: a few tenths of a millisecond, longer than
// anything that the leader does alone. Woken threads come late where another program has the core.
constexpr int kPauses = 10'000;

// Pauses that the leader grants a worker, a few microseconds: a chunk takes one.
constexpr int kPatience = 100;

// What an idle thread asks for. Its level-2 cache has room for it beside the rest.
constexpr std::int64_t kAheadBytes = 256 * 1024;

void relax() {
#if defined(__SSE2__)
  _mm_pause();
#endif
}

// Asks for the lines that this thread's share of the next product begins with.
struct Reader {
  const char* data = nullptr;
  std::uintptr_t at = 0, end = 0;

  // A few lines; false where there is nothing to ask for.
  bool step(const Team& team, int thread) {
    const char* next = team.next.load(std::memory_order_relaxed);
    if (next != data) {
      data = next;
      const std::int64_t part = team.next_bytes.load(std::memory_order_relaxed) / team.threads;
      at = reinterpret_cast<std::uintptr_t>(data) + static_cast<std::uintptr_t>(part * thread);
      end = at + static_cast<std::uintptr_t>(std::min(part, kAheadBytes));
    }
    if (at >= end) return false;
    for (int i = 0; i < 4; ++i, at += 64) {
      __builtin_prefetch(reinterpret_cast<const char*>(at), 0, 2);
    }
    return true;
  }
};

// The next chunk for a thread, or -1: the first one of its own share, or else the last one of
// another's. The thread's own word says that it computes the chunk before its `begin`.
std::int64_t take_chunk(Team& team, std::uint64_t job, int thread) {
  Word& mine = team.shares[static_cast<std::size_t>(thread)];
  for (Share s = mine.load(); s.job == job && s.begin < s.end; s = mine.load()) {
    if (mine.exchange(s, {job, s.begin + 1, s.end, kComputes})) {
      return static_cast<std::int64_t>(s.begin);
    }
  }
  for (int i = 1; i < team.threads; ++i) {
    Word& other = team.shares[static_cast<std::size_t>((thread + i) % team.threads)];
    for (Share s = other.load(); s.job == job && s.begin < s.end; s = other.load()) {
      if (!other.exchange(s, {job, s.begin, s.end - 1, s.state})) continue;
      // The job waits for this chunk, so the word, which has nothing left, is the thread's own.
      mine.bits.store(pack({job, s.end, s.end, kComputes}), std::memory_order_release);
      return static_cast<std::int64_t>(s.end) - 1;
    }
  }
  return -1;
}

// Whether a computed chunk is still the thread's to put in place.
bool may_commit(Word& mine, std::uint64_t job) {
  for (Share s = mine.load(); s.job == job && s.state == kComputes; s = mine.load()) {
    if (mine.exchange(s, {job, s.begin, s.end, kCommits})) return true;
  }
  return false;
}

// A worker's copies: what it reads and writes may be behind the times.
struct Copies {
  Buffer<std::byte> context{256}, input{kMostInput}, out{kMostOutput};
};

void leave(Team& team) {
  team.gate.fetch_sub(1, std::memory_order_acq_rel);
  team.gate.notify_all();
}

// Does chunks until there are none. The worker is inside of the gate.
void join_in(Team& team, int thread, Copies& copies) {
  const Job job = team.job;
  const std::uint64_t number = team.number;
  if (job.commit == nullptr) {
    for (std::int64_t i = take_chunk(team, number, thread); i >= 0;
         i = take_chunk(team, number, thread)) {
      job.run(job.context, i);
    }
    return leave(team);
  }
  std::memcpy(copies.context.data(), job.context, static_cast<std::size_t>(job.context_bytes));
  std::memcpy(copies.input.data(), job.input, static_cast<std::size_t>(job.input_bytes));
  team.computing.fetch_add(1, std::memory_order_acq_rel);
  leave(team);
  Word& mine = team.shares[static_cast<std::size_t>(thread)];
  for (std::int64_t i = take_chunk(team, number, thread); i >= 0;
       i = take_chunk(team, number, thread)) {
    job.compute(copies.context.data(), copies.input.data(), copies.out.data(), i);
    if (!may_commit(mine, number)) break;  // the leader does it
    job.commit(copies.context.data(), copies.out.data(), i);
    team.done.fetch_add(1, std::memory_order_acq_rel);
  }
  team.computing.fetch_sub(1, std::memory_order_acq_rel);
  team.computing.notify_all();
}

void wait_for_gate(Team& team, std::uint32_t seen, Reader& reader, int thread) {
  for (int i = 0; i < kPauses;) {
    if (team.gate.load(std::memory_order_acquire) != seen) return;
    if (!reader.step(team, thread)) {
      relax();
      ++i;
    }
  }
  team.gate.wait(seen, std::memory_order_acquire);
}

void serve(Team& team, int thread) {
  worker = thread;
  Copies copies;
  Reader reader;
  std::uint32_t last = 0;  // number of the gate
  while (!team.over.load(std::memory_order_acquire)) {
    std::uint32_t gate = team.gate.load(std::memory_order_acquire);
    if ((gate & kOpen) == 0 || gate / kNumber == last) {
      wait_for_gate(team, gate, reader, thread);
    } else if (team.gate.compare_exchange_weak(gate, gate + 1, std::memory_order_acq_rel)) {
      last = gate / kNumber;
      join_in(team, thread, copies);
    }
  }
}

Team::Team(int n) : threads(n), shares(std::make_unique<Word[]>(static_cast<std::size_t>(n))) {
  for (int t = 1; t < threads; ++t) workers.emplace_back([this, t] { serve(*this, t); });
}

Team::~Team() {
  over.store(true, std::memory_order_release);
  gate.fetch_add(kNumber, std::memory_order_acq_rel);
  gate.notify_all();
  for (std::thread& thread : workers) thread.join();
}

struct Leader {
  std::unique_ptr<Team> team;
  bool awake = false;
};
thread_local Leader leader;

void share_out(Team& team, const Job& job) {
  const int threads = team.threads;
  for (int t = 0; t < threads; ++t) {
    const auto begin = static_cast<std::uint64_t>(job.chunks * t / threads);
    const auto end = static_cast<std::uint64_t>(job.chunks * (t + 1) / threads);
    team.shares[static_cast<std::size_t>(t)].bits.store(pack({team.number, begin, end, kIdle}),
                                                        std::memory_order_release);
  }
}

// Until all chunks are done. Workers get a little time for theirs; then the leader takes them over,
// but for those that are being put in place at this moment.
void finish(Team& team) {
  const Job& job = team.job;
  for (int i = 0; team.done.load(std::memory_order_acquire) < job.chunks; ++i) {
    if (i < kPatience) {
      relax();
      continue;
    }
    for (int t = 1; t < team.threads; ++t) {
      Word& word = team.shares[static_cast<std::size_t>(t)];
      const Share s = word.load();
      if (s.job != team.number || s.state != kComputes) continue;
      if (!word.exchange(s, {s.job, s.begin, s.end, kIdle})) continue;
      job.compute(job.context, job.input, nullptr, static_cast<std::int64_t>(s.begin) - 1);
      team.done.fetch_add(1, std::memory_order_acq_rel);
    }
  }
}

// Until nobody is counted below kOpen.
void wait_for_none(const std::atomic<std::uint32_t>& count) {
  for (int i = 0; true; ++i) {
    const std::uint32_t now = count.load(std::memory_order_acquire);
    if (now % kOpen == 0) return;
    if (i < kPauses) relax();
    else count.wait(now, std::memory_order_acquire);
  }
}

}  // namespace

bool leads_team() { return leader.awake; }

int thread_number() { return worker != 0 ? worker : omp_get_thread_num(); }

void read_ahead(const void* data, std::int64_t bytes) {
  if (!leader.awake) return;
  leader.team->next_bytes.store(bytes, std::memory_order_relaxed);
  leader.team->next.store(static_cast<const char*>(data), std::memory_order_relaxed);
}

void keep_awake(void (*pass)(void* context), void* context, int rows,
                std::int64_t multiplications) {
  const int threads = omp_get_max_threads();
  if (threads == 1 || threads > kMostThreads || rows > kFewRows ||
      multiplications < kAwakeMultiplications || leader.awake || omp_in_parallel() != 0) {
    pass(context);
    return;
  }
  if (leader.team == nullptr || leader.team->threads != threads) {
    leader.team = nullptr;  // its threads end
    leader.team = std::make_unique<Team>(threads);
  }
  leader.awake = true;
  struct End {
    ~End() {
      wait_for_none(leader.team->computing);  // nobody reads the weights any more
      leader.awake = false;
    }
  } end;
  pass(context);
}

namespace detail {

void run_job(const Job& job) {
  Team& team = *leader.team;
  check(job.chunks <= kMostChunks && job.input_bytes <= kMostInput && job.out_bytes <= kMostOutput,
        "run_job: too large");
  team.job = job;
  team.number = (team.number + 1) & kJobMask;
  team.done.store(0, std::memory_order_relaxed);
  share_out(team, job);
  const std::uint32_t number = team.gate.load(std::memory_order_relaxed) / kNumber + 1;
  team.gate.store(number * kNumber | kOpen, std::memory_order_release);
  team.gate.notify_all();
  for (std::int64_t i = take_chunk(team, team.number, 0); i >= 0;
       i = take_chunk(team, team.number, 0)) {
    if (job.commit == nullptr) {
      job.run(job.context, i);
    } else {
      job.compute(job.context, job.input, nullptr, i);
      team.done.fetch_add(1, std::memory_order_acq_rel);
    }
  }
  team.gate.fetch_and(~kOpen, std::memory_order_acq_rel);
  if (job.commit != nullptr) finish(team);
  wait_for_none(team.gate);
}

}  // namespace detail
}  // namespace tinygpt::cpu
