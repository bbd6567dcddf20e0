// The thread pool: every index once, ranges of the promised size, exceptions, nesting, several
// calling threads, changing thread counts, and an idle pool that uses no processor time.
#include "backend/cpu/parallel.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "core/deferred.h"

using namespace ampgrad::cpu;

namespace {

struct ThreadsScope {
  explicit ThreadsScope(int n) : previous(num_threads()) { set_num_threads(n); }
  ~ThreadsScope() { set_num_threads(previous); }
  int previous;
};

void check_cover(int64_t n, int64_t grain) {
  std::vector<std::atomic<int>> hits(static_cast<size_t>(n));
  std::atomic<bool> short_range{false};
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    if (end - begin < std::min(n, grain)) short_range = true;
    for (int64_t i = begin; i < end; ++i) hits[static_cast<size_t>(i)]++;
  });
  int64_t wrong = 0;
  for (auto& h : hits) wrong += h.load() != 1;
  CHECK(wrong == 0);
  CHECK_FALSE(short_range.load());
}

double cpu_seconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

TEST_CASE("parallel_for covers every index exactly once") {
  for (int threads : {1, 2, 3, 8}) {
    ThreadsScope scope(threads);
    for (int64_t n : {0, 1, 2, 3, 7, 31, 32, 33, 1000, 4099}) {
      for (int64_t grain : {0, 1, 2, 5, 64, 5000}) check_cover(n, grain);
    }
  }
}

TEST_CASE("parallel_for makes the same ranges each time for a thread count") {
  ThreadsScope scope(3);
  std::set<std::pair<int64_t, int64_t>> first;
  for (int round = 0; round < 20; ++round) {
    std::mutex mutex;
    std::set<std::pair<int64_t, int64_t>> ranges;
    parallel_for(1001, 10, [&](int64_t begin, int64_t end) {
      const std::lock_guard<std::mutex> lock(mutex);
      ranges.insert({begin, end});
    });
    if (round == 0) first = ranges;
    CHECK(ranges == first);
  }
  CHECK(first.size() > 1);
}

TEST_CASE("parallel_for uses several threads") {
  ThreadsScope scope(2);
  std::atomic<int> inside{0};
  std::atomic<bool> together{false};
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  parallel_for(2, 1, [&](int64_t, int64_t) {
    inside++;
    while (!together && std::chrono::steady_clock::now() < deadline) {
      if (inside.load() == 2) together = true;
      std::this_thread::yield();
    }
  });
  CHECK(together.load());
}

TEST_CASE("a thread takes what another one, held up in its first range, has left") {
  ThreadsScope scope(2);
  for (int64_t held : {0, 4}) {
    std::atomic<int> others{0};
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    parallel_for(8, 1, [&](int64_t begin, int64_t) {
      if (begin != held) {
        others++;
        return;
      }
      while (others < 7 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
      CHECK(others.load() == 7);
    });
  }
}

TEST_CASE("an exception in a range reaches the caller and the pool survives") {
  for (int threads : {1, 2, 4}) {
    ThreadsScope scope(threads);
    for (int64_t bad : {0, 57, 99}) {
      const auto run = [&] {
        parallel_for(100, 1, [&](int64_t begin, int64_t end) {
          if (begin <= bad && bad < end) throw std::runtime_error("range failed");
        });
      };
      CHECK_THROWS_WITH_AS(run(), "range failed", std::runtime_error);
      CHECK_FALSE(in_parallel_region());
      check_cover(100, 1);
    }
    CHECK_THROWS_AS(parallel_for(64, 1, [](int64_t, int64_t) { throw 1; }), int);
  }
}

TEST_CASE("a nested parallel_for runs serially on the thread that calls it") {
  ThreadsScope scope(4);
  std::atomic<int> foreign{0};
  std::atomic<int64_t> total{0};
  CHECK_FALSE(in_parallel_region());
  parallel_for(16, 1, [&](int64_t begin, int64_t end) {
    if (!in_parallel_region()) foreign++;
    const auto self = std::this_thread::get_id();
    for (int64_t i = begin; i < end; ++i) {
      parallel_for(1000, 1, [&](int64_t b, int64_t e) {
        if (std::this_thread::get_id() != self) foreign++;
        total += e - b;
      });
    }
  });
  CHECK(foreign.load() == 0);
  CHECK(total.load() == 16 * 1000);
  CHECK_FALSE(in_parallel_region());
}

TEST_CASE("several threads may call at once, while the thread count changes") {
  ThreadsScope scope(3);
  std::atomic<bool> wrong{false};
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&, t] {
      for (int round = 0; round < 2000; ++round) {
        std::atomic<int64_t> sum{0};
        parallel_for(64, 1, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) sum += i;
        });
        if (sum.load() != 64 * 63 / 2) wrong = true;
        if (t == 0) set_num_threads(1 + round % 5);
      }
    });
  }
  for (auto& caller : callers) caller.join();
  CHECK_FALSE(wrong.load());
}

TEST_CASE("set_num_threads clamps to at least one thread") {
  ThreadsScope scope(0);
  CHECK(num_threads() == 1);
  const auto self = std::this_thread::get_id();
  parallel_for(1000, 1, [&](int64_t, int64_t) { CHECK(std::this_thread::get_id() == self); });
}

TEST_CASE("deferred work runs once, on its own thread, in the next loop that has helpers") {
  static int runs = 0;
  static std::thread::id place;
  const auto defer = [] {
    ampgrad::defer_work([] {
      ++runs;
      place = std::this_thread::get_id();
    });
  };
  runs = 0;
  defer();
  {
    ThreadsScope scope(1);
    check_cover(1000, 1);
    CHECK(runs == 0);
  }
  ThreadsScope scope(2);
  check_cover(1, 1);
  CHECK(runs == 0);
  std::thread([] { check_cover(1000, 1); }).join();
  CHECK(runs == 0);
  check_cover(1000, 1);
  CHECK(runs == 1);
  CHECK(place == std::this_thread::get_id());
  check_cover(1000, 1);
  CHECK(runs == 1);
  defer();
  ampgrad::defer_work(nullptr);
  check_cover(1000, 1);
  CHECK(runs == 1);
}

TEST_CASE("an idle pool uses no processor time") {
  ThreadsScope scope(8);
  check_cover(1000, 1);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const double before = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  CHECK(cpu_seconds() - before < 0.05);
}
