// Reductions: dimension lists, result dtypes, PyTorch's errors for empty inputs, and the launch.
#include "ops/reduce.h"

#include "ops/creation.h"
#include "ops/kernels.h"
#include "ops/ops.h"

namespace ampgrad {

uint64_t reduced_dims(const char* op, const Tensor& input, const std::optional<Dims>& dim) {
  return dim_mask(op, dim.has_value() ? DimsView(*dim) : DimsView(), input.ndim(), true);
}

ReduceParams reduce_params(const Tensor& input, uint64_t mask) {
  ReduceParams p;
  p.in = input.data();
  p.in_dtype = input.dtype();
  for (size_t d = 0; d < input.ndim(); ++d) {
    const bool reduced = (mask >> d & 1u) != 0;
    (reduced ? p.reduced_sizes : p.kept_sizes).push_back(input.sizes()[d]);
    (reduced ? p.reduced_strides : p.kept_strides).push_back(input.strides()[d]);
  }
  p.kept_numel = element_count(p.kept_sizes);
  p.reduced_numel = element_count(p.reduced_sizes);
  return p;
}

Dims reduced_sizes(const Tensor& input, uint64_t mask, bool keepdim) {
  Dims sizes;
  for (size_t d = 0; d < input.ndim(); ++d) {
    if ((mask >> d & 1u) == 0) {
      sizes.push_back(input.sizes()[d]);
    } else if (keepdim) {
      sizes.push_back(1);
    }
  }
  return sizes;
}

Dims keepdim_sizes(DimsView input_sizes, uint64_t mask) {
  Dims sizes(input_sizes);
  for (size_t d = 0; d < sizes.size(); ++d) {
    if ((mask >> d & 1u) != 0) sizes[d] = 1;
  }
  return sizes;
}

namespace {

// Runs `op` over the dimensions of `mask`. `key` picks the kernel: the dtype the input is read as.
Tensor run_reduce(OpId op, const Tensor& input, uint64_t mask, bool keepdim, DType key,
                  DType out_dtype) {
  Tensor out = Tensor::empty(reduced_sizes(input, mask, keepdim), out_dtype, input.device());
  ReduceParams p = reduce_params(input, mask);
  p.compute = key;
  p.out = out.data();
  p.out_dtype = out_dtype;
  KernelTable::run(op, input.device(), key, p);
  return out;
}

// Extremes of nothing do not exist: every reduced dimension must have elements, unless the result
// is empty as well.
void check_not_empty(const char* op, const Tensor& input, uint64_t mask, bool dim_given) {
  if (input.numel() != 0) return;
  AG_CHECK(dim_given, Range, op,
           ": Expected reduction dim to be specified for input.numel() == 0. Specify the reduction "
           "dim with the 'dim' argument.");
  for (size_t d = 0; d < input.ndim(); ++d) {
    AG_CHECK((mask >> d & 1u) == 0 || input.sizes()[d] != 0, Range, op, ": Expected reduction dim ",
             static_cast<int64_t>(d), " to have non-zero size, got shape ", input.sizes());
  }
}

DType sum_dtype(const Tensor& input, std::optional<DType> dtype) {
  if (dtype.has_value()) return *dtype;
  return is_floating(input.dtype()) ? input.dtype() : DType::Int64;
}

Tensor run_extreme(OpId op, const Tensor& input, const std::optional<Dims>& dim, bool keepdim) {
  const char* name = op_name(op);
  const uint64_t mask = reduced_dims(name, input, dim);
  check_not_empty(name, input, mask, dim.has_value() && !dim->empty());
  return run_reduce(op, input, mask, keepdim, input.dtype(), input.dtype());
}

std::tuple<Tensor, Tensor> run_indexed(OpId op, const Tensor& input, int64_t dim, bool keepdim) {
  const char* name = op_name(op);
  const int64_t d = wrap_dim(name, dim, input.ndim());
  const uint64_t mask = input.ndim() == 0 ? 0 : uint64_t{1} << d;
  check_not_empty(name, input, mask, true);
  const Dims sizes = reduced_sizes(input, mask, keepdim);
  Tensor values = Tensor::empty(sizes, input.dtype(), input.device());
  Tensor indices = Tensor::empty(sizes, DType::Int64, input.device());
  ReduceParams p = reduce_params(input, mask);
  p.compute = input.dtype();
  p.out = values.data();
  p.out_dtype = input.dtype();
  p.indices = indices.data_as<int64_t>();
  KernelTable::run(op, input.device(), input.dtype(), p);
  return {values, indices};
}

Tensor run_arg(OpId op, const Tensor& input, std::optional<int64_t> dim, bool keepdim) {
  const char* name = op_name(op);
  uint64_t mask = dim_mask(name, {}, input.ndim(), true);
  if (dim.has_value() && input.ndim() != 0) {
    mask = uint64_t{1} << wrap_dim(name, *dim, input.ndim());
  } else if (dim.has_value()) {
    wrap_dim(name, *dim, 0);
  }
  check_not_empty(name, input, mask, dim.has_value());
  Tensor indices = Tensor::empty(reduced_sizes(input, mask, keepdim), DType::Int64, input.device());
  ReduceParams p = reduce_params(input, mask);
  p.compute = input.dtype();
  p.out_dtype = input.dtype();
  p.indices = indices.data_as<int64_t>();
  KernelTable::run(op, input.device(), input.dtype(), p);
  return indices;
}

// uint8 answers in uint8, everything else in bool.
Tensor run_logical(OpId op, const Tensor& input, const std::optional<Dims>& dim, bool keepdim) {
  const uint64_t mask = reduced_dims(op_name(op), input, dim);
  const DType out = input.dtype() == DType::UInt8 ? DType::UInt8 : DType::Bool;
  return run_reduce(op, input, mask, keepdim, input.dtype(), out);
}

}  // namespace

namespace impl {

Tensor sum(const Tensor& input, std::optional<Dims> dim, bool keepdim, std::optional<DType> dtype) {
  const uint64_t mask = reduced_dims("sum", input, dim);
  const DType out = sum_dtype(input, dtype);
  // A sum of truth values that stays a truth value is `any`.
  if (out == DType::Bool) {
    return run_reduce(OpId::any, input, mask, keepdim, input.dtype(), DType::Bool);
  }
  return run_reduce(OpId::sum, input, mask, keepdim, out, out);
}

Tensor mean(const Tensor& input, std::optional<Dims> dim, bool keepdim,
            std::optional<DType> dtype) {
  const DType out = dtype.value_or(input.dtype());
  AG_CHECK(is_floating(out), DType, "mean: could not infer output dtype. ",
           dtype.has_value() ? "Optional" : "Input",
           " dtype must be a floating point dtype. Got: ", dtype_name(out));
  const uint64_t mask = reduced_dims("mean", input, dim);
  return run_reduce(OpId::mean, input, mask, keepdim, out, out);
}

Tensor amax(const Tensor& input, std::optional<Dims> dim, bool keepdim) {
  return run_extreme(OpId::amax, input, dim, keepdim);
}

Tensor amin(const Tensor& input, std::optional<Dims> dim, bool keepdim) {
  return run_extreme(OpId::amin, input, dim, keepdim);
}

std::tuple<Tensor, Tensor> maxDim(const Tensor& input, int64_t dim, bool keepdim) {
  return run_indexed(OpId::maxDim, input, dim, keepdim);
}

std::tuple<Tensor, Tensor> minDim(const Tensor& input, int64_t dim, bool keepdim) {
  return run_indexed(OpId::minDim, input, dim, keepdim);
}

Tensor argmax(const Tensor& input, std::optional<int64_t> dim, bool keepdim) {
  return run_arg(OpId::argmax, input, dim, keepdim);
}

Tensor argmin(const Tensor& input, std::optional<int64_t> dim, bool keepdim) {
  return run_arg(OpId::argmin, input, dim, keepdim);
}

Tensor all(const Tensor& input, std::optional<Dims> dim, bool keepdim) {
  return run_logical(OpId::all, input, dim, keepdim);
}

Tensor any(const Tensor& input, std::optional<Dims> dim, bool keepdim) {
  return run_logical(OpId::any, input, dim, keepdim);
}

}  // namespace impl

}  // namespace ampgrad
