// Which instruction sets the kernels may use: all that the processor has, or fewer when
// AMPGRAD_CPU_CAPABILITY asks for it, to compare them or to reproduce what another machine
// computes.
#pragma once

namespace ampgrad::cpu {

// Reads AMPGRAD_CPU_CAPABILITY: 'avx2' or 'baseline' (x86-64's own). Before the first kernel runs.
void restrict_capability();
// False: nothing beyond AVX2 may be used, by code that does not go through Highway's dispatch.
bool may_use_avx512();

}  // namespace ampgrad::cpu
