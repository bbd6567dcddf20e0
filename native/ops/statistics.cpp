// Products, variances, norms, log-sum-exp and the reductions that skip NaN: kernels of their own or
// compositions, with PyTorch's dtype rules and errors.
#include <cmath>

#include "ops/kernels.h"
#include "ops/ops.h"
#include "ops/reduce.h"
#include "ops/shape_ops.h"

namespace ampgrad::impl {

namespace {

Tensor run_reduce(OpId op, const Tensor& input, uint64_t mask, bool keepdim, DType dtype,
                  double attr = 0) {
  Tensor out = Tensor::empty(reduced_sizes(input, mask, keepdim), dtype, input.device());
  ReduceParams p = reduce_params(input, mask);
  p.compute = dtype;
  p.out = out.data();
  p.out_dtype = dtype;
  p.attrs.d[0] = attr;
  KernelTable::run(op, input.device(), dtype, p);
  return out;
}

Tensor run_variance(OpId op, const Tensor& input, const std::optional<Dims>& dim,
                    std::optional<bool> unbiased, bool keepdim, std::optional<Scalar> correction) {
  const char* name = op_name(op);
  AG_CHECK(is_floating(input.dtype()), DType, name,
           ": std and var only support floating point dtypes, got ", describe(input));
  AG_CHECK(!unbiased.has_value() || !correction.has_value(), Value, name,
           ": arguments 'unbiased' and 'correction' exclude each other");
  const double off =
      correction.has_value() ? correction->to_double() : (unbiased.value_or(true) ? 1.0 : 0.0);
  return run_reduce(op, input, reduced_dims(name, input, dim), keepdim, input.dtype(), off);
}

// Half precision is widened for a chain of ops and rounded once at its end.
Tensor widened(const Tensor& x) {
  return is_low_precision(x.dtype()) ? as_dtype(x, DType::Float32) : x;
}

Tensor power_norm(const Tensor& x, double ord, const std::optional<Dims>& dim, bool keepdim) {
  const Tensor magnitude = ops::abs(x);
  if (ord == INFINITY) return ops::amax(magnitude, dim, keepdim);
  if (ord == -INFINITY) return ops::amin(magnitude, dim, keepdim);
  if (ord == 0) return ops::sum(ops::ne(x, Operand(0)), dim, keepdim, std::optional(x.dtype()));
  if (ord == 1) return ops::sum(magnitude, dim, keepdim);
  return ops::pow(ops::sum(ops::pow(magnitude, Operand(ord)), dim, keepdim), Operand(1 / ord));
}

// Numbers that are infinite must not be subtracted from themselves.
Tensor finite_or_zero(const Tensor& x) { return ops::where(ops::isfinite(x), x, Operand(0.0)); }

}  // namespace

Tensor prod(const Tensor& input, std::optional<int64_t> dim, bool keepdim,
            std::optional<DType> dtype) {
  DType out = is_floating(input.dtype()) ? input.dtype() : DType::Int64;
  if (dtype.has_value()) out = *dtype;
  AG_CHECK(dim.has_value() || !keepdim, Value, "prod: argument 'keepdim' needs 'dim'");
  std::optional<Dims> dims;
  if (dim.has_value()) dims = Dims{*dim};
  const uint64_t mask = reduced_dims("prod", input, dims);
  // A product of truth values that stays a truth value is `all`.
  if (out == DType::Bool) return ops::all(as_dtype(input, DType::Bool), dims, keepdim);
  return run_reduce(OpId::prod, input, mask, keepdim, out);
}

Tensor var(const Tensor& input, std::optional<Dims> dim, std::optional<bool> unbiased, bool keepdim,
           std::optional<Scalar> correction) {
  return run_variance(OpId::var, input, dim, unbiased, keepdim, correction);
}

Tensor std(const Tensor& input, std::optional<Dims> dim, std::optional<bool> unbiased, bool keepdim,
           std::optional<Scalar> correction) {
  return run_variance(OpId::std, input, dim, unbiased, keepdim, correction);
}

std::tuple<Tensor, Tensor> varMean(const Tensor& input, std::optional<Dims> dim,
                                   std::optional<bool> unbiased, bool keepdim,
                                   std::optional<Scalar> correction) {
  Tensor variance = ops::var(input, dim, unbiased, keepdim, correction);
  return {variance, ops::mean(input, dim, keepdim)};
}

std::tuple<Tensor, Tensor> stdMean(const Tensor& input, std::optional<Dims> dim,
                                   std::optional<bool> unbiased, bool keepdim,
                                   std::optional<Scalar> correction) {
  Tensor deviation = ops::std(input, dim, unbiased, keepdim, correction);
  return {deviation, ops::mean(input, dim, keepdim)};
}

Tensor vectorNorm(const Tensor& input, Scalar ord, std::optional<Dims> dim, bool keepdim,
                  std::optional<DType> dtype) {
  AG_CHECK(is_floating(input.dtype()), DType,
           "vectorNorm: Expected a floating point tensor as input. Got ", describe(input));
  AG_CHECK(!dtype.has_value() || is_floating(*dtype), DType,
           "vectorNorm: argument 'dtype' must be a floating point dtype, got ",
           dtype_name(dtype.value_or(input.dtype())));
  const DType out = dtype.value_or(input.dtype());
  const double order = ord.to_double();
  const uint64_t mask = reduced_dims("vectorNorm", input, dim);
  if (order == 2) return run_reduce(OpId::vectorNorm, input, mask, keepdim, out);
  if (order == INFINITY || order < 0) {
    for (size_t d = 0; d < input.ndim(); ++d) {
      AG_CHECK((mask >> d & 1u) == 0 || input.sizes()[d] != 0, Shape,
               "vectorNorm: cannot compute the norm of order ", order,
               " over an empty dimension: the operation has no identity, got shape ",
               input.sizes());
    }
  }
  return as_dtype(power_norm(widened(as_dtype(input, out)), order, dim, keepdim), out);
}

Tensor norm(const Tensor& input, std::optional<Scalar> p, std::optional<Dims> dim, bool keepdim,
            std::optional<DType> dtype) {
  AG_CHECK(is_floating(input.dtype()), DType,
           "norm: expected a floating point tensor as input, got ", describe(input));
  return ops::vectorNorm(input, p.value_or(Scalar(2)), dim, keepdim, dtype);
}

Tensor logsumexp(const Tensor& input, DimsView dim, bool keepdim) {
  const DType out = is_floating(input.dtype()) ? input.dtype() : DType::Float32;
  const Tensor x = widened(as_dtype(input, out));
  const std::optional<Dims> dims{Dims(dim)};
  reduced_dims("logsumexp", input, dims);
  if (x.numel() == 0) {
    return as_dtype(ops::log(ops::sum(ops::exp(x), dims, keepdim)), out);
  }
  const Tensor top = finite_or_zero(ops::amax(x, dims, true));
  const Tensor total = ops::log(ops::sum(ops::exp(ops::sub(x, top)), dims, true));
  Tensor result = ops::add(total, top);
  if (!keepdim) {
    result = ops::reshape(result, reduced_sizes(x, reduced_dims("logsumexp", x, dims), false));
  }
  return as_dtype(result, out);
}

Tensor nansum(const Tensor& input, std::optional<Dims> dim, bool keepdim,
              std::optional<DType> dtype) {
  if (!is_floating(input.dtype())) return ops::sum(input, dim, keepdim, dtype);
  const Tensor numbers = ops::where(ops::isnan(input), Operand(0.0), input);
  return ops::sum(numbers, dim, keepdim, dtype);
}

Tensor nanmean(const Tensor& input, std::optional<Dims> dim, bool keepdim,
               std::optional<DType> dtype) {
  AG_CHECK(is_floating(input.dtype()), DType,
           "nanmean: expected input to have a floating point dtype but got ", describe(input));
  const Tensor count = ops::sum(ops::logicalNot(ops::isnan(input)), dim, keepdim);
  return ops::div(ops::nansum(input, dim, keepdim, dtype), count);
}

Tensor countNonzero(const Tensor& input, std::optional<Dims> dim) {
  return ops::sum(ops::ne(input, Operand(0)), dim);
}

std::tuple<Tensor, Tensor> aminmax(const Tensor& input, std::optional<int64_t> dim, bool keepdim) {
  std::optional<Dims> dims;
  if (dim.has_value()) dims = Dims{*dim};
  Tensor low = ops::amin(input, dims, keepdim);
  return {low, ops::amax(input, dims, keepdim)};
}

}  // namespace ampgrad::impl
