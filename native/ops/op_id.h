// OpId enumerates the rows of op_table.def. In a header of its own: kernels need no more of an op,
// and a unit of kernels is compiled once for every architecture.
#pragma once

#include <cstdint>

namespace ampgrad {

enum class OpId : uint16_t {
#define AG_ROW(name, ...) name,
#include "ops/op_table.def"
#undef AG_ROW
  kCount
};

inline constexpr int kNumOps = static_cast<int>(OpId::kCount);

// Every kernel takes its family's params struct and what its backend stored with the cell (for
// example the block function that a generic loop drives).
template <class Params>
using KernelFn = void (*)(const Params& params, const void* cell_data);

}  // namespace ampgrad
