#include "simt/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "simt/config.h"

namespace simt {

namespace {

constexpr size_t kRegion = size_t{1} << 36;  // addresses, not memory
constexpr size_t kAlign = 256;
constexpr unsigned char kMark = 0xa5;

size_t page_size() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }
size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

}  // namespace

DeviceMemory& device_memory() {
  static auto* one = new DeviceMemory();
  return *one;
}

DeviceMemory::Region& DeviceMemory::region(int device) {
  const auto index = static_cast<size_t>(device);
  if (regions_.size() <= index) regions_.resize(index + 1);
  Region& r = regions_[index];
  if (r.base == nullptr) {
    void* base =
        mmap(nullptr, kRegion, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) std::abort();
    r.base = static_cast<char*>(base);
  }
  return r;
}

void DeviceMemory::protect(const Allocation& a, bool reachable) const {
  mprotect(a.pages, a.page_bytes, reachable ? PROT_READ | PROT_WRITE : PROT_NONE);
}

void* DeviceMemory::allocate(int device, size_t bytes, size_t limit) {
  Region& r = region(device);
  const size_t page = page_size();
  const size_t pages = round_up(bytes, page);
  if (bytes > limit || r.used + bytes > limit || r.next + pages + 2 * page > kRegion)
    return nullptr;
  Allocation a;
  a.device = device;
  a.bytes = bytes;
  a.pages = r.base + r.next + page;
  a.page_bytes = pages;
  a.data = a.pages + (pages - round_up(bytes, kAlign));
  r.next += pages + page;
  r.used += bytes;
  protect(a, true);
  memset(a.pages, kMark, pages);
  memset(a.data, config().poison, bytes);
  if (open_ == 0) protect(a, false);
  live_[a.data] = &(all_[a.pages] = a);
  return a.data;
}

bool DeviceMemory::release(void* data) {
  const auto it = live_.find(static_cast<char*>(data));
  if (it == live_.end()) return false;
  Allocation& a = *it->second;
  live_.erase(it);
  a.live = false;
  region(a.device).used -= a.bytes;
  protect(a, false);
  madvise(a.pages, a.page_bytes, MADV_DONTNEED);
  return true;
}

const Allocation* DeviceMemory::find(const void* data, size_t bytes) const {
  const char* at = static_cast<const char*>(data);
  auto it = all_.upper_bound(at);
  if (it == all_.begin()) return nullptr;
  const Allocation& a = (--it)->second;
  const bool inside = a.live && at >= a.data && at + bytes <= a.data + a.bytes;
  return inside ? &a : nullptr;
}

size_t DeviceMemory::used(int device) const {
  const auto index = static_cast<size_t>(device);
  return index < regions_.size() ? regions_[index].used : 0;
}

void DeviceMemory::open() {
  if (open_++ > 0) return;
  for (const auto& [data, a] : live_) protect(*a, true);
}

void DeviceMemory::close() {
  if (--open_ > 0) return;
  for (const auto& [data, a] : live_) protect(*a, false);
}

void DeviceMemory::narrow_to(int device, const std::vector<int>& peers) {
  running_ = device;
  if (regions_.size() < 2) return;
  for (const auto& [data, a] : live_) {
    const bool reachable =
        a->device == device || std::find(peers.begin(), peers.end(), a->device) != peers.end();
    if (!reachable) protect(*a, false);
  }
}

void DeviceMemory::widen() {
  const int before = running_;
  running_ = -1;
  if (regions_.size() < 2) return;
  for (const auto& [data, a] : live_) {
    if (a->device != before) protect(*a, true);
  }
}

std::string DeviceMemory::check_ends() const {
  for (const auto& [data, a] : live_) {
    for (const char* p = data + a->bytes; p != a->pages + a->page_bytes; ++p) {
      if (static_cast<unsigned char>(*p) == kMark) continue;
      return "out of bounds: byte " + std::to_string(p - data) + " of a device allocation of " +
             std::to_string(a->bytes) + " bytes was written";
    }
  }
  return {};
}

std::string DeviceMemory::describe(const void* address) const {
  const char* at = static_cast<const char*>(address);
  bool inside = false;
  for (const Region& r : regions_) inside |= at >= r.base && at < r.base + kRegion;
  if (!inside) return {};
  // A guard page lies behind each allocation: the nearest one that starts before the address.
  auto it = all_.upper_bound(at);
  if (it == all_.begin()) return "device memory that was never allocated";
  const Allocation& a = (--it)->second;
  const std::string where = "byte " + std::to_string(at - a.data) + " of a device allocation of " +
                            std::to_string(a.bytes) + " bytes";
  if (!a.live) return where + " that has been freed (use after free)";
  if (running_ >= 0 && a.device != running_) return where + " of another device, not a peer";
  return where + (at >= a.data && at < a.data + a.bytes ? "" : " (out of bounds)");
}

void* DeviceMemory::allocate_host(size_t bytes) {
  void* data = std::aligned_alloc(kAlign, round_up(bytes, kAlign));
  if (data == nullptr) return nullptr;
  memset(data, config().poison, bytes);
  pinned_[static_cast<char*>(data)] = bytes;
  return data;
}

bool DeviceMemory::release_host(void* data) {
  if (pinned_.erase(static_cast<char*>(data)) == 0) return false;
  std::free(data);
  return true;
}

bool DeviceMemory::is_pinned(const void* data, size_t bytes) const {
  const char* at = static_cast<const char*>(data);
  auto it = pinned_.upper_bound(at);
  if (it == pinned_.begin()) return false;
  --it;
  return at + bytes <= it->first + it->second;
}

void DeviceMemory::reset() {
  for (const Region& r : regions_) {
    if (r.base != nullptr) munmap(r.base, kRegion);
  }
  regions_.clear();
  live_.clear();
  all_.clear();
  for (const auto& [data, bytes] : pinned_) std::free(const_cast<char*>(data));
  pinned_.clear();
  open_ = 0;
}

}  // namespace simt
