#include "backend/cuda/pinned.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <vector>

#include "backend/cuda/check.h"
#include "backend/cuda/context.h"

namespace ampgrad::cuda {

namespace {

struct Block {
  size_t size = 0;
  std::vector<cudaEvent_t> uses;  // one a copy
};

struct Pinned {
  std::mutex mutex;
  std::map<uintptr_t, Block> used;
  std::map<uintptr_t, Block> waiting;  // freed, copies still queued
  std::multimap<size_t, uintptr_t> free;
};

Pinned& pinned() {
  static auto* one = new Pinned();
  return *one;
}

size_t round_size(size_t bytes) {
  size_t size = 512;
  while (size < bytes) size *= 2;
  return size;
}

std::map<uintptr_t, Block>::iterator find(Pinned& p, const void* data) {
  const auto at = reinterpret_cast<uintptr_t>(data);
  auto it = p.used.upper_bound(at);
  if (it == p.used.begin()) return p.used.end();
  --it;
  return at < it->first + it->second.size ? it : p.used.end();
}

// Drops the events that have happened; true when none is left.
bool settle(Block* block) {
  std::erase_if(block->uses, [](cudaEvent_t event) {
    if (cudaEventQuery(event) == cudaErrorNotReady) return false;
    cudaEventDestroy(event);
    return true;
  });
  return block->uses.empty();
}

void settle_all(Pinned& p) {
  for (auto it = p.waiting.begin(); it != p.waiting.end();) {
    if (!settle(&it->second)) {
      ++it;
      continue;
    }
    p.free.emplace(it->second.size, it->first);
    it = p.waiting.erase(it);
  }
}

}  // namespace

void* allocate_pinned(int device, size_t bytes) {
  if (bytes > SIZE_MAX / 4) return nullptr;
  const size_t size = round_size(bytes);
  Pinned& p = pinned();
  const std::lock_guard<std::mutex> lock(p.mutex);
  settle_all(p);
  void* data = nullptr;
  if (const auto it = p.free.find(size); it != p.free.end()) {
    data = reinterpret_cast<void*>(it->second);
    p.free.erase(it);
  } else {
    enter_device(device);
    const cudaError_t error = cudaHostAlloc(&data, size, cudaHostAllocDefault);
    if (error == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      return nullptr;
    }
    check(error, "cudaHostAlloc");
  }
  p.used[reinterpret_cast<uintptr_t>(data)].size = size;
  return data;
}

void release_pinned(void* data) noexcept {
  Pinned& p = pinned();
  const std::lock_guard<std::mutex> lock(p.mutex);
  const auto it = p.used.find(reinterpret_cast<uintptr_t>(data));
  if (it == p.used.end()) return;
  if (it->second.uses.empty()) {
    p.free.emplace(it->second.size, it->first);
  } else {
    p.waiting[it->first] = std::move(it->second);
  }
  p.used.erase(it);
}

bool is_pinned(const void* data) {
  Pinned& p = pinned();
  const std::lock_guard<std::mutex> lock(p.mutex);
  return find(p, data) != p.used.end();
}

void note_pinned_use(const void* data, int device, cudaStream_t stream) {
  Pinned& p = pinned();
  const std::lock_guard<std::mutex> lock(p.mutex);
  const auto it = find(p, data);
  if (it == p.used.end()) return;
  settle(&it->second);
  enter_device(device);
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
  check(cudaEventRecord(event, stream), "cudaEventRecord");
  it->second.uses.push_back(event);
}

void empty_pinned_cache() {
  Pinned& p = pinned();
  const std::lock_guard<std::mutex> lock(p.mutex);
  settle_all(p);
  for (const auto& [size, data] : p.free) cudaFreeHost(reinterpret_cast<void*>(data));
  p.free.clear();
}

}  // namespace ampgrad::cuda
