// Page-locked host memory, which copies reach without waiting. Making it is slow, so blocks are
// kept by size; one that a queued copy uses is not handed out again before the copy is done.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

namespace ampgrad::cuda {

// nullptr when the system has no more.
void* allocate_pinned(int device, size_t bytes);
void release_pinned(void* data) noexcept;
// Whether `data` lies in a block of the above.
bool is_pinned(const void* data);
// A copy that uses the block `data` lies in was queued on `stream` of `device`.
void note_pinned_use(const void* data, int device, cudaStream_t stream);
// Gives blocks that nobody uses back to the system.
void empty_pinned_cache();

}  // namespace ampgrad::cuda
