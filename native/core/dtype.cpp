#include "core/dtype.h"

#include <string_view>

namespace ampgrad {

bool parse_dtype(const char* name, size_t length, DType* out) {
  const std::string_view text(name, length);
  for (int i = 0; i < kNumDTypes; ++i) {
    if (text == kDTypeNames[i]) {
      *out = static_cast<DType>(i);
      return true;
    }
  }
  return false;
}

DType promote_types(DType a, DType b) {
  if (a == b) return a;
  const int category_a = dtype_category(a);
  const int category_b = dtype_category(b);
  if (category_a != category_b) return category_a > category_b ? a : b;
  if (category_a == 1) {
    // uint8 with a signed type needs the next wider signed type: uint8 + int8 -> int16.
    if ((a == DType::UInt8 && b == DType::Int8) || (a == DType::Int8 && b == DType::UInt8)) {
      return DType::Int16;
    }
    return a > b ? a : b;
  }
  // float16 and bfloat16 have no common 16-bit type.
  if (is_low_precision(a) && is_low_precision(b)) return DType::Float32;
  return a > b ? a : b;
}

}  // namespace ampgrad
