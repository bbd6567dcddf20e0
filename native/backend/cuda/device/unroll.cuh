// Loops of kernels that are to be unrolled in part, or (by 1) not at all: what is in flight takes
// registers.
#pragma once

#if defined(__CUDA_ARCH__)
#define AG_PRAGMA(text) _Pragma(#text)
#define AG_UNROLL_BY(n) AG_PRAGMA(unroll n)
#else
#define AG_UNROLL_BY(n)
#endif
