#include "simt/executor.h"

#include <algorithm>
#include <cstring>
#include <exception>
#include <numeric>
#include <utility>

#include "simt/memory.h"

uint3 threadIdx;
uint3 blockIdx;
dim3 blockDim;
dim3 gridDim;

namespace simt {

Lane* lane = nullptr;

namespace {

constexpr uint32_t kWarp = 32;
#if defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
constexpr size_t kStack = size_t{256} << 10;
#else
constexpr size_t kStack = size_t{64} << 10;
#endif

uint64_t num_blocks(dim3 grid) { return uint64_t{grid.x} * grid.y * grid.z; }

uint3 unflatten(uint64_t i, dim3 size) {
  const auto x = static_cast<unsigned>(i % size.x);
  const auto y = static_cast<unsigned>(i / size.x % size.y);
  const auto z = static_cast<unsigned>(i / size.x / size.y);
  return {x, y, z};
}

// i -> a bijection of [0, n), drawn by `random`.
struct BlockOrder {
  uint64_t n, factor, offset;
  BlockOrder(uint64_t count, Order order, Random& random) : n(count), factor(1), offset(0) {
    if (order == Order::Ascending || n < 2) return;
    if (order == Order::Descending) {
      factor = n - 1;
      offset = n - 1;
      return;
    }
    do {
      factor = 1 + random.next() % n;
    } while (std::gcd(factor, n) != 1);
    offset = random.next() % n;
  }
  uint64_t operator()(uint64_t i) const {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(i) * factor + offset) % n);
  }
};

}  // namespace

Executor& executor() {
  static auto* one = new Executor();  // fibers may be suspended when the process ends
  return *one;
}

Executor::Executor() = default;

void Executor::draw_order() {
  order_ = config().order;
  if (order_ != Order::Drawn) return;
  // Half of all launches run in random order, which finds the most.
  const uint32_t draw = random_.below(8);
  order_ = draw >= 4 ? Order::Random : static_cast<Order>(draw + 1);
}

std::string Executor::run(const LaunchInfo& launch) {
  launch_ = &launch;
  owner_ = pthread_self();
  random_ = Random(launch.seed);
  draw_order();
  blockDim = launch.block;
  gridDim = launch.grid;
  failure_.clear();
  const uint64_t blocks = num_blocks(launch.grid);
  const BlockOrder order(blocks, order_, random_);
  for (uint64_t i = 0; i < blocks && failure_.empty(); ++i) {
    blockIdx = unflatten(order(i), launch.grid);
    run_block();
  }
  lane = nullptr;
  launch_ = nullptr;
  return std::exchange(failure_, {});
}

void Executor::prepare_block() {
  const uint64_t threads = num_blocks(launch_->block);
  if (lanes_.size() != threads) {
    lanes_.assign(threads, Lane{});
    by_rank_.resize(threads);
    ready_.assign((threads + 63) / 64, 0);
  }
  for (uint32_t t = 0; t < threads; ++t) {
    Lane& l = lanes_[t];
    l.thread = unflatten(t, launch_->block);
    l.id = t;
    l.state = LaneState::Ready;
    l.has_fiber = false;
    l.barriers = 0;
    l.fiber = nullptr;
  }
  num_exited_ = 0;
  num_arrived_ = 0;
  first_arrived_ = nullptr;
  handoff_ = nullptr;
  shared_.start_block(launch_->shared_bytes, config().poison, launch_->shared_limit);
}

// Ranks of an epoch. Ready lanes run in the order of their ranks.
void Executor::order_lanes(Order order) {
  const auto n = static_cast<uint32_t>(count());
  for (uint32_t t = 0; t < n; ++t) by_rank_[t] = order == Order::Descending ? n - 1 - t : t;
  if (order == Order::Random) {
    for (uint32_t t = n; t > 1; --t) std::swap(by_rank_[t - 1], by_rank_[random_.below(t)]);
  } else if (order == Order::WarpReversed) {
    for (uint32_t t = 0; t < n; ++t) {
      const uint32_t end = std::min(n, (t / kWarp + 1) * kWarp);
      by_rank_[t] = end - 1 - t % kWarp;
    }
  } else if (order == Order::WarpAhead) {
    const uint32_t first = random_.below((n + kWarp - 1) / kWarp) * kWarp;
    for (uint32_t t = 0; t < n; ++t) by_rank_[t] = (first + t) % n;
  }
  for (uint32_t r = 0; r < n; ++r) lanes_[by_rank_[r]].rank = r;
}

void Executor::make_ready(Lane& l) {
  l.state = LaneState::Ready;
  ready_[l.rank / 64] |= uint64_t{1} << (l.rank % 64);
}

// Takes the first ready lane; nullptr when none is.
Lane* Executor::pick() {
  for (size_t w = 0; w < ready_.size(); ++w) {
    if (ready_[w] == 0) continue;
    const int bit = __builtin_ctzll(ready_[w]);
    ready_[w] &= ready_[w] - 1;
    return &lanes_[by_rank_[w * 64 + static_cast<size_t>(bit)]];
  }
  return nullptr;
}

Lane* Executor::scheduler_next() {
  if (handoff_ != nullptr) return std::exchange(handoff_, nullptr);
  return pick();
}

void Executor::run_block() {
  prepare_block();
  order_lanes(order_);
  for (Lane& l : lanes_) make_ready(l);
  while (Lane* next = scheduler_next()) {
    if (!next->has_fiber) {
      if (idle_.empty()) {
        fibers_.push_back(std::make_unique<Fiber>(kStack, &Executor::fiber_main));
        idle_.push_back(fibers_.back().get());
      }
      next->fiber = idle_.back();
      next->has_fiber = true;
      idle_.pop_back();
    }
    enter(next);
    next->fiber->resume();
    lane = nullptr;
    if (!failure_.empty()) break;
  }
  if (failure_.empty() && num_exited_ != count()) failure_ = report(nullptr, blocked_report());
  if (failure_.empty()) {
    std::string damage = shared_.end_block();
    if (damage.empty()) damage = device_memory().check_ends(false);
    if (!damage.empty()) failure_ = report(nullptr, damage);
  }
  if (failure_.empty()) return;
  // Threads stand anywhere: their stacks are given up.
  std::fill(ready_.begin(), ready_.end(), 0);
  idle_.clear();
  for (const auto& fiber : fibers_) {
    fiber->restart();
    idle_.push_back(fiber.get());
  }
}

// Runs one thread after the other; gives way when the next one already has a stack.
void Executor::fiber_main(Fiber* self) {
  Executor& e = executor();
  for (;;) {
    std::string thrown;
    try {
      e.launch_->body();
    } catch (const std::exception& error) {
      thrown = std::string("exception: ") + error.what();
    }
    if (!thrown.empty()) e.fail(std::move(thrown));
    e.leave();
    Lane* next = e.pick();
    if (next != nullptr && !next->has_fiber) {
      next->fiber = self;
      next->has_fiber = true;
      enter(next);
      continue;
    }
    e.handoff_ = next;
    e.idle_.push_back(self);
    self->suspend();
  }
}

void Executor::leave() {
  lane->state = LaneState::Exited;
  lane->has_fiber = false;
  ++num_exited_;
  if (num_arrived_ > 0 && num_arrived_ + num_exited_ == count()) finish_barrier();
}

void Executor::enter(Lane* next) {
  lane = next;
  threadIdx = next->thread;
}

void Executor::wait() { lane->fiber->suspend(); }

void Executor::fail(std::string what) {
  {
    const std::string text = std::move(what);
    failure_ = report(lane, text);
  }
  lane->fiber->suspend();
  std::terminate();
}

int Executor::barrier(BarrierKind kind, int predicate, Site site) {
  Lane& self = *lane;
  self.state = LaneState::AtBarrier;
  self.barrier = kind;
  self.predicate = predicate;
  self.call.site = site;
  if (first_arrived_ == nullptr) first_arrived_ = &self;
  check_barrier(*first_arrived_);
  if (++num_arrived_ + num_exited_ == count()) finish_barrier();
  wait();
  return static_cast<int>(self.result);
}

void Executor::check_barrier(const Lane& first) {
  const Lane& self = *lane;
  const bool same = first.call.site.line == self.call.site.line &&
                    std::strcmp(first.call.site.file, self.call.site.file) == 0 &&
                    first.barrier == self.barrier && first.barriers == self.barriers;
  if (same) return;
  fail([&] {
    return "divergent barrier: this thread arrives at " + to_string(self.call.site) +
           " (its barrier " + std::to_string(self.barriers + 1) + ") while thread " +
           std::to_string(first.id) + " waits at " + to_string(first.call.site) + " (its barrier " +
           std::to_string(first.barriers + 1) + ")";
  }());
}

void Executor::finish_barrier() {
  const Lane& first = *first_arrived_;
  if (num_exited_ > 0 && config().strict_exit) {
    uint32_t gone = 0;
    while (lanes_[gone].state != LaneState::Exited) ++gone;
    fail([&] {
      return "barrier at " + to_string(first.call.site) + " (barrier " +
             std::to_string(first.barriers + 1) + "): " + std::to_string(num_exited_) +
             " threads have exited, thread " + std::to_string(gone) + " for one";
    }());
  }
  int total = 0;
  for (const Lane& l : lanes_) {
    if (l.state == LaneState::AtBarrier && l.predicate != 0) ++total;
  }
  int result = total;
  if (first.barrier == BarrierKind::And) result = total == num_arrived_ ? 1 : 0;
  if (first.barrier == BarrierKind::Or) result = total > 0 ? 1 : 0;
  num_arrived_ = 0;
  first_arrived_ = nullptr;
  if (order_ == Order::Random) order_lanes(order_);  // nobody is ready here
  for (Lane& l : lanes_) {
    if (l.state != LaneState::AtBarrier) continue;
    ++l.barriers;
    l.result = static_cast<uint64_t>(static_cast<int64_t>(result));
    make_ready(l);
  }
}

}  // namespace simt
