// Running folds along a dimension: dtypes as in the reductions, launch.
#include "ops/kernels.h"
#include "ops/ops.h"
#include "ops/order_params.h"
#include "ops/shape_ops.h"

namespace ampgrad::impl {

namespace {

ScanParams scan_params(const Tensor& x, int64_t dim) {
  ScanParams p;
  p.in = x.data();
  p.dtype = x.dtype();
  for (size_t i = 0; i < x.ndim(); ++i) {
    const int64_t size = x.sizes()[i];
    if (static_cast<int64_t>(i) < dim) p.outer *= size;
    if (static_cast<int64_t>(i) == dim) p.size = size;
    if (static_cast<int64_t>(i) > dim) p.inner *= size;
  }
  return p;
}

Tensor run_fold(OpId op, const Tensor& input, int64_t dim, DType dtype, bool reverse) {
  const int64_t d = wrap_dim(op_name(op), dim, input.ndim());
  const Tensor x = as_contiguous(as_dtype(input, dtype));
  Tensor out = Tensor::empty(x.sizes(), dtype, x.device());
  ScanParams p = scan_params(x, d);
  p.out = out.data();
  p.reverse = reverse;
  KernelTable::run(op, x.device(), dtype, p);
  return out;
}

std::tuple<Tensor, Tensor> run_extreme(OpId op, const Tensor& input, int64_t dim) {
  const int64_t d = wrap_dim(op_name(op), dim, input.ndim());
  const Tensor x = as_contiguous(input);
  Tensor values = Tensor::empty(x.sizes(), x.dtype(), x.device());
  Tensor indices = Tensor::empty(x.sizes(), DType::Int64, x.device());
  ScanParams p = scan_params(x, d);
  p.out = values.data();
  p.indices = indices.data_as<int64_t>();
  KernelTable::run(op, x.device(), x.dtype(), p);
  return {values, indices};
}

DType fold_dtype(const Tensor& input, std::optional<DType> dtype) {
  return dtype.value_or(is_floating(input.dtype()) ? input.dtype() : DType::Int64);
}

}  // namespace

Tensor cumsum(const Tensor& input, int64_t dim, std::optional<DType> dtype, bool reverse) {
  return run_fold(OpId::cumsum, input, dim, fold_dtype(input, dtype), reverse);
}

Tensor cumprod(const Tensor& input, int64_t dim, std::optional<DType> dtype, bool reverse) {
  return run_fold(OpId::cumprod, input, dim, fold_dtype(input, dtype), reverse);
}

Tensor logcumsumexp(const Tensor& input, int64_t dim, bool reverse) {
  AG_CHECK(is_floating(input.dtype()), DType, "logcumsumexp: not implemented for ",
           dtype_name(input.dtype()));
  return run_fold(OpId::logcumsumexp, input, dim, input.dtype(), reverse);
}

std::tuple<Tensor, Tensor> cummax(const Tensor& input, int64_t dim) {
  return run_extreme(OpId::cummax, input, dim);
}

std::tuple<Tensor, Tensor> cummin(const Tensor& input, int64_t dim) {
  return run_extreme(OpId::cummin, input, dim);
}

}  // namespace ampgrad::impl
