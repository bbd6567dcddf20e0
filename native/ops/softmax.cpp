// softmax and log-softmax along any dimension, and the kernels' backward forms, which are ops of
// their own so that they can be differentiated again.
#include "ops/kernels.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

RowParams row_params(const char* op, const Tensor& contiguous, int64_t dim) {
  const int64_t d = wrap_dim(op, dim, contiguous.ndim());
  RowParams p;
  p.dtype = contiguous.dtype();
  p.in = contiguous.data();
  for (size_t i = 0; i < contiguous.ndim(); ++i) {
    const int64_t size = contiguous.sizes()[i];
    if (static_cast<int64_t>(i) < d) p.outer *= size;
    if (static_cast<int64_t>(i) == d) p.size = size;
    if (static_cast<int64_t>(i) > d) p.inner *= size;
  }
  return p;
}

Tensor run_forward(OpId op, const Tensor& input, int64_t dim, std::optional<DType> dtype) {
  const char* name = op_name(op);
  const DType out_dtype = dtype.value_or(input.dtype());
  wrap_dim(name, dim, input.ndim());
  AG_CHECK(is_floating(out_dtype), DType, name, ": not implemented for ", dtype_name(out_dtype),
           " on ", device_type_name(input.device().type),
           "; pass a floating point 'dtype' or convert the input");
  const Tensor x = as_contiguous(as_dtype(input, out_dtype));
  Tensor out = Tensor::empty(x.sizes(), out_dtype, x.device());
  RowParams p = row_params(name, x, dim);
  p.out = out.data();
  KernelTable::run(op, x.device(), out_dtype, p);
  return out;
}

Tensor run_backward(OpId op, const Tensor& grad, const Tensor& output, int64_t dim) {
  const char* name = op_name(op);
  AG_CHECK(grad.sizes() == output.sizes(), Shape, name, ": argument 'grad' has shape ",
           grad.sizes(), " but the output has shape ", output.sizes());
  AG_CHECK(grad.dtype() == output.dtype(), DType, name, ": argument 'grad' has dtype ",
           dtype_name(grad.dtype()), " but the output has dtype ", dtype_name(output.dtype()));
  const Tensor g = as_contiguous(grad);
  const Tensor y = as_contiguous(output);
  Tensor out = Tensor::empty(y.sizes(), y.dtype(), y.device());
  RowParams p = row_params(name, g, dim);
  p.in2 = y.data();
  p.out = out.data();
  KernelTable::run(op, y.device(), y.dtype(), p);
  return out;
}

}  // namespace

namespace impl {

Tensor softmax(const Tensor& input, int64_t dim, std::optional<DType> dtype) {
  return run_forward(OpId::softmax, input, dim, dtype);
}

Tensor logSoftmax(const Tensor& input, int64_t dim, std::optional<DType> dtype) {
  return run_forward(OpId::logSoftmax, input, dim, dtype);
}

Tensor softmaxBackward(const Tensor& grad, const Tensor& output, int64_t dim) {
  return run_backward(OpId::softmaxBackward, grad, output, dim);
}

Tensor logSoftmaxBackward(const Tensor& grad, const Tensor& output, int64_t dim) {
  return run_backward(OpId::logSoftmaxBackward, grad, output, dim);
}

}  // namespace impl

}  // namespace ampgrad
