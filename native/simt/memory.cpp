#include "simt/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "simt/config.h"
#include "simt/control.h"
#include "simt/marks.h"

namespace simt {

namespace {

constexpr size_t kRegion = size_t{1} << 36;  // addresses, not memory
constexpr size_t kAlign = 256;

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

bool DeviceMemory::protect(const Allocation& a, bool reachable) const {
  return 0 == mprotect(a.pages, a.page_bytes, reachable ? PROT_READ | PROT_WRITE : PROT_NONE);
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
  // The system bounds the number of mappings, and each allocation is one.
  if (!protect(a, true)) return nullptr;
  r.used += bytes;
  memset(a.pages, kMark, pages);
  memset(a.data, config().poison, bytes);
  if (config().close_surroundings) {
    close_bytes(a.pages, a.data);
    close_bytes(a.data + bytes, a.pages + pages);
  }
  protect(a, false);
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
  install_fault_handler();  // which asks open_at
  ++open_;
}

void DeviceMemory::close() {
  if (--open_ > 0) return;
  shut([](const Allocation&) { return true; });
}

bool DeviceMemory::may_reach(const Allocation& a) const {
  return running_ < 0 || a.device == running_ ||
         std::find(peers_.begin(), peers_.end(), a.device) != peers_.end();
}

bool DeviceMemory::open_at(const void* address) {
  if (open_ == 0) return false;
  const char* at = static_cast<const char*>(address);
  auto it = all_.upper_bound(at);
  if (it == all_.begin()) return false;
  Allocation& a = (--it)->second;
  if (!a.live || a.reachable || at >= a.pages + a.page_bytes || !may_reach(a)) return false;
  if (!protect(a, true)) return false;
  a.reachable = true;
  opened_.push_back(&a);
  return true;
}

template <class F>
void DeviceMemory::shut(const F& which) {
  std::vector<Allocation*> kept;
  for (Allocation* a : opened_) {
    if (!which(*a)) {
      kept.push_back(a);
      continue;
    }
    if (a->live) protect(*a, false);
    a->reachable = false;
  }
  opened_ = std::move(kept);
}

void DeviceMemory::narrow_to(int device, const std::vector<int>& peers) {
  running_ = device;
  peers_ = peers;
  shut([&](const Allocation& a) { return !may_reach(a); });
}

void DeviceMemory::widen() { running_ = -1; }

std::string DeviceMemory::check_ends(bool far) const {
  for (const Allocation* a : opened_) {  // nothing else can have been written
    if (!a->live) continue;
    const auto room = static_cast<size_t>(a->data - a->pages);
    const char* damaged = find_damage(a->data - (far ? room : std::min(room, kAlign)), a->data);
    if (damaged == nullptr) damaged = find_damage(a->data + a->bytes, a->pages + a->page_bytes);
    if (damaged == nullptr) continue;
    return "out of bounds: byte " + std::to_string(damaged - a->data) +
           " of a device allocation of " + std::to_string(a->bytes) + " bytes was written";
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
  void* data = nullptr;  // of exactly the bytes asked for, so that a sanitizer knows the end
  if (posix_memalign(&data, kAlign, bytes) != 0) return nullptr;
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
  for (const auto& [pages, a] : all_) {  // the addresses may get other uses
    open_bytes(pages, a.data);
    open_bytes(a.data + a.bytes, pages + a.page_bytes);
  }
  for (const Region& r : regions_) {
    if (r.base != nullptr) munmap(r.base, kRegion);
  }
  regions_.clear();
  opened_.clear();
  live_.clear();
  all_.clear();
  for (const auto& [data, bytes] : pinned_) std::free(const_cast<char*>(data));
  pinned_.clear();
  open_ = 0;
}

}  // namespace simt
