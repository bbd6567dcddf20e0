#include "simt/shared.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <new>

#include "simt/config.h"
#include "simt/executor.h"
#include "simt/marks.h"

namespace simt {

namespace {

constexpr size_t kAlign = 16;
constexpr size_t kFront = 256;  // checked bytes before an array

size_t page_size() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

int num_sites = 1;  // 0 is the dynamic array

}  // namespace

SharedMemory::~SharedMemory() {
  for (const Slot& slot : slots_) unmap(slot);
}

void SharedMemory::unmap(const Slot& slot) {
  if (slot.mapping == nullptr) return;
  open_bytes(slot.mapping, slot.mapping + slot.mapping_bytes);
  munmap(slot.mapping, slot.mapping_bytes);
}

void SharedMemory::open(Slot& slot, const std::string& name, size_t bytes) {
  const size_t page = page_size();
  const size_t need = round_up(round_up(bytes, kAlign) + kFront, page) + 2 * page;
  if (slot.mapping_bytes < need) {
    unmap(slot);
    slot.mapping = nullptr;
    slot.mapping_bytes = 0;
    void* mapping = mmap(nullptr, need, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) throw std::bad_alloc();
    slot.mapping = static_cast<char*>(mapping);
    slot.mapping_bytes = need;
    mprotect(slot.mapping, page, PROT_NONE);
    mprotect(slot.mapping + need - page, page, PROT_NONE);
  }
  char* end = slot.mapping + slot.mapping_bytes - page;
  slot.name = name;
  slot.bytes = bytes;
  slot.data = end - round_up(bytes, kAlign);
  slot.live = true;
  open_bytes(slot.mapping + page, end);
  memset(slot.data - kFront, kMark, kFront);
  memset(slot.data, poison_, bytes);
  memset(slot.data + bytes, kMark, static_cast<size_t>(end - slot.data) - bytes);
  if (config().close_surroundings) {
    close_bytes(slot.mapping + page, slot.data);
    close_bytes(slot.data + bytes, end);
  }
}

void SharedMemory::start_block(size_t dynamic_bytes, int poison, size_t limit) {
  poison_ = poison;
  limit_ = limit;
  used_ = dynamic_bytes;
  if (slots_.empty()) slots_.resize(1);
  for (Slot& slot : slots_) slot.live = false;
  open(slots_[0], "the dynamic shared memory", dynamic_bytes);
}

std::string SharedMemory::end_block() {
  for (const Slot& slot : slots_) {
    if (!slot.live) continue;
    const char* end = slot.mapping + slot.mapping_bytes - page_size();
    if (find_damage(slot.data - kFront, slot.data) != nullptr) {
      return "out of bounds: something before the start of " + slot.name + " was written";
    }
    if (find_damage(slot.data + slot.bytes, end) != nullptr) {
      return "out of bounds: something behind the end of " + slot.name + " (" +
             std::to_string(slot.bytes) + " bytes) was written";
    }
  }
  return {};
}

void* SharedMemory::array(int site, const char* name, size_t bytes) {
  const size_t index = static_cast<size_t>(site);
  if (slots_.size() <= index) slots_.resize(index + 1);
  Slot& slot = slots_[index];
  if (!slot.live) {
    used_ += round_up(bytes, kAlign);
    if (used_ > limit_) return nullptr;
    open(slot, std::string("shared array '") + name + "'", bytes);
  }
  return slot.data;
}

std::string SharedMemory::describe(const void* address) const {
  const char* at = static_cast<const char*>(address);
  for (const Slot& slot : slots_) {
    if (slot.mapping == nullptr || at < slot.mapping || at >= slot.mapping + slot.mapping_bytes) {
      continue;
    }
    const auto distance = at - slot.data;
    return "out of bounds: byte " + std::to_string(distance) + " of " + slot.name + ", which has " +
           std::to_string(slot.bytes) + " bytes";
  }
  return {};
}

SharedSite::SharedSite(const char* name) : name_(name), index_(num_sites++) {}

void* SharedSite::get(size_t bytes) const {
  void* data = executor().shared().array(index_, name_, bytes);
  if (data == nullptr) {
    executor().fail([&] {
      return "shared memory: '" + std::string(name_) +
             "' and what stands before it need "
             "more than the " +
             std::to_string(executor().launch().shared_limit) + " bytes that this launch may use";
    }());
  }
  return data;
}

}  // namespace simt
