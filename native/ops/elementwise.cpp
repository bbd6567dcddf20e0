// Implementations of the element-wise rows. Those without options are expanded from the table; the
// others turn their options into functor attributes here.
#include "ops/elementwise.h"

#include <cmath>
#include <limits>

#include "ops/creation.h"
#include "ops/launch.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad::impl {

namespace {

// PyTorch works out numbers alone only for the four operations of arithmetic.
void check_has_tensor(OpId op, const Operand& a, const Operand& b) {
  AG_CHECK(a.is_tensor() || b.is_tensor(), Type, op_name(op),
           ": at least one of the two operands must be a Tensor, got two numbers");
}

}  // namespace

// clang-format off
#define AG_UNARY(name, functor, rule, ...) \
  Tensor name(const Tensor& input) { return launch_unary(OpId::name, ElementwiseRule::rule, input); }
#define AG_BINARY(name, functor, rule, ...)                                \
  Tensor name(const Operand& input, const Operand& other) {                \
    if (OpId::name != OpId::mul) check_has_tensor(OpId::name, input, other); \
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

#define AG_TWO_TENSORS(name, rule)                                         \
  Tensor name(const Tensor& input, const Tensor& other) {                  \
    return launch_binary(OpId::name, ElementwiseRule::rule, input, other); \
  }
#define AG_TENSOR_FIRST(name, rule)                                        \
  Tensor name(const Tensor& input, const Operand& other) {                 \
    return launch_binary(OpId::name, ElementwiseRule::rule, input, other); \
  }
AG_TWO_TENSORS(atan2, Float)
AG_TWO_TENSORS(hypot, Same)
AG_TWO_TENSORS(maximum, Same)
AG_TWO_TENSORS(minimum, Same)
AG_TWO_TENSORS(fmax, Same)
AG_TWO_TENSORS(fmin, Same)
AG_TWO_TENSORS(heaviside, Same)
AG_TWO_TENSORS(logaddexp, Same)
AG_TWO_TENSORS(logaddexp2, Same)
AG_TWO_TENSORS(gcd, Same)
AG_TWO_TENSORS(lcm, Same)
AG_TWO_TENSORS(logicalAnd, Logical)
AG_TWO_TENSORS(logicalOr, Logical)
AG_TWO_TENSORS(logicalXor, Logical)
AG_TENSOR_FIRST(eq, Bool)
AG_TENSOR_FIRST(ne, Bool)
AG_TENSOR_FIRST(lt, Bool)
AG_TENSOR_FIRST(le, Bool)
AG_TENSOR_FIRST(gt, Bool)
AG_TENSOR_FIRST(ge, Bool)
AG_TENSOR_FIRST(copysign, Float)
#undef AG_TWO_TENSORS
#undef AG_TENSOR_FIRST
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

// Integers cannot be divided by zero: found before the kernel runs, which has no way to raise.
void check_divisor(OpId op, const Operand& a, const Operand& b) {
  if (is_floating(result_type(a, b))) return;
  // `all` answers in uint8 for uint8: one byte either way.
  const bool has_zero = b.is_tensor() ? !first_truth(impl::all(b.tensor(), std::nullopt, false))
                                      : b.scalar().to_int() == 0;
  AG_CHECK(!has_zero, Value, op_name(op), ": integer division by zero: argument 'other' ",
           b.is_tensor() ? "holds a zero" : "is zero");
}

Tensor launch_division(OpId op, const Operand& a, const Operand& b) {
  check_divisor(op, a, b);
  return launch_binary(op, kSame, a, b);
}

// The bounds of a dtype as numbers that change nothing.
Scalar lowest_value(DType dtype) {
  switch (dtype) {
    case DType::UInt8:
      return Scalar(0);
    case DType::Int8:
      return Scalar(INT8_MIN);
    case DType::Int16:
      return Scalar(INT16_MIN);
    case DType::Int32:
      return Scalar(INT32_MIN);
    case DType::Int64:
      return Scalar(INT64_MIN);
    default:
      return Scalar(-std::numeric_limits<double>::infinity());
  }
}

Scalar highest_value(DType dtype) {
  switch (dtype) {
    case DType::UInt8:
      return Scalar(UINT8_MAX);
    case DType::Int8:
      return Scalar(INT8_MAX);
    case DType::Int16:
      return Scalar(INT16_MAX);
    case DType::Int32:
      return Scalar(INT32_MAX);
    case DType::Int64:
      return Scalar(INT64_MAX);
    default:
      return Scalar(std::numeric_limits<double>::infinity());
  }
}

Attrs number_attrs(Scalar value) {
  Attrs attrs;
  attrs.d[0] = value.to_double();
  attrs.i[0] = value.to_int();
  return attrs;
}

void check_number_fits(OpId op, const char* argument, Scalar value, DType result) {
  AG_CHECK(is_floating(result) || !value.is_float(), DType, op_name(op), ": argument '", argument,
           "' must not be a floating point number for integral input tensors");
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

Tensor rsub(const Tensor& input, const Operand& other, Scalar alpha) {
  return ops::sub(other, input, alpha);
}

Tensor div(const Operand& input, const Operand& other, std::optional<std::string> rounding_mode) {
  if (!rounding_mode.has_value()) {
    return launch_binary(OpId::div, ElementwiseRule::Float, input, other);
  }
  AG_CHECK(*rounding_mode == "trunc" || *rounding_mode == "floor", Value,
           "div: argument 'roundingMode' must be null, 'trunc' or 'floor', got '", *rounding_mode,
           "'");
  return launch_division(*rounding_mode == "trunc" ? OpId::truncDivide : OpId::floorDivide, input,
                         other);
}

Tensor truncDivide(const Operand& input, const Operand& other) {
  return launch_division(OpId::truncDivide, input, other);
}

Tensor floorDivide(const Operand& input, const Operand& other) {
  return launch_division(OpId::floorDivide, input, other);
}

Tensor remainder(const Operand& input, const Operand& other) {
  check_has_tensor(OpId::remainder, input, other);
  return launch_division(OpId::remainder, input, other);
}

Tensor fmod(const Tensor& input, const Operand& other) {
  return launch_division(OpId::fmod, input, other);
}

Tensor pow(const Operand& input, const Operand& exponent) {
  check_has_tensor(OpId::pow, input, exponent);
  if (!exponent.is_tensor()) {
    const Scalar e = exponent.scalar();
    if (e.is_bool() && result_type(input, exponent) == DType::Bool) {
      return e.to_bool() ? ops::clone(input.tensor()) : ops::onesLike(input.tensor());
    }
    AG_CHECK(e.is_float() || e.to_int() >= 0 || is_floating(result_type(input, exponent)), Value,
             "pow: integers to negative integer powers are not allowed, got exponent ", e.to_int());
  }
  return launch_binary(OpId::pow, kSame, input, exponent);
}

Tensor floatPower(const Operand& input, const Operand& exponent) {
  check_has_tensor(OpId::floatPower, input, exponent);
  const auto wide = [](const Operand& o) {
    return o.is_tensor() ? Operand(ops::to(o.tensor(), DType::Float64))
                         : Operand(o.scalar().to_double());
  };
  Tensor out = ops::pow(wide(input), wide(exponent));
  return out.dtype() == DType::Float64 ? out : ops::to(out, DType::Float64);
}

// The result never fits into anything narrower.
Tensor floatPower_(const Tensor& input, const Operand& exponent) {
  AG_CHECK(input.dtype() == DType::Float64, DType,
           "floatPower_: the base given to floatPower_ has ", "dtype ", dtype_name(input.dtype()),
           " but the operation's result requires dtype float64");
  // The derivative needs the base as it was.
  const Tensor base = ops::clone(input);
  return ops::copy_(input, Operand(ops::floatPower(Operand(base), exponent)), false);
}

namespace {

// The bits of a half type, in place.
Tensor reinterpreted(const Tensor& x, DType dtype) {
  return Tensor::from_storage(x.storage(), dtype, x.sizes(), x.strides(), x.offset());
}

// Neighbours of float16 and bfloat16 are one apart in the whole numbers that order them: the
// magnitude bits, negated below zero.
Tensor half_nextafter(const Tensor& a, const Tensor& b, DType dtype) {
  const OutputSlot shield{Tensor()};  // the target of an in-place call is not for the steps below
  const Tensor x = as_dtype(a, dtype);
  const Tensor y = as_dtype(b, dtype);
  const Tensor bits = as_dtype(reinterpreted(x, DType::Int16), DType::Int32);
  const Tensor magnitude = ops::bitwiseAnd(bits, Operand(0x7fff));
  const Tensor rank = ops::where(ops::lt(bits, Operand(0)), ops::neg(magnitude), magnitude);
  const Tensor moved = ops::sub(ops::add(rank, as_dtype(ops::lt(x, y), DType::Int32)),
                                as_dtype(ops::gt(x, y), DType::Int32));
  const Tensor negative = ops::bitwiseOr(ops::neg(moved), Operand(0x8000));
  const Tensor result = reinterpreted(
      as_dtype(ops::where(ops::lt(moved, Operand(0)), negative, moved), DType::Int16), dtype);
  // Equal operands give the second; NaN of either stays.
  const Tensor differ = ops::logicalOr(ops::lt(x, y), ops::gt(x, y));
  return ops::where(differ, result, ops::where(ops::isnan(x), x, y));
}

}  // namespace

Tensor nextafter(const Tensor& input, const Tensor& other) {
  const DType dtype = result_type(input, other);
  if (is_low_precision(dtype)) return half_nextafter(input, other, dtype);
  return launch_binary(OpId::nextafter, kSame, input, other);
}

Tensor ldexp(const Tensor& input, const Tensor& other) {
  if (!is_floating(input.dtype()) || is_floating(other.dtype()) || other.dtype() == DType::Bool) {
    return ops::mul(input, Operand(ops::pow(Operand(2.0), other)));
  }
  // Powers beyond the dtype's range may still lead into it. In float64 the products are exact, and
  // a third of what leads from its largest number to below its smallest is a normal number.
  constexpr int64_t kMost = 2200;
  const Tensor exponent = ops::clamp(ops::to(other, DType::Int64), Scalar(-kMost), Scalar(kMost));
  const Tensor third = ops::floorDivide(exponent, Operand(int64_t{3}));
  const auto power = [](const Tensor& e) {
    return Operand(ops::pow(Operand(2.0), Operand(ops::to(e, DType::Float64))));
  };
  const Operand part = power(third);
  const Operand rest = power(ops::sub(exponent, Operand(third), Scalar(2)));
  const Tensor wide = ops::to(input, DType::Float64);
  return ops::to(ops::mul(ops::mul(ops::mul(wide, part), part), rest), input.dtype());
}

Tensor isclose(const Tensor& input, const Tensor& other, double rtol, double atol, bool equal_nan) {
  AG_CHECK(input.dtype() == other.dtype(), DType, "isclose: ", dtype_name(input.dtype()),
           " did not match ", dtype_name(other.dtype()));
  AG_CHECK(rtol >= 0, Value, "isclose: argument 'rtol' must be at least zero, got ", rtol);
  AG_CHECK(atol >= 0, Value, "isclose: argument 'atol' must be at least zero, got ", atol);
  Attrs attrs;
  attrs.d[0] = rtol;
  attrs.d[1] = atol;
  attrs.i[0] = equal_nan ? 1 : 0;
  return launch_binary(OpId::isclose, ElementwiseRule::Bool, input, other, attrs);
}

bool allclose(const Tensor& input, const Tensor& other, double rtol, double atol, bool equal_nan) {
  const Tensor close = isclose(input, other, rtol, atol, equal_nan);
  return first_value<bool>(ops::all(close));
}

// Same sizes and same elements, of whatever dtypes; NaN differs from itself.
bool equal(const Tensor& input, const Tensor& other) {
  if (!(input.sizes() == other.sizes())) return false;
  return first_value<bool>(ops::all(ops::eq(input, Operand(other))));
}

// No dtype here is complex.
Tensor isreal(const Tensor& input) {
  Tensor out = Tensor::empty(input.sizes(), DType::Bool, input.device());
  fill_tensor(out, Scalar(true));
  return out;
}

Tensor polygamma(int64_t n, const Tensor& input) {
  AG_CHECK(n >= 0, Value, "polygamma: polygamma(n, x) does not support negative n, got ", n);
  Attrs attrs;
  attrs.i[0] = n;
  return launch_unary(OpId::polygamma, ElementwiseRule::Float, input, attrs);
}

Tensor round(const Tensor& input, int64_t decimals) {
  AG_CHECK(decimals == 0 || is_floating(input.dtype()), DType,
           "round: argument 'decimals' needs a floating point input, got ", describe(input));
  Attrs attrs;
  const double scale = std::pow(10.0, static_cast<double>(std::abs(decimals)));
  attrs.d[0] = decimals > 0 ? scale : 1;
  attrs.d[1] = decimals < 0 ? scale : 1;
  return launch_unary(OpId::round, kSame, input, attrs);
}

Tensor square(const Tensor& input) {
  return launch_unary(OpId::square, kSame,
                      input.dtype() == DType::Bool ? as_dtype(input, DType::Int64) : input);
}

Tensor nanToNum(const Tensor& input, double nan, std::optional<double> posinf,
                std::optional<double> neginf) {
  Attrs attrs;
  const double largest = is_floating(input.dtype()) ? largest_finite(input.dtype()) : 0;
  attrs.d[0] = nan;
  attrs.d[1] = posinf.value_or(largest);
  attrs.d[2] = neginf.value_or(-largest);
  return launch_unary(OpId::nanToNum, kSame, input, attrs);
}

Tensor logit(const Tensor& input, std::optional<double> eps) {
  Attrs attrs;
  attrs.d[0] = eps.value_or(-std::numeric_limits<double>::infinity());
  attrs.d[1] = eps.has_value() ? 1 - *eps : std::numeric_limits<double>::infinity();
  return launch_unary(OpId::logit, ElementwiseRule::Float, input, attrs);
}

Tensor clamp(const Tensor& input, const std::optional<Operand>& min,
             const std::optional<Operand>& max) {
  AG_CHECK(min.has_value() || max.has_value(), Value,
           "clamp: at least one of 'min' or 'max' must not be null");
  DType result = input.dtype();
  if (min.has_value()) result = result_type(Operand(input), *min);
  if (max.has_value()) {
    const Operand operands[] = {Operand(input), min.value_or(*max), *max};
    result = result_type(Span<Operand>(operands, 3));
  }
  const Operand operands[] = {Operand(input), min.value_or(Operand(lowest_value(result))),
                              max.value_or(Operand(highest_value(result)))};
  const DType compute = compute_dtype(OpId::clamp, kSame, result);
  return launch_elementwise_as(OpId::clamp, compute, compute, Span<Operand>(operands, 3));
}

namespace {
Tensor as_tensor(const Operand& o) {
  return o.is_tensor() ? o.tensor() : ops::full(Dims{}, o.scalar());
}
}  // namespace

// Truth values have no range to clamp to, but a tensor of bounds is just another operand.
Tensor clampMin(const Tensor& input, const Operand& min) {
  if (result_type(Operand(input), min) == DType::Bool) return ops::maximum(input, as_tensor(min));
  return ops::clamp(input, std::optional<Operand>(min), std::optional<Operand>());
}

Tensor clampMax(const Tensor& input, const Operand& max) {
  if (result_type(Operand(input), max) == DType::Bool) return ops::minimum(input, as_tensor(max));
  return ops::clamp(input, std::optional<Operand>(), std::optional<Operand>(max));
}

Tensor where(const Tensor& condition, const Operand& input, const Operand& other) {
  // Bytes are PyTorch's older masks.
  if (condition.dtype() == DType::UInt8)
    return ops::where(ops::ne(condition, Operand(0)), input, other);
  AG_CHECK(condition.dtype() == DType::Bool, DType,
           "where: argument 'condition' must be a bool tensor, got ", describe(condition));
  const DType compute = compute_dtype(OpId::where, kSame, result_type(input, other));
  if (is_floating(compute)) {  // PyTorch lets -1e9 become minus infinity in float16
    if (!input.is_tensor()) check_scalar_fits("where", "input", input.scalar(), compute);
    if (!other.is_tensor()) check_scalar_fits("where", "other", other.scalar(), compute);
  }
  const Operand operands[] = {Operand(condition), input, other};
  return launch_elementwise_as(OpId::where, compute, compute, Span<Operand>(operands, 3));
}

Tensor lerp(const Tensor& input, const Tensor& end, const Operand& weight) {
  AG_CHECK(input.dtype() == end.dtype(), DType, "lerp: expected dtype ", dtype_name(input.dtype()),
           " for argument 'end' but got dtype ", dtype_name(end.dtype()));
  AG_CHECK(!weight.is_tensor() || weight.tensor().dtype() == input.dtype(), DType,
           "lerp: expected dtype ", dtype_name(input.dtype()),
           " for argument 'weight' but got another one");
  const Operand operands[] = {Operand(input), Operand(end), weight};
  return launch_elementwise(OpId::lerp, kSame, Span<Operand>(operands, 3));
}

Tensor addcmul(const Tensor& input, const Tensor& tensor1, const Tensor& tensor2, Scalar value) {
  const Operand operands[] = {Operand(input), Operand(tensor1), Operand(tensor2)};
  check_number_fits(OpId::addcmul, "value", value, result_type(Span<Operand>(operands, 3)));
  return launch_elementwise(OpId::addcmul, kSame, Span<Operand>(operands, 3), number_attrs(value));
}

Tensor addcdiv(const Tensor& input, const Tensor& tensor1, const Tensor& tensor2, Scalar value) {
  AG_CHECK(is_floating(tensor1.dtype()) || is_floating(tensor2.dtype()), DType,
           "addcdiv: integer division is not supported; convert the operands or use "
           "div(..., { roundingMode: 'trunc' }), got ",
           describe(tensor1), " and ", describe(tensor2));
  const Operand operands[] = {Operand(input), Operand(tensor1), Operand(tensor2)};
  return launch_elementwise(OpId::addcdiv, kSame, Span<Operand>(operands, 3), number_attrs(value));
}

}  // namespace ampgrad::impl
