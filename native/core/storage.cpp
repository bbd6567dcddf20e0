#include "core/storage.h"

#include <cmath>
#include <map>
#include <mutex>

#include "core/error.h"

namespace ampgrad {

namespace {

std::atomic<int64_t> live_storages{0};

// How many storages of each size are alive. Small ones are left out: they are many, and never what
// fills a memory.
constexpr size_t kNotable = size_t{1} << 20;

struct Holders {
  std::mutex mutex;
  std::map<size_t, int64_t> counts[kNumDeviceTypes];
};

Holders& holders() {
  static auto* all = new Holders();  // storages may outlive static destruction
  return *all;
}

void note_holder(Device device, size_t bytes, int64_t change) {
  if (bytes < kNotable) return;
  Holders& all = holders();
  const std::lock_guard<std::mutex> lock(all.mutex);
  auto& counts = all.counts[static_cast<int>(device.type)];
  if ((counts[bytes] += change) == 0) counts.erase(bytes);
}

}  // namespace

std::string Storage::largest_holders(Device device) {
  constexpr int kShown = 4;
  constexpr double kMiB = 1024.0 * 1024.0;
  Holders& all = holders();
  const std::lock_guard<std::mutex> lock(all.mutex);
  const auto& counts = all.counts[static_cast<int>(device.type)];
  detail::MessageBuilder text;
  int shown = 0;
  for (auto it = counts.rbegin(); it != counts.rend() && shown < kShown; ++it, ++shown) {
    text << (shown == 0 ? "" : ", ") << it->second << " x "
         << std::round(static_cast<double>(it->first) / kMiB * 10) / 10 << " MiB";
  }
  return text.take();
}

int64_t Storage::live_count() { return live_storages.load(std::memory_order_relaxed); }

Storage::Storage(Device device, size_t bytes) : bytes_(bytes), device_(device) {
  if (bytes != 0) {
    data_ = allocate_or_throw(device, bytes);
    account_ = thread_memory_account();
    account_->live_bytes.fetch_add(static_cast<int64_t>(bytes), std::memory_order_relaxed);
    note_holder(device, bytes, 1);
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
    note_holder(device_, bytes_, -1);
    account_->live_bytes.fetch_sub(static_cast<int64_t>(bytes_), std::memory_order_relaxed);
  }
}

}  // namespace ampgrad
