// Compiler portability for code shared by the host compiler and nvcc.
// Owns AG_HD (callable on host and device), AG_INLINE and AG_UNROLL. Includes nothing.
#pragma once

#if defined(__CUDACC__)
#define AG_HD __host__ __device__
#else
#define AG_HD
#endif

// Before a loop of a kernel whose bounds are constants.
#if defined(__CUDA_ARCH__)
#define AG_UNROLL _Pragma("unroll")
#else
#define AG_UNROLL
#endif

#define AG_INLINE inline __attribute__((always_inline))
#define AG_NOINLINE __attribute__((noinline))
#define AG_LIKELY(x) __builtin_expect(!!(x), 1)
#define AG_UNLIKELY(x) __builtin_expect(!!(x), 0)
