// Fills the kernel table for every element-wise row and for copy_.
#include "backend/cpu/copy.h"
#include "backend/cpu/elementwise.h"
#include "backend/cpu/register.h"
#include "ops/kernels.h"

namespace ampgrad::cpu {

namespace {

struct RowInfo {
  OpId op;
  DTypeSet dtypes;
  bool logical;  // one bool kernel stands in every cell
};

using namespace dtypes;

constexpr bool is_logical(const char* rule) { return rule[0] == 'L'; }

// In the order of BlockRow.
constexpr RowInfo kRows[] = {
#define AG_UNARY(name, functor, rule, set, ...) {OpId::name, set, is_logical(#rule)},
#define AG_UNARY_ATTR(name, schema, functor, rule, set, ...) {OpId::name, set, is_logical(#rule)},
#define AG_BINARY(name, functor, rule, set, ...) {OpId::name, set, is_logical(#rule)},
#define AG_BINARY_ATTR(name, schema, functor, rule, set, ...) {OpId::name, set, is_logical(#rule)},
#define AG_TERNARY(name, schema, functor, rule, set, ...) {OpId::name, set, is_logical(#rule)},
#define AG_ROW(name, ...)
#include "ops/table/elementwise.def"
#undef AG_UNARY
#undef AG_UNARY_ATTR
#undef AG_BINARY
#undef AG_BINARY_ATTR
#undef AG_TERNARY
#undef AG_ROW
};

}  // namespace

void register_elementwise() {
  static const BlockTable* const table = [] {
    auto* t = new BlockTable();
    fill_float_blocks(t);
    fill_double_blocks(t);
    fill_int_blocks(t);
    fill_half_blocks(t);  // after float32's, to which they refer
    return t;
  }();
  for (int row = 0; row < kNumBlockRows; ++row) {
    const RowInfo& info = kRows[row];
    for (int d = 0; d < kNumDTypes; ++d) {
      const auto dtype = static_cast<DType>(d);
      if (!info.dtypes.has(dtype)) continue;
      const BlockEntry* const entries = table->entries[row];
      const bool through_float =
          is_low_precision(dtype) && entries[static_cast<int>(dtype)].fn == nullptr;
      const DType compute = info.logical ? DType::Bool : through_float ? DType::Float32 : dtype;
      const BlockEntry& entry = entries[static_cast<int>(compute)];
      AG_ASSERT(entry.fn != nullptr);
      KernelTable::set<ElementwiseParams>(info.op, DeviceType::Cpu, dtype, elementwise, &entry);
    }
  }
  for (int d = 0; d < kNumDTypes; ++d) {
    KernelTable::set<ElementwiseParams>(OpId::copy_, DeviceType::Cpu, static_cast<DType>(d),
                                        copy_strided);
  }
}

}  // namespace ampgrad::cpu
