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

}  // namespace ampgrad
