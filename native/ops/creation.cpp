// Tensors from nothing: uninitialised, filled, sequences; and the fills that write an existing one.
// Owns the checks of sizes and values and PyTorch's rules for the default dtype.
#include <cmath>
#include <cstring>

#include "ops/creation.h"
#include "ops/kernels.h"
#include "ops/ops.h"

namespace ampgrad {

Tensor new_tensor(const char* op, DimsView sizes, DType dtype, std::optional<Device> device) {
  check_sizes(op, sizes, dtype_size(dtype));
  return Tensor::empty(sizes, dtype, device.value_or(Device{}));
}

namespace {

struct Limits {
  double lowest;
  double highest;
};

Limits integer_limits(DType dtype) {
  switch (dtype) {
    case DType::UInt8:
      return {0, 255};
    case DType::Int8:
      return {-128, 127};
    case DType::Int16:
      return {-32768, 32767};
    case DType::Int32:
      return {-2147483648.0, 2147483647.0};
    default:
      // The largest double below 2^63.
      return {-9223372036854775808.0, 9223372036854774784.0};
  }
}

}  // namespace

double largest_finite(DType dtype) {
  switch (dtype) {
    case DType::Float16:
      return 65504.0;
    case DType::BFloat16:
      return 3.3895313892515355e38;
    case DType::Float32:
      return 3.4028234663852886e38;
    default:
      return 1.7976931348623157e308;
  }
}

bool scalar_fits(Scalar value, DType dtype) {
  if (dtype == DType::Bool) return true;
  if (is_floating(dtype)) {
    const double v = value.to_double();
    return !std::isfinite(v) || std::fabs(v) <= largest_finite(dtype);
  }
  const Limits limits = integer_limits(dtype);
  if (value.is_float()) {
    // Truncation towards zero happens first: 255.9 is a valid uint8.
    const double v = std::trunc(value.to_double());
    return v >= limits.lowest && v <= limits.highest;
  }
  if (dtype == DType::Int64) return true;
  const double v = static_cast<double>(value.to_int());
  // As in C, negative numbers wrap around for an unsigned dtype.
  const double lowest = dtype == DType::UInt8 ? -limits.highest : limits.lowest;
  return v >= lowest && v <= limits.highest;
}

void check_scalar_fits(const char* op, const char* argument, Scalar value, DType dtype) {
  if (scalar_fits(value, dtype)) return;
  // The usual cause is a mask value such as -1e9 in float16.
  const std::string advice = is_floating(dtype)
                                 ? std::string("; for a mask use finfo('") + dtype_name(dtype) +
                                       "').min, finfo('" + dtype_name(dtype) + "').max or Infinity"
                                 : std::string();
  if (value.is_float()) {
    AG_FAIL(Value, op, ": argument '", argument, "' has value ", value.to_double(),
            ", which cannot be converted to type ", dtype_name(dtype), " without overflow", advice);
  }
  AG_FAIL(Value, op, ": argument '", argument, "' has value ", value.to_int(),
          ", which cannot be converted to type ", dtype_name(dtype), " without overflow", advice);
}

void fill_tensor(const Tensor& t, Scalar value) {
  if (t.numel() == 0) return;
  FillParams p;
  p.data = t.data();
  p.dtype = t.dtype();
  p.sizes = t.sizes();
  p.strides = t.strides();
  p.numel = t.numel();
  p.value = value;
  KernelTable::run(OpId::fill_, t.device(), t.dtype(), p);
}

namespace {

Tensor filled(const char* op, DimsView sizes, DType dtype, std::optional<Device> device,
              Scalar value) {
  check_scalar_fits(op, "fillValue", value, dtype);
  Tensor t = new_tensor(op, sizes, dtype, device);
  fill_tensor(t, value);
  return t;
}

DType dtype_of_number(Scalar value) {
  if (value.is_bool()) return DType::Bool;
  return value.is_int() ? DType::Int64 : DType::Float32;
}

// Like-functions keep the input's dtype and device unless told otherwise.
Tensor filled_like(const char* op, const Tensor& input, std::optional<DType> dtype,
                   std::optional<Device> device, Scalar value) {
  return filled(op, input.sizes(), dtype.value_or(input.dtype()), device.value_or(input.device()),
                value);
}

// Number of values of arange, after the checks on bounds and step.
int64_t arange_length(Scalar start, Scalar end, Scalar step, DType dtype) {
  const double first = start.to_double();
  const double last = end.to_double();
  const double by = step.to_double();
  AG_CHECK(by != 0, Value, "arange: argument 'step' must be nonzero");
  AG_CHECK(std::isfinite(first) && std::isfinite(last) && !std::isnan(by), Value,
           "arange: unsupported range: ", first, " -> ", last);
  AG_CHECK((by > 0 && last >= first) || (by < 0 && last <= first), Value,
           "arange: upper bound and lower bound inconsistent with step sign: start ", first,
           ", end ", last, ", step ", by);
  double length = 0;
  if (!start.is_float() && !end.is_float() && !step.is_float() && is_integral(dtype)) {
    // Exact for integers beyond 2^53: the distance fits 64 unsigned bits.
    const bool up = step.to_int() > 0;
    const uint64_t distance =
        up ? static_cast<uint64_t>(end.to_int()) - static_cast<uint64_t>(start.to_int())
           : static_cast<uint64_t>(start.to_int()) - static_cast<uint64_t>(end.to_int());
    const uint64_t stride = up ? static_cast<uint64_t>(step.to_int())
                               : uint64_t{0} - static_cast<uint64_t>(step.to_int());
    AG_ASSERT(stride != 0);
    const uint64_t count = distance / stride + (distance % stride != 0 ? 1 : 0);
    AG_CHECK(count <= (uint64_t{1} << 62), Range, "arange: invalid size, possible overflow");
    return static_cast<int64_t>(count);
  }
  length = std::ceil((last - first) / by);
  AG_CHECK(length >= 0 && length <= 4611686018427387904.0, Range,
           "arange: invalid size, possible overflow: start ", first, ", end ", last, ", step ", by);
  return static_cast<int64_t>(length);
}

}  // namespace

namespace impl {

Tensor empty(DimsView size, std::optional<DType> dtype, std::optional<Device> device) {
  return new_tensor("empty", size, dtype.value_or(DType::Float32), device);
}

Tensor zeros(DimsView size, std::optional<DType> dtype, std::optional<Device> device) {
  return filled("zeros", size, dtype.value_or(DType::Float32), device, Scalar(0));
}

Tensor ones(DimsView size, std::optional<DType> dtype, std::optional<Device> device) {
  return filled("ones", size, dtype.value_or(DType::Float32), device, Scalar(1));
}

Tensor full(DimsView size, Scalar fill_value, std::optional<DType> dtype,
            std::optional<Device> device) {
  return filled("full", size, dtype.value_or(dtype_of_number(fill_value)), device, fill_value);
}

Tensor emptyLike(const Tensor& input, std::optional<DType> dtype, std::optional<Device> device) {
  return new_tensor("emptyLike", input.sizes(), dtype.value_or(input.dtype()),
                    device.value_or(input.device()));
}

Tensor zerosLike(const Tensor& input, std::optional<DType> dtype, std::optional<Device> device) {
  return filled_like("zerosLike", input, dtype, device, Scalar(0));
}

Tensor onesLike(const Tensor& input, std::optional<DType> dtype, std::optional<Device> device) {
  return filled_like("onesLike", input, dtype, device, Scalar(1));
}

Tensor fullLike(const Tensor& input, Scalar fill_value, std::optional<DType> dtype,
                std::optional<Device> device) {
  return filled_like("fullLike", input, dtype, device, fill_value);
}

Tensor arange(Scalar start, std::optional<Scalar> end, Scalar step, std::optional<DType> dtype,
              std::optional<Device> device) {
  const Scalar first = end.has_value() ? start : Scalar(0);
  const Scalar last = end.has_value() ? *end : start;
  const bool integers = !first.is_float() && !last.is_float() && !step.is_float();
  const DType out_dtype = dtype.value_or(integers ? DType::Int64 : DType::Float32);
  AG_CHECK(out_dtype != DType::Bool, DType, "arange: not implemented for bool");
  const bool whole = is_integral(out_dtype);
  AG_CHECK(!whole || step.to_int() != 0 || step.to_double() == 0, Value,
           "arange: argument 'step' must be nonzero as an integer, got ", step.to_double());
  int64_t n = arange_length(first, last, step, out_dtype);
  // int64 alone counts its steps between whole bounds.
  if (out_dtype == DType::Int64) {
    n = arange_length(Scalar(first.to_int()), Scalar(last.to_int()), Scalar(step.to_int()),
                      out_dtype);
  }
  check_scalar_fits("arange", "start", first, out_dtype);
  Tensor out = new_tensor("arange", {n}, out_dtype, device);
  if (n == 0) return out;
  SequenceParams p;
  p.out = out.data();
  p.dtype = out_dtype;
  p.numel = n;
  p.start = whole ? Scalar(first.to_int()) : first;
  p.step = whole ? Scalar(step.to_int()) : step;
  KernelTable::run(OpId::arange, out.device(), out_dtype, p);
  return out;
}

Tensor linspace(Scalar start, Scalar end, int64_t steps, std::optional<DType> dtype,
                std::optional<Device> device) {
  AG_CHECK(steps >= 0, Range, "linspace: argument 'steps' must be non-negative, got ", steps);
  const DType out_dtype = dtype.value_or(DType::Float32);
  AG_CHECK(out_dtype != DType::Bool, DType, "linspace: not implemented for bool");
  check_scalar_fits("linspace", "start", start, out_dtype);
  check_scalar_fits("linspace", "end", end, out_dtype);
  Tensor out = new_tensor("linspace", {steps}, out_dtype, device);
  if (steps == 0) return out;
  SequenceParams p;
  p.out = out.data();
  p.dtype = out_dtype;
  p.numel = steps;
  // Integers step between whole bounds.
  p.start = is_floating(out_dtype) ? start : Scalar(start.to_int());
  p.end = is_floating(out_dtype) ? end : Scalar(end.to_int());
  KernelTable::run(OpId::linspace, out.device(), out_dtype, p);
  return out;
}

Tensor eye(int64_t n, std::optional<int64_t> m, std::optional<DType> dtype,
           std::optional<Device> device) {
  const int64_t columns = m.value_or(n);
  AG_CHECK(n >= 0, Range, "eye: argument 'n' must be greater or equal to 0, got ", n);
  AG_CHECK(columns >= 0, Range, "eye: argument 'm' must be greater or equal to 0, got ", columns);
  Tensor out = filled("eye", {n, columns}, dtype.value_or(DType::Float32), device, Scalar(0));
  const int64_t length = n < columns ? n : columns;
  fill_tensor(out.alias({length}, {columns + 1}, out.offset()), Scalar(1));
  return out;
}

Tensor fill_(const Tensor& input, const Operand& value) {
  if (!value.is_tensor()) {
    check_scalar_fits("fill_", "value", value.scalar(), input.dtype());
    fill_tensor(input, value.scalar());
    return input;
  }
  AG_CHECK(value.tensor().ndim() == 0, Shape,
           "fill_: argument 'value' must be a number or a 0-dimension tensor, got tensor with ",
           static_cast<int64_t>(value.tensor().ndim()), " dimensions");
  copy_(input, value, false);
  return input;
}

Tensor zero_(const Tensor& input) {
  fill_tensor(input, Scalar(0));
  return input;
}

}  // namespace impl

}  // namespace ampgrad
