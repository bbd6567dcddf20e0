#include "core/system_block.h"

#include <sys/mman.h>

#include <cstdlib>

namespace ampgrad {

void* system_allocate(size_t size) {
  if (size < kHugePage) return std::aligned_alloc(64, size);
  void* p = std::aligned_alloc(kHugePage, (size + kHugePage - 1) / kHugePage * kHugePage);
#if defined(MADV_HUGEPAGE)
  if (p != nullptr) madvise(p, size, MADV_HUGEPAGE);
#endif
  return p;
}

// Between two collections a program drops megabytes of handles and small tensors, and V8 makes
// lists of them. glibc gives free memory at the top of its heap back to the system, to have it
// again page fault by page fault, unless a block of half its size was unmapped before: 890 faults a
// collection of a loop over small tensors, an eighth of its time.
void keep_small_memory() {
#if defined(__GLIBC__)
  constexpr size_t kBlock = size_t{4} << 20;
  void* volatile block = std::malloc(kBlock);  // volatile: the pair must not vanish
  std::free(block);
#endif
}

}  // namespace ampgrad
