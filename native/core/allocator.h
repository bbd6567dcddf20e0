// Device memory: the allocator interface, its statistics, and the hook by which an embedding
// (the Node binding) is asked to collect garbage when memory runs short.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/device.h"
#include "core/intrusive_ptr.h"

namespace ampgrad {

inline constexpr size_t kAlignment = 64;
inline constexpr uint64_t kNoLimit = UINT64_MAX;

struct MemoryStats {
  uint64_t allocated = 0;       // bytes in blocks handed out now
  uint64_t peak_allocated = 0;  // highest value of the above since the last reset
  uint64_t reserved = 0;        // allocated + bytes cached for reuse
  uint64_t peak_reserved = 0;
  uint64_t allocations = 0;         // blocks handed out since the start
  uint64_t system_allocations = 0;  // blocks that had to come from the operating system
};

class Allocator {
 public:
  virtual ~Allocator() = default;

  // 64-byte aligned, uninitialised; nullptr when the system has no more. size > 0.
  virtual void* allocate(size_t size) = 0;
  // `size` is what was asked for.
  virtual void release(void* block, size_t size) noexcept = 0;
  // Returns cached blocks to the system.
  virtual void empty_cache() = 0;
  virtual MemoryStats stats() const = 0;
  virtual void reset_peak_stats() = 0;

  // The most that may be reserved from the system; kNoLimit: what the system has.
  void set_limit(uint64_t bytes) { limit_.store(bytes, std::memory_order_relaxed); }
  uint64_t limit() const { return limit_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> limit_{kNoLimit};
};

Allocator& cpu_allocator();

// Allocates on `device`; on failure asks the pressure hook to free memory, empties the cache,
// tries again, then raises ERR_OOM with the request, the totals and remedies.
void* allocate_or_throw(Device device, size_t size);
Allocator& allocator_for(Device device);

// Called by allocate_or_throw on the thread that allocates: before the allocation, to collect if
// the watermark says so, and once more to collect everything where it failed.
using PressureHook = void (*)(size_t size, bool failed);
void set_thread_pressure_hook(PressureHook hook);
PressureHook thread_pressure_hook();

// Bytes of the storages alive that one thread made: what that thread's collector could give back.
// Shared, because a storage can outlive the thread that made it.
struct MemoryAccount final : RefCounted {
  std::atomic<int64_t> live_bytes{0};
};
const IntrusivePtr<MemoryAccount>& thread_memory_account();

}  // namespace ampgrad
