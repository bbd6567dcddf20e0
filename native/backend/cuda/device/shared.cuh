// Declarations of shared memory that mean the same under nvcc and on the emulator, where a shared
// array is a block's own allocation of exactly this size.
#pragma once

#include <cuda_runtime.h>

#if defined(AMPGRAD_SIMT)
#define AG_SHARED_ARRAY(T, name, count)               \
  static const ::simt::SharedSite name##_site(#name); \
  T* const name = ::simt::shared_array<T>(name##_site, count)
#else
#define AG_SHARED_ARRAY(T, name, count) __shared__ T name[count]
#endif
