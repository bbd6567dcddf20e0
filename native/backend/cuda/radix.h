// A stable radix sort of rows of unsigned keys; what it gives besides the sorted keys is the
// position that each had.
#pragma once

#include <cstdint>

namespace ampgrad::cuda {

// Device memory for [rows, size] elements each. `keys` holds the input.
template <class Key>
struct RadixBuffers {
  Key* keys = nullptr;
  uint32_t* order = nullptr;
  Key* keys2 = nullptr;
  uint32_t* order2 = nullptr;
};

// Sorts by the low `bits` bits. size < 2^32. Afterwards b.keys and b.order are the result, the
// others are free.
template <class Key>
void radix_sort(const char* name, RadixBuffers<Key>* b, int64_t rows, int64_t size, int bits);

}  // namespace ampgrad::cuda
