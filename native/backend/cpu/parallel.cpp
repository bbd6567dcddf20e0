// The pool behind parallel_for. Every worker owns a word it sleeps on (after a short spin); a job
// wakes them as a tree. Workers join an open job through `gate_`, so a worker that wakes late finds
// the gate closed and delays nobody. Every thread begins with a share of the chunks that depends on
// its place alone, so that what it wrote in one job is in its own cache for the next, and then
// takes what others have left. The pool is never destroyed and its threads are detached: leaving
// the process cannot wait for them.
#include "backend/cpu/parallel.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#include <signal.h>
#endif

#include "core/deferred.h"
#include "core/error.h"

namespace ampgrad::cpu {

namespace {

constexpr int kMaxThreads = 1024;
constexpr int64_t kChunksPerThread = 4;  // lets a fast thread take over from a slow one
// A thread that sleeps takes 5 to 50 us to wake, most on virtual machines: as long as a product of
// a small model takes. Between the ops of a training step threads therefore stay awake; after
// kSpinAlone others are let onto the core.
constexpr auto kSpin = std::chrono::microseconds(200);
constexpr auto kSpinAlone = std::chrono::microseconds(100);

thread_local bool tls_in_region = false;

struct RegionScope {
  RegionScope() : previous(tls_in_region) { tls_in_region = true; }
  ~RegionScope() { tls_in_region = previous; }
  bool previous;
};

inline void cpu_pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits until `word` differs from `value`: spins, then sleeps.
void spin_then_wait(const std::atomic<uint32_t>& word, uint32_t value) {
  const auto begin = std::chrono::steady_clock::now();
  std::chrono::steady_clock::duration spent{};
  do {
    for (int i = 0; i < 16; ++i) {
      if (word.load(std::memory_order_acquire) != value) return;
      cpu_pause();
    }
    spent = std::chrono::steady_clock::now() - begin;
    if (spent > kSpinAlone) std::this_thread::yield();
  } while (spent < kSpin);
  word.wait(value, std::memory_order_acquire);
}

int default_threads() {
  if (const char* text = std::getenv("AMPGRAD_NUM_THREADS"); text != nullptr && *text != '\0') {
    char* end = nullptr;
    errno = 0;
    const long value = std::strtol(text, &end, 10);
    AG_CHECK(errno == 0 && *end == '\0' && value >= 1, Value,
             "AMPGRAD_NUM_THREADS: must be a positive integer, got '", text, "'");
    return static_cast<int>(std::min<long>(value, kMaxThreads));
  }
  int count = static_cast<int>(std::thread::hardware_concurrency());
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) == 0) count = CPU_COUNT(&set);
#endif
  return std::clamp(count, 1, kMaxThreads);
}

// The code of a detached thread must stay mapped: an addon can be unloaded with the environment
// that loaded it, its threads cannot.
void pin_this_library() {
#if (defined(__unix__) || defined(__APPLE__)) && defined(RTLD_NODELETE)
  Dl_info info;
  if (dladdr(reinterpret_cast<void*>(&pin_this_library), &info) != 0 && info.dli_fname != nullptr) {
    dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
  }
#endif
}

// Signals belong to the threads of the host program.
class SignalsBlocked {
 public:
#if defined(__unix__) || defined(__APPLE__)
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &previous_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &previous_, nullptr); }

 private:
  sigset_t previous_;
#endif
};

class Pool {
 public:
  static Pool& get() {
    static Pool* pool = new Pool;  // never destroyed: its threads outlive static destruction
    return *pool;
  }

  int threads() const { return threads_.load(std::memory_order_relaxed); }
  void set_threads(int n) {
    threads_.store(std::clamp(n, 1, kMaxThreads), std::memory_order_relaxed);
  }

  // False when another thread holds the pool.
  bool run(int64_t n, int64_t chunks, int threads, const RangeFn& fn);

 private:
  struct alignas(64) Worker {
    std::atomic<uint32_t> ticket{0};  // changed to wake the worker
  };
  // The chunks of a share that are taken (lower 16 bits) and the job they belong to: a word of an
  // older job means none, so that nobody has to reset the shares.
  struct alignas(64) Share {
    std::atomic<uint64_t> taken{0};
  };

  Pool()
      : threads_(default_threads()),
        workers_(std::make_unique<Worker[]>(kMaxThreads)),
        shares_(std::make_unique<Share[]>(kMaxThreads)) {}

  int ensure_workers(int wanted);
  void worker_loop(int index);
  bool join(int index);
  void leave();
  void wake(int participant, int helpers);
  void take_chunks(int participant);
  int64_t take_from(int share);

  // gate_: bit 31 = job open, bits 16..30 = helpers wanted, bits 0..15 = workers inside.
  static constexpr uint32_t kOpen = 1u << 31;
  static constexpr uint32_t kInside = 0xffffu;
  static constexpr int kTakenBits = 16;
  static_assert(kChunksPerThread * kMaxThreads < 1 << kTakenBits);

  std::atomic<int> threads_;
  std::mutex submit_;
  std::unique_ptr<Worker[]> workers_;
  std::unique_ptr<Share[]> shares_;
  int spawned_ = 0;  // guarded by submit_

  alignas(64) std::atomic<uint32_t> gate_{0};
  // The job: written while the gate is closed and nobody is inside.
  const RangeFn* fn_ = nullptr;
  int64_t n_ = 0;
  int64_t chunks_ = 0;
  int num_shares_ = 1;
  uint64_t job_ = 0;
  alignas(64) std::atomic<bool> failed_{false};
  std::exception_ptr error_;
};

int Pool::ensure_workers(int wanted) {
  if (spawned_ >= wanted) return wanted;
  if (spawned_ == 0) pin_this_library();
  SignalsBlocked blocked;
  try {
    while (spawned_ < wanted) {
      const int index = spawned_;
      std::thread([this, index] { worker_loop(index); }).detach();
      ++spawned_;
    }
  } catch (const std::system_error&) {
    // The system refuses more threads: the work is done by those that exist.
  }
  return std::min(spawned_, wanted);
}

void Pool::worker_loop(int index) {
  tls_in_region = true;
  std::atomic<uint32_t>& ticket = workers_[index].ticket;
  uint32_t seen = 0;
  for (;;) {
    spin_then_wait(ticket, seen);
    const uint32_t now = ticket.load(std::memory_order_acquire);
    if (now == seen) continue;
    seen = now;
    if (!join(index)) continue;
    wake(index + 1, static_cast<int>(gate_.load(std::memory_order_relaxed) >> 16 & 0x7fffu));
    take_chunks(index + 1);
    leave();
  }
}

// Only an open job may be entered, and only by the workers it asked for.
bool Pool::join(int index) {
  uint32_t gate = gate_.load(std::memory_order_acquire);
  while ((gate & kOpen) != 0 && static_cast<uint32_t>(index) < (gate >> 16 & 0x7fffu)) {
    if (gate_.compare_exchange_weak(gate, gate + 1, std::memory_order_acq_rel,
                                    std::memory_order_acquire)) {
      return true;
    }
  }
  return false;
}

void Pool::leave() {
  const uint32_t before = gate_.fetch_sub(1, std::memory_order_acq_rel);
  if ((before & kInside) == 1 && (before & kOpen) == 0) gate_.notify_all();
}

// Participant 0 is the caller, participant i + 1 is worker i; i wakes 2i + 1 and 2i + 2.
void Pool::wake(int participant, int helpers) {
  for (int child = 2 * participant + 1; child <= 2 * participant + 2; ++child) {
    if (child > helpers) return;
    std::atomic<uint32_t>& ticket = workers_[child - 1].ticket;
    ticket.fetch_add(1, std::memory_order_acq_rel);
    ticket.notify_one();
  }
}

// The next chunk of a share, -1 when none is left.
int64_t Pool::take_from(int share) {
  const int64_t first = share * chunks_ / num_shares_;
  const auto count = static_cast<uint64_t>((share + 1) * chunks_ / num_shares_ - first);
  std::atomic<uint64_t>& word = shares_[share].taken;
  uint64_t seen = word.load(std::memory_order_relaxed);
  for (;;) {
    const uint64_t taken = seen >> kTakenBits == job_ ? seen & ((1U << kTakenBits) - 1) : 0;
    if (taken >= count) return -1;
    if (word.compare_exchange_weak(seen, job_ << kTakenBits | (taken + 1),
                                   std::memory_order_relaxed)) {
      return first + static_cast<int64_t>(taken);
    }
  }
}

void Pool::take_chunks(int participant) {
  const int64_t size = n_ / chunks_;
  const int64_t extra = n_ % chunks_;  // the first `extra` chunks are one longer
  for (int turn = 0; turn < num_shares_; ++turn) {
    const int share = (participant + turn) % num_shares_;
    for (int64_t i = take_from(share); i >= 0; i = take_from(share)) {
      if (failed_.load(std::memory_order_relaxed)) return;
      const int64_t begin = i * size + std::min(i, extra);
      try {
        (*fn_)(begin, begin + size + (i < extra ? 1 : 0));
      } catch (...) {
        if (!failed_.exchange(true, std::memory_order_acq_rel)) error_ = std::current_exception();
      }
    }
  }
}

bool Pool::run(int64_t n, int64_t chunks, int threads, const RangeFn& fn) {
  std::unique_lock<std::mutex> lock(submit_, std::try_to_lock);
  if (!lock.owns_lock()) return false;
  const int helpers = ensure_workers(static_cast<int>(std::min<int64_t>(threads, chunks)) - 1);
  fn_ = &fn;
  n_ = n;
  chunks_ = chunks;
  num_shares_ = helpers + 1;
  ++job_;
  failed_.store(false, std::memory_order_relaxed);
  gate_.store(kOpen | static_cast<uint32_t>(helpers) << 16, std::memory_order_release);
  {
    RegionScope region;
    wake(0, helpers);
    if (helpers > 0) run_deferred_work();
    take_chunks(0);
  }
  uint32_t gate = gate_.fetch_and(~kOpen, std::memory_order_acq_rel) & ~kOpen;
  while ((gate & kInside) != 0) {
    spin_then_wait(gate_, gate);
    gate = gate_.load(std::memory_order_acquire);
  }
  if (failed_.load(std::memory_order_acquire)) {
    std::exception_ptr error = std::move(error_);
    error_ = nullptr;
    lock.unlock();
    std::rethrow_exception(std::move(error));
  }
  return true;
}

}  // namespace

void parallel_for(int64_t n, int64_t grain, RangeFn fn) {
  if (n <= 0) return;
  int64_t chunks = n / std::max<int64_t>(grain, 1);
  if (chunks >= 2 && !tls_in_region) {
    Pool& pool = Pool::get();
    const int threads = pool.threads();
    if (threads >= 2) {
      chunks = std::min(chunks, kChunksPerThread * threads);
      if (chunks > threads) chunks -= chunks % threads;
      if (pool.run(n, chunks, threads, fn)) return;
    }
  }
  fn(0, n);
}

int num_threads() { return Pool::get().threads(); }

void set_num_threads(int n) { Pool::get().set_threads(n); }

bool in_parallel_region() { return tls_in_region; }

}  // namespace ampgrad::cpu
