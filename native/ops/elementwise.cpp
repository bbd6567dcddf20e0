// Implementations of the element-wise rows. Those without options are expanded from the table; the
// others turn their options into functor attributes here.
#include "ops/elementwise.h"

#include "ops/launch.h"
#include "ops/ops.h"

namespace ampgrad::impl {

// clang-format off
#define AG_UNARY(name, functor, rule, ...) \
  Tensor name(const Tensor& input) { return launch_unary(OpId::name, ElementwiseRule::rule, input); }
#define AG_BINARY(name, functor, rule, ...)                                \
  Tensor name(const Operand& input, const Operand& other) {                \
    return launch_binary(OpId::name, ElementwiseRule::rule, input, other); \
  }
#define AG_UNARY_ATTR(...)
#define AG_BINARY_ATTR(...)
#define AG_TERNARY(...)
#define AG_ROW(...)
#include "ops/table/elementwise.def"
#undef AG_UNARY
#undef AG_BINARY
#undef AG_UNARY_ATTR
#undef AG_BINARY_ATTR
#undef AG_TERNARY
#undef AG_ROW
// clang-format on

namespace {

constexpr ElementwiseRule kSame = ElementwiseRule::Same;

// The factor of the second operand: an integer result takes no fraction.
Attrs alpha_attrs(OpId op, const Operand& a, const Operand& b, Scalar alpha) {
  Attrs attrs;
  attrs.d[0] = alpha.to_double();
  attrs.i[0] = alpha.to_int();
  if (alpha.is_int() && attrs.i[0] == 1) return attrs;
  const DType result = result_type(a, b);
  AG_CHECK(!alpha.is_bool() || result == DType::Bool, DType, op_name(op),
           ": argument 'alpha' may be a boolean only for boolean results");
  AG_CHECK(is_floating(result) || !alpha.is_float(), DType, op_name(op),
           ": argument 'alpha' must not be a floating point number for integral input tensors");
  return attrs;
}

bool is_bool(const Operand& o) {
  return o.is_tensor() ? o.tensor().dtype() == DType::Bool : o.scalar().is_bool();
}

}  // namespace

Tensor add(const Operand& input, const Operand& other, Scalar alpha) {
  return launch_binary(OpId::add, kSame, input, other, alpha_attrs(OpId::add, input, other, alpha));
}

Tensor sub(const Operand& input, const Operand& other, Scalar alpha) {
  AG_CHECK(!is_bool(input) && !is_bool(other), DType,
           "sub: Subtraction, the `-` operator, with a bool tensor is not supported. If you are "
           "trying to invert a mask, use logicalNot() or bitwiseNot() instead.");
  return launch_binary(OpId::sub, kSame, input, other, alpha_attrs(OpId::sub, input, other, alpha));
}

Tensor div(const Operand& input, const Operand& other,
           const std::optional<std::string>& rounding_mode) {
  AG_CHECK(!rounding_mode.has_value(), NotImplemented, "div: argument 'roundingMode'");
  return launch_binary(OpId::div, ElementwiseRule::Float, input, other);
}

}  // namespace ampgrad::impl
