#include "backend/cuda/allocator.h"

#include <algorithm>
#include <functional>

#include "backend/cuda/check.h"
#include "backend/cuda/context.h"

namespace ampgrad::cuda {

namespace {

size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

// The device the allocator belongs to, for the time of one call.
class DeviceGuard {
 public:
  explicit DeviceGuard(int device) {
    cudaGetDevice(&before_);
    if (before_ != device) cudaSetDevice(device);
    changed_ = before_ != device;
  }
  ~DeviceGuard() {
    if (changed_) cudaSetDevice(before_);
  }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  int before_ = 0;
  bool changed_ = false;
};

}  // namespace

bool CachingAllocator::ByFit::operator()(const Block* a, const Block* b) const {
  if (a->stream != b->stream) return std::less<>()(a->stream, b->stream);
  if (a->size != b->size) return a->size < b->size;
  return std::less<>()(a->data, b->data);
}

CachingAllocator::CachingAllocator(int device) : device_(device) {}

CachingAllocator::~CachingAllocator() {
  const DeviceGuard guard(device_);
  std::set<Block*> blocks(small_.begin(), small_.end());
  blocks.insert(large_.begin(), large_.end());
  for (const auto& [data, block] : used_) blocks.insert(block);
  for (const Pending& p : pending_) {
    cudaEventSynchronize(p.event);
    cudaEventDestroy(p.event);
    blocks.insert(p.block);
  }
  for (cudaEvent_t event : spare_events_) cudaEventDestroy(event);
  for (Block* b : blocks) {
    if (b->previous == nullptr) cudaFree(b->data);
  }
  for (Block* b : blocks) delete b;
}

size_t CachingAllocator::round_size(size_t size) {
  return size < kMinBlock ? kMinBlock : round_up(size, kMinBlock);
}

size_t CachingAllocator::segment_size(size_t rounded) {
  if (rounded <= kSmallSize) return kSmallSegment;
  if (rounded < kMinLargeAllocation) return kLargeSegment;
  return round_up(rounded, kRoundLarge);
}

void* CachingAllocator::allocate(size_t size) { return allocate_on(size, stream_on(device_)); }

void* CachingAllocator::allocate_on(size_t size, cudaStream_t stream) {
  if (size > SIZE_MAX / 2) return nullptr;
  const std::lock_guard<std::mutex> lock(mutex_);
  // A memory checker is to know where the block ends.
  const size_t rounded = caching_ ? round_size(size) : std::max<size_t>(size, 1);
  const bool small = rounded <= kSmallSize;
  const DeviceGuard guard(device_);
  process_events(false);
  Block* b = caching_ ? find_free(rounded, small, stream) : nullptr;
  if (b == nullptr) b = new_segment(rounded, small, stream);
  if (b == nullptr) {
    // Only now is it worth waiting for other streams and giving up cached segments.
    process_events(true);
    release_cached();
    ++details_.retries;
    b = new_segment(rounded, small, stream);
  }
  if (b == nullptr) {
    ++details_.out_of_memory;
    return nullptr;
  }
  split(b, rounded);
  b->used = true;
  used_[b->data] = b;
  note_allocated(b);
  return b->data;
}

CachingAllocator::Block* CachingAllocator::find_free(size_t rounded, bool small,
                                                     cudaStream_t stream) {
  Pool& pool = small ? small_ : large_;
  Block key;
  key.stream = stream;
  key.size = rounded;
  const auto it = pool.lower_bound(&key);
  if (it == pool.end() || (*it)->stream != stream) return nullptr;
  Block* b = *it;
  pool.erase(it);
  return b;
}

void* CachingAllocator::system_allocate(size_t bytes) {
  if (bytes > allowed_ || stats_.reserved > allowed_ - bytes) return nullptr;
  void* data = nullptr;
  const cudaError_t error = cudaMalloc(&data, bytes);
  if (error == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // the error is handled, and must not be found by the next launch
    return nullptr;
  }
  check(error, "cudaMalloc");
  return data;
}

CachingAllocator::Block* CachingAllocator::new_segment(size_t rounded, bool small,
                                                       cudaStream_t stream) {
  const size_t bytes = caching_ ? segment_size(rounded) : rounded;
  void* data = system_allocate(bytes);
  if (data == nullptr) return nullptr;
  stats_.reserved += bytes;
  stats_.peak_reserved = std::max(stats_.peak_reserved, stats_.reserved);
  ++stats_.system_allocations;
  ++details_.segments;
  auto* b = new Block();
  b->data = static_cast<char*>(data);
  b->size = bytes;
  b->stream = stream;
  b->small = small;
  return b;
}

// Keeps the first `rounded` bytes; the rest becomes a free block where that is worth it.
void CachingAllocator::split(Block* b, size_t rounded) {
  const size_t rest = b->size - rounded;
  const bool worth = b->small ? rest >= kMinBlock : rest > kSmallSize;
  if (!worth) return;
  auto* tail = new Block();
  tail->data = b->data + rounded;
  tail->size = rest;
  tail->stream = b->stream;
  tail->small = b->small;
  tail->previous = b;
  tail->next = b->next;
  if (b->next != nullptr) b->next->previous = tail;
  b->next = tail;
  b->size = rounded;
  pool_of(tail).insert(tail);
}

void CachingAllocator::release(void* data, size_t) noexcept {
  const std::lock_guard<std::mutex> lock(mutex_);
  const DeviceGuard guard(device_);
  const auto it = used_.find(data);
  if (it == used_.end()) return;
  Block* b = it->second;
  used_.erase(it);
  b->used = false;
  stats_.allocated -= b->size;
  const std::set<cudaStream_t> others = std::move(b->other_streams);
  b->other_streams.clear();
  for (cudaStream_t stream : others) {
    cudaEvent_t event = nullptr;
    if (!spare_events_.empty()) {
      event = spare_events_.back();
      spare_events_.pop_back();
    } else if (cudaEventCreateWithFlags(&event, cudaEventDisableTiming) != cudaSuccess) {
      continue;  // the device is unusable
    }
    cudaEventRecord(event, stream);
    ++b->pending_events;
    pending_.push_back({event, b});
  }
  if (b->pending_events == 0) give_back(b);
}

bool CachingAllocator::is_free(const Block* b) {
  return b != nullptr && !b->used && b->pending_events == 0;
}

void CachingAllocator::give_back(Block* freed) {
  if (poison_) cudaMemsetAsync(freed->data, 0xff, freed->size, freed->stream);
  Block* b = freed;
  if (is_free(b->next)) {
    pool_of(b->next).erase(b->next);
    absorb_next(b);
  }
  if (is_free(b->previous)) {
    b = b->previous;
    pool_of(b).erase(b);
    absorb_next(b);
  }
  if (!caching_ && b->previous == nullptr && b->next == nullptr) {
    drop(b);
  } else {
    pool_of(b).insert(b);
  }
}

void CachingAllocator::absorb_next(Block* b) {
  Block* gone = b->next;
  b->size += gone->size;
  b->next = gone->next;
  if (gone->next != nullptr) gone->next->previous = b;
  delete gone;
}

void CachingAllocator::process_events(bool wait) {
  for (auto it = pending_.begin(); it != pending_.end();) {
    const cudaError_t state = wait ? cudaEventSynchronize(it->event) : cudaEventQuery(it->event);
    if (state == cudaErrorNotReady) {
      ++it;
      continue;
    }
    check(state, "a freed block's event");
    spare_events_.push_back(it->event);
    Block* b = it->block;
    it = pending_.erase(it);
    if (--b->pending_events == 0) give_back(b);
  }
}

// Segments that are free as a whole go back to the device.
void CachingAllocator::release_cached() {
  for (Pool* pool : {&small_, &large_}) {
    for (auto it = pool->begin(); it != pool->end();) {
      Block* b = *it;
      if (b->previous != nullptr || b->next != nullptr) {
        ++it;
        continue;
      }
      it = pool->erase(it);
      drop(b);
    }
  }
}

void CachingAllocator::drop(Block* b) {
  const cudaError_t error = cudaFree(b->data);
  stats_.reserved -= b->size;
  --details_.segments;
  delete b;
  if (error != cudaSuccess) cudaGetLastError();
}

void CachingAllocator::empty_cache() {
  const std::lock_guard<std::mutex> lock(mutex_);
  const DeviceGuard guard(device_);
  process_events(true);
  release_cached();
}

void CachingAllocator::record_stream(void* data, cudaStream_t stream) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto it = used_.find(data);
  if (it != used_.end() && it->second->stream != stream) it->second->other_streams.insert(stream);
}

void CachingAllocator::set_fraction(double fraction) {
  size_t free = 0;
  size_t total = 0;
  const DeviceGuard guard(device_);
  check(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
  const std::lock_guard<std::mutex> lock(mutex_);
  allowed_ = static_cast<size_t>(fraction * static_cast<double>(total));
}

void CachingAllocator::set_caching(bool on) {
  const std::lock_guard<std::mutex> lock(mutex_);
  caching_ = on;
}

void CachingAllocator::set_poison(bool on) {
  const std::lock_guard<std::mutex> lock(mutex_);
  poison_ = on;
}

void CachingAllocator::note_allocated(const Block* b) {
  ++stats_.allocations;
  stats_.allocated += b->size;
  stats_.peak_allocated = std::max(stats_.peak_allocated, stats_.allocated);
}

MemoryStats CachingAllocator::stats() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return stats_;
}

void CachingAllocator::reset_peak_stats() {
  const std::lock_guard<std::mutex> lock(mutex_);
  stats_.peak_allocated = stats_.allocated;
  stats_.peak_reserved = stats_.reserved;
}

AllocatorStats CachingAllocator::details() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  AllocatorStats d = details_;
  for (const Pool* pool : {&small_, &large_}) {
    for (const Block* b : *pool) {
      if (b->previous != nullptr || b->next != nullptr) d.inactive_split += b->size;
    }
  }
  return d;
}

}  // namespace ampgrad::cuda
