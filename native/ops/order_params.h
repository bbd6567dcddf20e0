// Parameter structs of the kernels of scans, order, search and gathering: what the op layer hands
// to a backend after all checks. Kernels may trust them, except for the range of indices that are
// data.
#pragma once

#include <cstdint>

#include "core/dtype.h"
#include "core/shape.h"

namespace ampgrad {

// A running fold along `size` of contiguous [outer, size, inner]; `indices` (cummax, cummin) has
// the shape of the output.
struct ScanParams {
  const void* in = nullptr;
  void* out = nullptr;
  int64_t* indices = nullptr;
  DType dtype = DType::Float32;
  int64_t outer = 1, size = 1, inner = 1;
  bool reverse = false;
};

// Order along the rows of a contiguous [rows, size]: `k` results a row (the sorted row for sort).
struct SortParams {
  const void* in = nullptr;
  void* values = nullptr;
  int64_t* indices = nullptr;
  DType dtype = DType::Float32;
  int64_t rows = 0, size = 0, k = 0;
  bool descending = false;
};

// Groups of equal rows of a contiguous [rows, size]. Written: first row of each group (in the order
// of the groups), group of each row, size of each group, number of groups.
struct UniqueParams {
  const void* in = nullptr;
  DType dtype = DType::Float32;
  int64_t rows = 0, size = 0;
  bool consecutive = false;
  int64_t* first = nullptr;
  int64_t* group = nullptr;
  int64_t* counts = nullptr;
  int64_t* num_groups = nullptr;
};

// Positions of values [rows, num_values] in ascending rows [rows or 1, size]; both have the dtype
// of the cell and are contiguous. `sorter` (or null) lists the order of each row.
struct SearchParams {
  const void* sorted = nullptr;
  const void* values = nullptr;
  const int64_t* sorter = nullptr;
  int64_t* out = nullptr;
  DType dtype = DType::Float32;
  int64_t rows = 1, size = 0, num_values = 0;
  bool shared_row = true;
  bool right = false;
};

}  // namespace ampgrad
