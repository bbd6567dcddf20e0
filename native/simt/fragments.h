// Which element of a 16x16 matrix a lane of a warp holds at which place of its fragment: drawn from
// the seed of the launch, and never the one that a plain layout or today's hardware has there.
#pragma once

#include <cuda_runtime.h>

#include <string>

namespace simt {

// The element (row * 16 + column) at place i of `per_lane` (8, or 16 with every element twice).
int fragment_element(int lane, int i, int per_lane);

// Fails the kernel on an emulated device older than `arch`.
void require_arch(int arch, const char* what);

}  // namespace simt
