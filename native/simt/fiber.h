// Stackful fibers for the threads of an emulated block: a stack with a guard page and a switch in
// a few instructions of assembly (x86-64, AArch64). With AddressSanitizer every switch is
// announced, so that its shadow stack follows. A fiber runs on the OS thread that resumes it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace simt {

class Fiber {
 public:
  using Entry = void (*)(Fiber* self);

  // The first resume runs `entry(this)`, which must never return.
  Fiber(size_t stack_bytes, Entry entry);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Called outside of fibers: runs this fiber until it suspends.
  void resume();
  // Called on this fiber: back to whoever resumed it.
  void suspend();
  // Forgets where the fiber stood: the next resume starts `entry` again. Locals are not destroyed.
  void restart();

  // Tells AddressSanitizer that no frame on the stack is in use any more.
  void forget_frames();

  // Whether `address` lies in the guard page below the stack.
  bool guards(const void* address) const;
  uintptr_t top() const { return reinterpret_cast<uintptr_t>(mapping_ + bytes_); }

 private:
  static void start();

  char* mapping_ = nullptr;
  size_t bytes_ = 0;  // of the mapping, guard page included
  void* sp_ = nullptr;
  void* caller_sp_ = nullptr;
  Entry entry_;
  void* fake_stack_ = nullptr;         // AddressSanitizer's, of the fiber
  void* caller_fake_stack_ = nullptr;  // and of the resumer
  const void* caller_stack_ = nullptr;
  size_t caller_stack_bytes_ = 0;
};

}  // namespace simt
