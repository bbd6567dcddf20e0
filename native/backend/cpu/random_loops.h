// The loops behind the random kernels: runs of elements [begin, end) of a draw, each a pure
// function of (seed, offset, element), vectorised for the running machine
// (backend/cpu/random_loops.cpp).
#pragma once

#include <cstdint>

#include "core/rng.h"

namespace ampgrad::cpu {

// `begin` must be a multiple of 4; out points at element `begin`.
void uniform_words(PhiloxState state, int64_t begin, int64_t end, uint32_t* out);
void uniform_floats(PhiloxState state, int64_t begin, int64_t end, float* out);
// Standard normal numbers.
void normal_floats(PhiloxState state, int64_t begin, int64_t end, float* out);

}  // namespace ampgrad::cpu
