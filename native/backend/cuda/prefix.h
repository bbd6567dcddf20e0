// Exclusive prefix sums of counts in device memory, in place, over any length.
#pragma once

#include <cstdint>

namespace ampgrad::cuda {

// data[i] becomes the sum of data[0..i). *total (device memory, or nullptr) gets the whole sum.
void exclusive_prefix(const char* name, int64_t* data, int64_t n, int64_t* total);

// The number that a kernel has left in device memory. Waits for it.
int64_t read_count(const int64_t* device_value);

}  // namespace ampgrad::cuda
