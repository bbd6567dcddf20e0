// Blocks of memory as the system gives them.
#pragma once

#include <cstddef>

namespace ampgrad {

// Blocks of this size and more come in pages of this size, where the system has them.
inline constexpr size_t kHugePage = size_t{2} << 20;

// 64-byte aligned, given back by std::free; nullptr when there is no more. `size` is a multiple of
// 64.
void* system_allocate(size_t size);

// Lets malloc keep what small objects leave behind. Once a process.
void keep_small_memory();

}  // namespace ampgrad
