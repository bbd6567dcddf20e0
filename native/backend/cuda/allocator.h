// The caching allocator of one device. Blocks come from segments of 2 MiB (requests up to 1 MiB),
// 20 MiB (below 10 MiB) or their own rounded size; freed blocks are kept by stream and joined with
// free neighbours. A block that other streams have used waits for events on them. When the device
// is full, caches are given back before the allocation fails.
#pragma once

#include <cuda_runtime.h>

#include <list>
#include <map>
#include <mutex>
#include <set>
#include <vector>

#include "core/allocator.h"

namespace ampgrad::cuda {

struct AllocatorStats {
  uint64_t retries = 0;         // allocations that had to empty the cache first
  uint64_t out_of_memory = 0;   // and those that failed all the same
  uint64_t segments = 0;        // held now
  uint64_t inactive_split = 0;  // free bytes in segments that are partly used
};

class CachingAllocator final : public Allocator {
 public:
  static constexpr size_t kMinBlock = 512;
  static constexpr size_t kSmallSize = size_t{1} << 20;
  static constexpr size_t kSmallSegment = size_t{2} << 20;
  static constexpr size_t kLargeSegment = size_t{20} << 20;
  static constexpr size_t kMinLargeAllocation = size_t{10} << 20;
  static constexpr size_t kRoundLarge = size_t{2} << 20;

  explicit CachingAllocator(int device);
  // Gives everything back, blocks in use too. Those of a process's devices are never destroyed.
  ~CachingAllocator() override;

  // On the calling thread's current stream of the device.
  void* allocate(size_t size) override;
  void* allocate_on(size_t size, cudaStream_t stream);
  void release(void* data, size_t size) noexcept override;
  void empty_cache() override;
  MemoryStats stats() const override;
  void reset_peak_stats() override;

  // `data` is used by work queued on `stream`: freed, it is not handed out before that is done.
  void record_stream(void* data, cudaStream_t stream);
  // Share of the device's memory that may be reserved, in (0, 1].
  void set_fraction(double fraction);
  AllocatorStats details() const;
  // Bypasses the cache: every allocation is one of the device's own, of exactly the bytes asked for
  // (for memory checkers).
  void set_caching(bool on);
  // Overwrites what is freed, so that whoever still uses it shows.
  void set_poison(bool on);

  static size_t round_size(size_t size);
  static size_t segment_size(size_t rounded);

 private:
  struct Block {
    char* data = nullptr;
    size_t size = 0;
    cudaStream_t stream = nullptr;
    bool small = false;
    bool used = false;
    Block* previous = nullptr;  // neighbours in the segment
    Block* next = nullptr;
    int pending_events = 0;
    std::set<cudaStream_t> other_streams;
  };
  struct ByFit {
    bool operator()(const Block* a, const Block* b) const;
  };
  using Pool = std::set<Block*, ByFit>;
  struct Pending {
    cudaEvent_t event;
    Block* block;
  };

  Pool& pool_of(const Block* b) { return b->small ? small_ : large_; }
  Block* find_free(size_t rounded, bool small, cudaStream_t stream);
  Block* new_segment(size_t rounded, bool small, cudaStream_t stream);
  void* system_allocate(size_t bytes);
  void split(Block* b, size_t rounded);
  static bool is_free(const Block* b);
  void give_back(Block* freed);
  static void absorb_next(Block* b);
  void process_events(bool wait);
  void release_cached();
  void drop(Block* b);
  void note_allocated(const Block* b);

  int device_;
  mutable std::mutex mutex_;
  Pool small_;
  Pool large_;
  std::map<void*, Block*> used_;
  std::list<Pending> pending_;
  std::vector<cudaEvent_t> spare_events_;
  size_t allowed_ = SIZE_MAX;
  bool caching_ = true;
  bool poison_ = false;
  MemoryStats stats_;
  AllocatorStats details_;
};

}  // namespace ampgrad::cuda
