// Runs the blocks of one launch, thread by thread, on fibers that are started only when a thread
// has to wait. Owns the order of threads, the barriers of a block, the rendezvous of a warp, and
// the report when one of them is used wrongly. One launch runs at a time in a process.
#pragma once

#include <pthread.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "simt/config.h"
#include "simt/fiber.h"
#include "simt/shared.h"
#include "simt/types.h"

// Of the running thread, set whenever another takes over.
extern uint3 threadIdx;
extern uint3 blockIdx;
extern dim3 blockDim;
extern dim3 gridDim;

namespace simt {

// Where in the source a collective is called.
struct Site {
  const char* file;
  int line;
};

enum class BarrierKind : uint8_t { Sync, Count, And, Or };

enum class WarpOp : uint8_t {
  Sync,
  ShflIdx,
  ShflUp,
  ShflDown,
  ShflXor,
  Ballot,
  Any,
  All,
  MatchAny,
  MatchAll,
  AddU,
  MinU,
  MaxU,
  AddS,
  MinS,
  MaxS,
  AndB,
  OrB,
  XorB,
  Custom,  // `custom` runs once, when all lanes have come
};

struct WarpCall {
  WarpOp op;
  uint32_t mask;
  uint64_t value;  // what the lane brings; Custom: a pointer
  int param;       // source lane, delta or lane mask
  int width;
  Site site;
  void (*custom)(const uint64_t* values);  // the 32 lanes' values
};

enum class LaneState : uint8_t { Ready, AtBarrier, AtWarp, Exited };

struct Lane {
  uint3 thread;
  uint32_t id;
  LaneState state;
  bool has_fiber;
  uint32_t rank;  // in the order of the epoch
  int barriers;   // passed so far
  Fiber* fiber;
  BarrierKind barrier;
  int predicate;
  WarpCall call;
  uint64_t result;
  int result2;
};

struct LaunchInfo {
  std::string kernel;
  dim3 grid;
  dim3 block;
  size_t shared_bytes = 0;  // dynamic
  size_t shared_limit = 0;  // of static and dynamic shared memory together
  uint64_t seed = 0;        // of this launch
  std::function<void()> body;
};

// The thread that runs now; nullptr outside of kernels.
extern Lane* lane;
class Executor {
 public:
  Executor();
  // Runs the whole grid. Returns an empty text, or the report of what went wrong.
  std::string run(const LaunchInfo& launch);
  // What went wrong, told by the running thread. Its block ends here, and its stack is never
  // unwound: texts are made in a function, so that no part of them stays on it.
  [[noreturn]] void fail(std::string what);
  int barrier(BarrierKind kind, int predicate, Site site);
  uint64_t warp(const WarpCall& call, int* second);
  uint32_t active_mask();
  SharedMemory& shared() { return shared_; }
  const LaunchInfo& launch() const { return *launch_; }
  // The warp of the running lane spreads matrix elements over its lanes by this seed.
  uint64_t fragment_seed() const { return launch_->seed; }
  bool guards_stack(const void* address) const;
  uintptr_t running_stack_top() const { return lane->fiber->top(); }
  // Whether the calling thread of the host is inside a kernel.
  bool runs_here() const { return lane != nullptr && pthread_equal(owner_, pthread_self()) != 0; }

 private:
  static void fiber_main(Fiber* self);
  void run_block();
  void prepare_block();
  void draw_order();
  void order_lanes(Order order);
  void make_ready(Lane& lane);
  Lane* pick();
  Lane* scheduler_next();
  void wait();
  static void enter(Lane* next);
  void leave();
  void finish_barrier();
  void check_barrier(const Lane& first);
  bool warp_complete(const Lane& last) const;
  void finish_warp(const Lane& last);
  void shuffle(Lane& to, uint32_t base);
  std::string blocked_report() const;
  std::string describe_wait(const Lane& lane) const;
  std::string describe_warp_wait(const Lane& lane) const;
  std::string report(const Lane* at, const std::string& what) const;
  int count() const { return static_cast<int>(lanes_.size()); }

  const LaunchInfo* launch_ = nullptr;
  Random random_;
  Order order_ = Order::Random;
  std::vector<Lane> lanes_;
  std::vector<uint32_t> by_rank_;  // rank -> lane
  std::vector<uint64_t> ready_;    // a bit for each rank
  int num_exited_ = 0;
  int num_arrived_ = 0;
  Lane* first_arrived_ = nullptr;
  Lane* handoff_ = nullptr;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
  SharedMemory shared_;
  std::string failure_;
  pthread_t owner_{};
};

Executor& executor();

// "file.cu:12", without folders
std::string to_string(Site site);

}  // namespace simt
