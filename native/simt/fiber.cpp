// The switch between stacks saves what the platform's calling convention asks a callee to keep,
// and nothing else. The layout of a fresh stack mirrors what the switch pops.
#include "simt/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

extern "C" void ampgrad_simt_switch(void** save_sp, void* load_sp);

#if defined(__x86_64__)
asm(R"(
.text
.globl ampgrad_simt_switch
.hidden ampgrad_simt_switch
.type ampgrad_simt_switch, @function
ampgrad_simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size ampgrad_simt_switch, .-ampgrad_simt_switch
)");
#elif defined(__aarch64__)
asm(R"(
.text
.globl ampgrad_simt_switch
.hidden ampgrad_simt_switch
.type ampgrad_simt_switch, %function
ampgrad_simt_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size ampgrad_simt_switch, .-ampgrad_simt_switch
)");
#else
#error "the emulator knows x86-64 and AArch64 only"
#endif

namespace simt {

namespace {

// The fiber that the first instruction of a fresh stack belongs to.
thread_local Fiber* starting = nullptr;

size_t page_size() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

}  // namespace

Fiber::Fiber(size_t stack_bytes, Entry entry) : entry_(entry) {
  const size_t page = page_size();
  bytes_ = (stack_bytes + page - 1) / page * page + page;
  void* mapping = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) throw std::bad_alloc();
  mapping_ = static_cast<char*>(mapping);
  mprotect(mapping_, page, PROT_NONE);
  restart();
}

Fiber::~Fiber() {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(mapping_, bytes_);
#endif
  munmap(mapping_, bytes_);
}

void Fiber::restart() {
#if defined(__SANITIZE_ADDRESS__)
  fake_stack_ = nullptr;
#endif
  forget_frames();
  void (*first)() = &Fiber::start;
  char* top = mapping_ + bytes_;
#if defined(__x86_64__)
  char* sp = top - 64;  // six registers, the return address, an empty frame's return address
  memset(sp, 0, 64);
  memcpy(sp + 48, &first, sizeof(first));
#else
  char* sp = top - 160;
  memset(sp, 0, 160);
  memcpy(sp + 88, &first, sizeof(first));
#endif
  sp_ = sp;
}

void Fiber::forget_frames() {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(mapping_ + page_size(), bytes_ - page_size());
#endif
}

void Fiber::start() {
  Fiber* self = starting;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &self->caller_stack_, &self->caller_stack_bytes_);
#endif
  self->entry_(self);
  std::abort();
}

void Fiber::resume() {
  starting = this;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&caller_fake_stack_, mapping_ + page_size(), bytes_ - page_size());
#endif
  ampgrad_simt_switch(&caller_sp_, sp_);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(caller_fake_stack_, nullptr, nullptr);
#endif
}

void Fiber::suspend() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&fake_stack_, caller_stack_, caller_stack_bytes_);
#endif
  ampgrad_simt_switch(&sp_, caller_sp_);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake_stack_, &caller_stack_, &caller_stack_bytes_);
#endif
}

bool Fiber::guards(const void* address) const {
  const char* at = static_cast<const char*>(address);
  return at >= mapping_ && at < mapping_ + page_size();
}

}  // namespace simt
