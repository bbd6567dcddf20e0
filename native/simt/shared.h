// Shared memory of the running block: every array stands in a slot of its own, its end against an
// unreadable page, its start behind bytes that are checked when the block ends. Contents are
// poison until written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace simt {

class SharedMemory {
 public:
  SharedMemory() = default;
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  // Slot 0 holds the dynamic array.
  void start_block(size_t dynamic_bytes, int poison, size_t limit);
  // Empty, or what was written outside of its array.
  std::string end_block();

  void* dynamic() const { return slots_.empty() ? nullptr : slots_[0].data; }
  size_t dynamic_bytes() const { return slots_.empty() ? 0 : slots_[0].bytes; }
  // The array of a SharedSite in this block; nullptr when the limit is passed.
  void* array(int site, const char* name, size_t bytes);
  // Empty, or which array `address` lies just behind or before.
  std::string describe(const void* address) const;

 private:
  struct Slot {
    std::string name;
    char* mapping = nullptr;
    size_t mapping_bytes = 0;
    char* data = nullptr;
    size_t bytes = 0;
    bool live = false;  // in the running block
  };
  void open(Slot& slot, const std::string& name, size_t bytes);
  static void unmap(const Slot& slot);

  std::vector<Slot> slots_;
  int poison_ = 0xff;
  size_t limit_ = 0;
  size_t used_ = 0;
};

// One declaration of a shared array (one per instantiation of a template).
class SharedSite {
 public:
  explicit SharedSite(const char* name);
  void* get(size_t bytes) const;

 private:
  const char* name_;
  int index_;
};

}  // namespace simt
