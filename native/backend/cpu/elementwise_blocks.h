// Block functions: one functor of native/math over a contiguous run of one compute type, for every
// row of ops/table/elementwise.def and every compute type of its dtype set. The SIMD units that
// instantiate them fill a table of plain pointers for the best instruction set of this machine;
// elementwise.cpp turns the table into kernel cells. Nothing here knows the op registry.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/attrs.h"
#include "core/dtype.h"

namespace ampgrad::cpu {

// out[i] = f(in[0][i], ...). Bit i of `single`: in[i] points to one element that stands for all.
// `out` may be the same memory as an input that is not single.
using BlockFn = void (*)(const void* const* in, void* out, size_t n, uint32_t single,
                         const Attrs& attrs);

enum class BlockRow : uint16_t {
#define AG_UNARY(name, ...) name,
#define AG_UNARY_ATTR(name, ...) name,
#define AG_BINARY(name, ...) name,
#define AG_BINARY_ATTR(name, ...) name,
#define AG_TERNARY(name, ...) name,
#define AG_ROW(name, ...)
#include "ops/table/elementwise.def"
#undef AG_UNARY
#undef AG_UNARY_ATTR
#undef AG_BINARY
#undef AG_BINARY_ATTR
#undef AG_TERNARY
#undef AG_ROW
  kCount
};

inline constexpr int kNumBlockRows = static_cast<int>(BlockRow::kCount);

struct BlockEntry {
  BlockFn fn = nullptr;
  // The same past the caches, for whole cache lines of `out` and other memory than the operands';
  // nullptr where a loop computes so long that a detour through a buffer does not matter.
  BlockFn stream = nullptr;
  // The same for long runs of whole lines that are not in a cache, where `out` is an operand;
  // nullptr as above.
  BlockFn in_place = nullptr;
  DType compute = DType::Float32;  // element type of the operands
  bool bool_result = false;        // writes bool, whatever it computes in
  uint8_t cost = 1;                // time per element, in units of an addition
  // Of a block that widens halves in registers: the same row in float32, which takes operands of
  // any dtype through buffers. Single operands are float32 in both.
  const BlockEntry* wide = nullptr;

  DType single_type() const { return wide == nullptr ? compute : wide->compute; }
};

struct BlockTable {
  // By compute type. float16 and bfloat16 compute in float32; rows of cheap functors have blocks of
  // their own for them where the processor converts halves, for others the driver converts.
  BlockEntry entries[kNumBlockRows][kNumDTypes];
};

// One per SIMD unit.
void fill_float_blocks(BlockTable* table);
void fill_double_blocks(BlockTable* table);
void fill_int_blocks(BlockTable* table);
void fill_half_blocks(BlockTable* table);

}  // namespace ampgrad::cpu
