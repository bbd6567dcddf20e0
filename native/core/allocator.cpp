// The caching CPU allocator. Blocks come in size classes with four steps per power of two, so at
// most a fifth of a block is waste; freed blocks are kept per class, because a training step asks
// for the same sizes again and fresh pages would cost a page fault each. The cache may hold what
// the recent peak of use needed; beyond that the blocks freed longest ago go back to the system.
#include "core/allocator.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <mutex>
#include <vector>

#include "core/device_backend.h"
#include "core/error.h"
#include "core/storage.h"
#include "core/system_block.h"
#include "core/system_memory.h"

namespace ampgrad {

namespace {

constexpr size_t kMinBlock = 64;
constexpr int kMinShift = 6;
constexpr int kStepsPerDoubling = 4;
constexpr int kNumClasses = (62 - kMinShift) * kStepsPerDoubling;
// Below this size blocks are cut from chunks that are never returned.
constexpr size_t kSmallLimit = size_t{32} << 10;
constexpr size_t kChunk = size_t{1} << 20;
// Cache allowed besides the peak, so that small programs never trim.
constexpr size_t kCacheSlack = size_t{32} << 20;
// What use and cache may come to together, in peaks of use: the classes of a program whose shapes
// change all the time would add up to many. (GPT-2 needs 1.37, with steps of always the same
// shapes.)
constexpr double kMostOfPeak = 1.5;
// How often all the memory in use must be freed until a peak is forgotten: once this at least,
// twice at most.
constexpr double kPeakTurnovers = 32;
// Under AddressSanitizer every block has its exact size and is freed at once, so that an access
// past the end or after the release is seen.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kExactBlocks = true;
#else
constexpr bool kExactBlocks = false;
#endif
// From this size on a request is compared with what the system has left: the answer costs some
// microseconds, and smaller requests are not what exhausts a machine at once.
constexpr size_t kAskSystem = size_t{256} << 20;

int class_of(size_t size) {
  if (size <= kMinBlock) return 0;
  const int top = std::bit_width(size - 1) - 1;  // 2^top < size <= 2^(top+1)
  const size_t step = std::max<size_t>((size_t{1} << top) / kStepsPerDoubling, kMinBlock);
  const size_t steps_above = (size - (size_t{1} << top) + step - 1) / step;
  const int steps_per_class = static_cast<int>(((size_t{1} << top) / step));
  const int scaled = static_cast<int>(steps_above) * kStepsPerDoubling / steps_per_class;
  return (top - kMinShift) * kStepsPerDoubling + scaled;
}

size_t class_size(int index) {
  const int doubling = index / kStepsPerDoubling;
  const size_t base = size_t{1} << (doubling + kMinShift);
  const size_t size =
      base + base / kStepsPerDoubling * static_cast<size_t>(index % kStepsPerDoubling);
  return (size + kMinBlock - 1) / kMinBlock * kMinBlock;
}

// The highest value in the present window of time and in the one before it.
class RecentPeak {
 public:
  void note(size_t value) { current_ = std::max(current_, value); }
  void next_window(size_t value) {
    previous_ = current_;
    current_ = value;
  }
  size_t value() const { return std::max(current_, previous_); }

 private:
  size_t current_ = 0;
  size_t previous_ = 0;
};

class CachingCpuAllocator final : public Allocator {
 public:
  void* allocate(size_t size) override {
    const int index = class_of(size);
    const size_t block_size = class_size(index);
    if (kExactBlocks) return allocate_exact(size, index, block_size);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      std::vector<Cached>& list = classes_[index].free;
      if (!list.empty()) {
        void* block = list.back().block;
        list.pop_back();
        if (block_size >= kSmallLimit) cached_ -= block_size;
        note_allocated(index, block_size);
        return block;
      }
      if (block_size < kSmallLimit) {
        void* block = cut_from_chunk(block_size);
        if (block != nullptr) note_allocated(index, block_size);
        return block;
      }
    }
    if (!may_grow(block_size)) return nullptr;
    void* block = system_allocate(block_size);
    if (block == nullptr) return nullptr;
    const std::lock_guard<std::mutex> lock(mutex_);
    ++stats_.system_allocations;
    stats_.reserved += block_size;
    note_allocated(index, block_size);
    return block;
  }

  void release(void* block, size_t size) noexcept override {
    const int index = class_of(size);
    const size_t block_size = class_size(index);
    std::vector<Cached> evicted;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      stats_.allocated -= block_size;
      if (kExactBlocks) {
        stats_.reserved -= block_size;
        std::free(block);
        return;
      }
      SizeClass& c = classes_[index];
      c.free.push_back({block, ++clock_});
      if (block_size < kSmallLimit) return;
      --c.in_use;
      cached_ += block_size;
      if (count_turnover(block_size)) trim(peak_.value() + kCacheSlack, true, &evicted);
      const auto most = static_cast<size_t>(kMostOfPeak * static_cast<double>(peak_.value()));
      trim(most + kCacheSlack, false, &evicted);
    }
    for (const Cached& c : evicted) std::free(c.block);
  }

  void empty_cache() override {
    std::vector<Cached> evicted;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      trim(0, false, &evicted);
    }
    for (const Cached& c : evicted) std::free(c.block);
  }

  MemoryStats stats() const override {
    const std::lock_guard<std::mutex> lock(mutex_);
    return stats_;
  }

  void reset_peak_stats() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    stats_.peak_allocated = stats_.allocated;
    stats_.peak_reserved = stats_.reserved;
  }

 private:
  struct Cached {
    void* block;
    uint64_t freed_at;
  };
  struct SizeClass {
    std::vector<Cached> free;  // those freed longest ago first
    // From kSmallLimit on, for those that may be given back:
    size_t in_use = 0;  // blocks
    RecentPeak peak;    // of in_use

    bool has_more_than_needed() const { return in_use + free.size() > peak.value(); }
  };

  void note_allocated(int index, size_t block_size) {
    if (block_size >= kSmallLimit) {
      SizeClass& c = classes_[index];
      c.peak.note(++c.in_use);
    }
    ++stats_.allocations;
    stats_.allocated += block_size;
    peak_.note(stats_.allocated);
    stats_.peak_allocated = std::max(stats_.peak_allocated, stats_.allocated);
    stats_.peak_reserved = std::max(stats_.peak_reserved, stats_.reserved);
  }

  // Peaks are forgotten, so that one large phase does not pin its memory for ever: by the bytes
  // that are freed, measured by those in use. Steps that garbage piles up in until it is collected
  // need their peak once in many steps, whatever number of blocks a step has. Returns whether they
  // were.
  bool count_turnover(size_t freed) {
    turnovers_ += static_cast<double>(freed) / static_cast<double>(stats_.allocated + freed);
    if (turnovers_ < kPeakTurnovers) return false;
    turnovers_ = 0;
    peak_.next_window(stats_.allocated);
    for (SizeClass& c : classes_) c.peak.next_window(c.in_use);
    return true;
  }

  void* allocate_exact(size_t size, int index, size_t block_size) {
    void* block = nullptr;
    if (!may_grow(block_size) || posix_memalign(&block, kAlignment, size) != 0) return nullptr;
    const std::lock_guard<std::mutex> lock(mutex_);
    ++stats_.system_allocations;
    stats_.reserved += block_size;
    note_allocated(index, block_size);
    return block;
  }

  // Whether the reserved memory may grow by `block_size`.
  bool may_grow(size_t block_size) const {
    const uint64_t most = limit();
    if (most != kNoLimit && stats().reserved + block_size > most) return false;
    return block_size < kAskSystem || block_size <= system_memory_available();
  }

  void* cut_from_chunk(size_t block_size) {
    if (chunk_left_ < block_size) {
      void* chunk = std::aligned_alloc(kAlignment, kChunk);
      if (chunk == nullptr) return nullptr;
      ++stats_.system_allocations;
      stats_.reserved += kChunk;
      chunk_ = static_cast<char*>(chunk);
      chunk_left_ = kChunk;
    }
    void* block = chunk_;
    chunk_ += block_size;
    chunk_left_ -= block_size;
    return block;
  }

  // Takes blocks out of the cache, those freed longest ago first, until no more than `most` bytes
  // are held or none are left; with `unneeded` only of classes that have more than they lately
  // needed.
  void trim(size_t most, bool unneeded, std::vector<Cached>* evicted) {
    while (stats_.allocated + cached_ > most) {
      int oldest = -1;
      for (int i = class_of(kSmallLimit); i < kNumClasses; ++i) {
        const SizeClass& c = classes_[i];
        if (c.free.empty() || (unneeded && !c.has_more_than_needed())) continue;
        if (oldest < 0 || c.free.front().freed_at < classes_[oldest].free.front().freed_at)
          oldest = i;
      }
      if (oldest < 0) return;
      evicted->push_back(classes_[oldest].free.front());
      classes_[oldest].free.erase(classes_[oldest].free.begin());
      cached_ -= class_size(oldest);
      stats_.reserved -= class_size(oldest);
    }
  }

  mutable std::mutex mutex_;
  SizeClass classes_[kNumClasses];
  char* chunk_ = nullptr;
  size_t chunk_left_ = 0;
  size_t cached_ = 0;
  RecentPeak peak_;  // of stats_.allocated
  double turnovers_ = 0;
  uint64_t clock_ = 0;
  MemoryStats stats_;
};

thread_local PressureHook thread_hook = nullptr;

}  // namespace

Allocator& cpu_allocator() {
  // Never destroyed: storages may be released by finalizers that run at process exit.
  static auto* allocator = new CachingCpuAllocator();
  return *allocator;
}

Allocator& allocator_for(Device device) {
  return device.is_cpu() ? cpu_allocator() : backend_for(device).allocator(device.index);
}

void set_thread_pressure_hook(PressureHook hook) { thread_hook = hook; }
PressureHook thread_pressure_hook() { return thread_hook; }

const IntrusivePtr<MemoryAccount>& thread_memory_account() {
  thread_local const IntrusivePtr<MemoryAccount> account = make_intrusive<MemoryAccount>();
  return account;
}

namespace {

// "20.00 MiB"
std::string readable(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  auto amount = static_cast<double>(bytes);
  size_t unit = 0;
  for (; amount >= 1024 && unit + 1 < std::size(kUnits); ++unit) amount /= 1024;
  char text[32];
  std::snprintf(text, sizeof(text), unit == 0 ? "%.0f %s" : "%.2f %s", amount, kUnits[unit]);
  return text;
}

// PyTorch's account of a device that is full, and what to do about it.
[[noreturn]] void fail_on_device(Device device, size_t size, const MemoryStats& s) {
  const DeviceProperties p = backend_for(device).properties(device.index);
  const std::string holders = Storage::largest_holders(device);
  const uint64_t cached = s.reserved - s.allocated;
  AG_FAIL(OutOfMemory, "CUDA out of memory on ", to_string(device), ". Tried to allocate ",
          readable(size), ". GPU ", static_cast<int>(device.index), " (", p.name,
          ") has a total capacity of ", readable(p.total_memory), " of which ",
          readable(p.free_memory), " is free. This process has reserved ", readable(s.reserved),
          ", of which ", readable(s.allocated), " is allocated by tensors and ", readable(cached),
          " is reserved but unallocated. ", holders.empty() ? "" : "The largest tensors: ", holders,
          holders.empty() ? "" : ". ",
          cached > s.reserved / 4
              ? "Much is reserved but unallocated: memory is fragmented; cuda.emptyCache() between "
                "phases of different sizes helps. "
              : "",
          "Use a smaller batch, half precision (autocast), gradient checkpointing, or dispose "
          "tensors that are kept alive but not needed");
}

}  // namespace

void* allocate_or_throw(Device device, size_t size) {
  Allocator& allocator = allocator_for(device);
  if (thread_hook != nullptr) thread_hook(size, false);
  void* block = allocator.allocate(size);
  if (AG_LIKELY(block != nullptr)) return block;
  if (thread_hook != nullptr) thread_hook(size, true);
  allocator.empty_cache();
  block = allocator.allocate(size);
  if (block != nullptr) return block;
  if (!device.is_cpu()) fail_on_device(device, size, allocator.stats());
  const MemoryStats s = allocator.stats();
  constexpr double kMiB = 1024.0 * 1024.0;
  const auto mib = [](uint64_t bytes) {
    return std::round(static_cast<double>(bytes) / kMiB * 10) / 10;
  };
  const std::string limit_note = allocator.limit() == kNoLimit
                                     ? ""
                                     : "tensors may have " +
                                           std::to_string(allocator.limit() >> 20) +
                                           " MiB by memory.setLimit, ";
  const std::string holders = Storage::largest_holders(device);
  AG_FAIL(OutOfMemory, "out of memory on ", to_string(device), ": tried to allocate ", mib(size),
          " MiB; the device has ", mib(system_memory_total()), " MiB, ", limit_note,
          mib(s.allocated), " MiB are in use by tensors, ", mib(s.reserved - s.allocated),
          " MiB are cached. ", holders.empty() ? "" : "The largest tensors: ", holders,
          holders.empty() ? "" : ". ",
          "Use a smaller batch, half precision (autocast), gradient checkpointing, or dispose "
          "tensors that are kept alive but not needed");
}

}  // namespace ampgrad
