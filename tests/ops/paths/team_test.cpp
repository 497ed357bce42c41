// The team of threads that stays awake for a pass (tinygpt/cpu/team.h).
#include <omp.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/support/catch.h"
#include "tinygpt/cpu/parallel.h"

using namespace tinygpt::cpu;

namespace {

constexpr std::int64_t kLarge = kAwakeMultiplications;

constexpr int kRows = 1;

// Runs pass() on so many threads that stay awake.
template <class Pass>
void awake(int threads, Pass&& pass, int rows = kRows, std::int64_t multiplications = kLarge) {
  const int usual = omp_get_max_threads();
  omp_set_num_threads(threads);
  struct End {
    int threads;
    ~End() { omp_set_num_threads(threads); }
  } end{usual};
  keep_awake([](void* p) { (*static_cast<std::remove_reference_t<Pass>*>(p))(); }, &pass, rows,
             multiplications);
}

// Three times its input, with a delay where others than the leader compute. The leader waits until
// others have begun some chunks.
struct Triple {
  int* out;
  std::int64_t delay;  // microseconds
  std::atomic<int>* begun;
  int wanted = 0;

  void compute(const void* input, void* copy, std::int64_t chunk) const {
    const int value = static_cast<const int*>(input)[chunk % 16] * 3 + static_cast<int>(chunk);
    if (copy == nullptr) {
      for (int i = 0; i < 10'000 && *begun < wanted; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      out[chunk] = value;
      return;
    }
    *begun += 1;
    std::this_thread::sleep_for(std::chrono::microseconds(delay));
    *static_cast<int*>(copy) = value;
  }
  void commit(const void* copy, std::int64_t chunk) const {
    out[chunk] = *static_cast<const int*>(copy);
  }
};

}  // namespace

TEST_CASE("an awake team does every piece of every loop once", "[threads]") {
  for (const int threads : {2, 3, 5}) {
    awake(threads, [&] {
      REQUIRE(leads_team());
      for (const std::int64_t n : {1, 2, 7, 1000}) {
        for (int time = 0; time < 200; ++time) {
          std::vector<int> ranges(static_cast<std::size_t>(n)), tasks(ranges.size());
          parallel_ranges(n, 3, kParallelSteps, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t i = begin; i < end; ++i) ranges[static_cast<std::size_t>(i)] += 1;
          });
          parallel_tasks(n, kParallelSteps,
                         [&](std::int64_t i) { tasks[static_cast<std::size_t>(i)] += 1; });
          REQUIRE(ranges == std::vector<int>(ranges.size(), 1));
          REQUIRE(tasks == ranges);
        }
      }
    });
  }
}

TEST_CASE("a product is complete when the leader goes on, and stays as it is", "[threads]") {
  for (const int threads : {2, 3}) {
    for (const std::int64_t delay : {0, 30, 1000}) {
      std::atomic<int> begun{0};
      awake(threads, [&] {
        std::vector<int> input(16), out(64);
        for (int time = 0; time < 20; ++time) {
          // While another thread may be at what it began for the last product.
          for (int& x : input) x = time + static_cast<int>(&x - input.data());
          run_product(64, Triple{out.data(), delay, &begun, 1}, input.data(), 64, sizeof(int));
          for (int i = 0; i < 64; ++i) {
            REQUIRE(out[static_cast<std::size_t>(i)] == (time + i % 16) * 3 + i);
          }
        }
      });
    }
  }
}

TEST_CASE("the leader does the chunk of a thread that does not come to an end", "[threads]") {
  std::atomic<int> begun{0};
  awake(2, [&] {
    std::vector<int> input(16, 1), out(8);
    const auto start = std::chrono::steady_clock::now();
    run_product(8, Triple{out.data(), 1'000'000, &begun, 1}, input.data(), 64, sizeof(int));
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::milliseconds(900));
    CHECK(out == std::vector<int>{3, 4, 5, 6, 7, 8, 9, 10});
    out.assign(8, -1);
    std::this_thread::sleep_for(std::chrono::milliseconds(1200));  // it comes to its end
    CHECK(out == std::vector<int>(8, -1));
  });
  CHECK(begun == 1);
}

TEST_CASE("threads of an awake team that fell asleep are woken", "[threads]") {
  awake(2, [&] {
    std::set<std::thread::id> seen;
    std::mutex mutex;
    for (int time = 0; time < 20 && seen.size() < 2; ++time) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      parallel_tasks(2, kParallelSteps, [&](std::int64_t) {
        const std::lock_guard lock(mutex);
        seen.insert(std::this_thread::get_id());
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      });
    }
    CHECK(seen.size() == 2);
  });
}

TEST_CASE("an error in a pass leaves an awake team as one", "[threads]") {
  CHECK_THROWS_AS(awake(2, [] { throw std::runtime_error("in the pass"); }), std::runtime_error);
  CHECK(!leads_team());
}

TEST_CASE("no team is kept awake for a small pass, or one of many rows", "[threads]") {
  awake(
      2, [] { CHECK(!leads_team()); }, 1, kLarge - 1);
  awake(
      2, [] { CHECK(!leads_team()); }, 17);
  awake(1, [] { CHECK(!leads_team()); });
  awake(2, [] {
    awake(2, [&] { CHECK(leads_team()); });
    CHECK(leads_team());
  });
  CHECK(!leads_team());
}

TEST_CASE("reading ahead changes nothing, wherever it points", "[threads]") {
  const std::vector<char> weights(100'001, 'w');
  read_ahead(weights.data(), 17);  // nobody is awake
  awake(2, [&] {
    read_ahead(nullptr, 1 << 30);
    parallel_tasks(2, kParallelSteps, [](std::int64_t) {});
    read_ahead(weights.data(), static_cast<std::int64_t>(weights.size()));
    parallel_tasks(2, kParallelSteps, [](std::int64_t) {});
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  CHECK(weights == std::vector<char>(100'001, 'w'));
}
