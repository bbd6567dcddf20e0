#include "core/storage.h"

namespace ampgrad {

namespace {
std::atomic<int64_t> live_storages{0};
}

int64_t Storage::live_count() { return live_storages.load(std::memory_order_relaxed); }

Storage::Storage(Device device, size_t bytes) : bytes_(bytes), device_(device) {
  if (bytes != 0) {
    data_ = allocate_or_throw(device, bytes);
    account_ = thread_memory_account();
    account_->live_bytes.fetch_add(static_cast<int64_t>(bytes), std::memory_order_relaxed);
  }
  live_storages.fetch_add(1, std::memory_order_relaxed);
}

Storage::Storage(Device device, void* data, size_t bytes, void (*deleter)(void*), void* context)
    : data_(data), bytes_(bytes), device_(device), deleter_(deleter), context_(context) {
  live_storages.fetch_add(1, std::memory_order_relaxed);
}

Storage::~Storage() {
  live_storages.fetch_sub(1, std::memory_order_relaxed);
  if (deleter_ != nullptr) {
    deleter_(context_);
  } else if (data_ != nullptr) {
    allocator_for(device_).release(data_, bytes_);
    account_->live_bytes.fetch_sub(static_cast<int64_t>(bytes_), std::memory_order_relaxed);
  }
}

}  // namespace ampgrad
