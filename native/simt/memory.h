// Memory of the emulated devices: exact allocations between unreadable pages, poisoned when they
// are made and when they are given back, and out of the host's reach except while work of a stream
// runs. Also pinned host memory. Addresses are not used again soon, so that late users are caught.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace simt {

struct Allocation {
  char* data = nullptr;
  size_t bytes = 0;
  char* pages = nullptr;  // first page, and how many bytes may be used by kernels
  size_t page_bytes = 0;
  int device = 0;
  bool live = true;
  bool reachable = false;
};

class DeviceMemory {
 public:
  // nullptr: the device is full.
  void* allocate(int device, size_t bytes, size_t limit);
  bool release(void* data);
  // The live allocation that holds all of [data, data + bytes), or nullptr.
  const Allocation* find(const void* data, size_t bytes) const;
  size_t used(int device) const;

  // Between open and close (they nest) the memory can be reached: the first access to an allocation
  // faults, and the handler asks open_at, so that a launch pays for what it touches only.
  void open();
  void close();
  // Whether the address may be reached now and has been made reachable.
  bool open_at(const void* address);
  // While a kernel of `device` runs, only the memory of it and of its peers can be reached.
  void narrow_to(int device, const std::vector<int>& peers);
  void widen();
  // Empty, or which allocation was written behind its end or in the 256 bytes before its start;
  // `far`: anywhere on the page that it starts on.
  std::string check_ends(bool far) const;
  // Empty, or what `address` means; for an address that is no device memory, empty.
  std::string describe(const void* address) const;

  void* allocate_host(size_t bytes);
  bool release_host(void* data);
  bool is_pinned(const void* data, size_t bytes) const;
  // Forgets every allocation.
  void reset();

 private:
  struct Region {
    char* base = nullptr;
    size_t next = 0;
    size_t used = 0;
  };
  Region& region(int device);
  // False when the system refuses.
  bool protect(const Allocation& a, bool reachable) const;
  bool may_reach(const Allocation& a) const;
  // Takes those of the opened allocations out of reach again.
  template <class F>
  void shut(const F& which);

  std::vector<Region> regions_;
  std::map<const char*, Allocation> all_;    // by first page; released ones too
  std::map<const char*, Allocation*> live_;  // by data
  std::vector<Allocation*> opened_;
  std::map<const char*, size_t> pinned_;
  int open_ = 0;
  int running_ = -1;  // device of the running kernel
  std::vector<int> peers_;
};

DeviceMemory& device_memory();

}  // namespace simt
