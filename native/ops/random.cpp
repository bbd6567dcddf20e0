// Random tensors and in-place draws: checks of the distributions' parameters, reservation of a
// range of the generator's stream, launch. Which bits an element gets is math/random.h's affair.
#include <cmath>

#include "core/generators.h"
#include "ops/creation.h"
#include "ops/kernels.h"
#include "ops/ops.h"

namespace ampgrad {

namespace {

uint64_t blocks_for(int64_t n, int64_t per_block) {
  return static_cast<uint64_t>((n + per_block - 1) / per_block);
}

void check_float(const char* op, DType dtype) {
  AG_CHECK(is_floating(dtype), DType, op, ": expected a floating point dtype, got ",
           dtype_name(dtype));
}

// Draws into `target`, through a contiguous buffer when it is strided.
template <class Launch>
void draw_into(const Tensor& target, const Launch& launch) {
  if (target.numel() == 0) return;
  if (target.is_contiguous()) {
    launch(target);
    return;
  }
  Tensor buffer = Tensor::empty(target.sizes(), target.dtype(), target.device());
  launch(buffer);
  impl::copy_(target, Operand(buffer), false);
}

RandomParams params_for(const Tensor& t, int64_t per_block) {
  RandomParams p;
  p.out = t.data();
  p.dtype = t.dtype();
  p.numel = t.numel();
  p.state = default_generator(t.device()).reserve(blocks_for(t.numel(), per_block));
  return p;
}

// float64 takes two words a number.
int64_t float_numbers_per_block(DType dtype) { return dtype == DType::Float64 ? 2 : 4; }

void draw_float(OpId op, const Tensor& target, double a, double b) {
  draw_into(target, [&](const Tensor& t) {
    RandomParams p = params_for(t, float_numbers_per_block(t.dtype()));
    p.a = a;
    p.b = b;
    KernelTable::run(op, t.device(), t.dtype(), p);
  });
}

Tensor new_float(const char* op, DimsView sizes, std::optional<DType> dtype,
                 std::optional<Device> device) {
  check_float(op, dtype.value_or(DType::Float32));
  return new_tensor(op, sizes, dtype.value_or(DType::Float32), device);
}

double largest(DType dtype) {
  if (dtype == DType::Float16) return 65504.0;
  if (dtype == DType::BFloat16) return 3.3895313892515355e38;
  return dtype == DType::Float32 ? 3.4028234663852886e38 : 1.7976931348623157e308;
}

}  // namespace

namespace impl {

Tensor uniform_(const Tensor& input, double from, double to) {
  check_float("uniform_", input.dtype());
  const double limit = largest(input.dtype());
  AG_CHECK(std::fabs(from) <= limit, Value, "uniform_: argument 'from' is out of bounds for ",
           dtype_name(input.dtype()), ", got ", from);
  AG_CHECK(std::fabs(to) <= limit, Value, "uniform_: argument 'to' is out of bounds for ",
           dtype_name(input.dtype()), ", got ", to);
  AG_CHECK(from <= to, Value,
           "uniform_: expects to return a [from, to) range, but found from=", from, " > to=", to);
  AG_CHECK(to - from <= limit, Value, "uniform_: expects to-from <= the largest ",
           dtype_name(input.dtype()), ", but found to=", to, " and from=", from);
  draw_float(OpId::uniform_, input, from, to);
  return input;
}

Tensor normal_(const Tensor& input, double mean, double std) {
  check_float("normal_", input.dtype());
  AG_CHECK(std >= 0, Value, "normal_: expects std >= 0.0, but found std ", std);
  draw_float(OpId::normal_, input, mean, std);
  return input;
}

Tensor bernoulli_(const Tensor& input, double p) {
  AG_CHECK(p >= 0 && p <= 1, Value, "bernoulli_: expects p to be in [0, 1], but got p=", p);
  draw_into(input, [&](const Tensor& t) {
    RandomParams params = params_for(t, 4);
    params.a = p;
    KernelTable::run(OpId::bernoulli_, t.device(), t.dtype(), params);
  });
  return input;
}

Tensor rand(DimsView size, std::optional<DType> dtype, std::optional<Device> device) {
  Tensor t = new_float("rand", size, dtype, device);
  draw_float(OpId::uniform_, t, 0, 1);
  return t;
}

Tensor randn(DimsView size, std::optional<DType> dtype, std::optional<Device> device) {
  Tensor t = new_float("randn", size, dtype, device);
  draw_float(OpId::normal_, t, 0, 1);
  return t;
}

Tensor randLike(const Tensor& input, std::optional<DType> dtype, std::optional<Device> device) {
  Tensor t = new_float("randLike", input.sizes(), dtype.value_or(input.dtype()),
                       device.value_or(input.device()));
  draw_float(OpId::uniform_, t, 0, 1);
  return t;
}

Tensor randnLike(const Tensor& input, std::optional<DType> dtype, std::optional<Device> device) {
  Tensor t = new_float("randnLike", input.sizes(), dtype.value_or(input.dtype()),
                       device.value_or(input.device()));
  draw_float(OpId::normal_, t, 0, 1);
  return t;
}

Tensor randint(int64_t low, int64_t high, DimsView size, std::optional<DType> dtype,
               std::optional<Device> device) {
  const DType out_dtype = dtype.value_or(DType::Int64);
  AG_CHECK(low < high, Value,
           "randint: argument 'low' must be less than 'high', but found low=", low,
           " >= high=", high);
  check_scalar_fits("randint", "low", Scalar(low), out_dtype);
  check_scalar_fits("randint", "high", Scalar(high - 1), out_dtype);
  AG_CHECK(low >= 0 || out_dtype != DType::UInt8, Value,
           "randint: argument 'low' is out of bounds for uint8, got ", low);
  Tensor t = new_tensor("randint", size, out_dtype, device);
  if (t.numel() == 0) return t;
  RandomParams p = params_for(t, 2);
  p.low = low;
  p.range = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  KernelTable::run(OpId::randint, t.device(), out_dtype, p);
  return t;
}

Tensor randperm(int64_t n, std::optional<DType> dtype, std::optional<Device> device) {
  AG_CHECK(n >= 0, Range, "randperm: argument 'n' must be non-negative, got ", n);
  const DType out_dtype = dtype.value_or(DType::Int64);
  check_scalar_fits("randperm", "n", Scalar(n > 0 ? n - 1 : 0), out_dtype);
  Tensor t = new_tensor("randperm", {n}, out_dtype, device);
  if (n == 0) return t;
  const RandomParams p = params_for(t, 2);
  KernelTable::run(OpId::randperm, t.device(), out_dtype, p);
  return t;
}

}  // namespace impl

}  // namespace ampgrad
