// Layer, RMS and group norm: shapes, checks and launches of the row kernels, and their backward
// forms, which are ops of their own so that they can be differentiated again.
#include "ops/norm.h"

#include <limits>

#include "ops/kernels.h"
#include "ops/norm_params.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

DType norm_param_dtype(const char* op, const Tensor& input,
                       std::initializer_list<const Tensor*> params) {
  const DType wide = opmath_dtype(input.dtype());
  DType result = input.dtype();
  for (const Tensor* p : params) {
    if (!p->defined()) continue;
    AG_CHECK(p->dtype() == input.dtype() || p->dtype() == wide, DType, op,
             ": expected parameters of dtype ", dtype_name(input.dtype()), " or ", dtype_name(wide),
             " for an input of ", dtype_name(input.dtype()), ", got ", dtype_name(p->dtype()));
    AG_CHECK(p->device() == input.device(), Device, op,
             ": expected all tensors on the same device, got ", to_string(input.device()), " and ",
             to_string(p->device()));
    if (p->dtype() == wide) result = wide;
  }
  return result;
}

Tensor norm_param(const Tensor& param, DType dtype) {
  return param.defined() ? as_contiguous(as_dtype(param, dtype)) : param;
}

bool mask_at(const char* op, DimsView mask, size_t i, size_t count) {
  AG_CHECK(mask.size() == count, Value, op, ": argument 'outputMask' must have ",
           static_cast<int64_t>(count), " entries, got ", static_cast<int64_t>(mask.size()));
  return mask[i] != 0;
}

Tensor no_result(const Tensor& like) { return Tensor::empty({0}, like.dtype(), like.device()); }

namespace {

// How an input falls into rows.
struct RowShape {
  int64_t rows = 1, groups = 1, channels = 1, spatial = 1;
};

void check_float_input(const char* op, const Tensor& input) {
  AG_CHECK(is_floating(input.dtype()), DType, op, ": not implemented for ",
           dtype_name(input.dtype()), "; argument 'input' must be floating point");
}

RowShape trailing_rows(const char* op, const Tensor& input, DimsView shape, const Tensor& weight,
                       const Tensor& bias) {
  check_float_input(op, input);
  AG_CHECK(!shape.empty(), Shape, op,
           ": Expected normalized_shape to be at least 1-dimensional, i.e., containing at least "
           "one element, but got normalized_shape = ",
           shape);
  AG_CHECK(!weight.defined() || DimsView(weight.sizes()) == shape, Shape, op,
           ": Expected weight to be of same shape as normalized_shape, but got weight of shape ",
           weight.sizes(), " and normalized_shape = ", shape);
  AG_CHECK(!bias.defined() || DimsView(bias.sizes()) == shape, Shape, op,
           ": Expected bias to be of same shape as normalized_shape, but got bias of shape ",
           bias.sizes(), " and normalized_shape = ", shape);
  const DimsView sizes = input.sizes();
  const bool fits = sizes.size() >= shape.size() &&
                    sizes.slice(sizes.size() - shape.size(), shape.size()) == shape;
  AG_CHECK(fits, Shape, op, ": Given normalized_shape=", shape, ", expected input with shape [*, ",
           to_string(shape).substr(1), ", but got input of size", sizes);
  RowShape r;
  r.channels = element_count(shape);
  r.rows = element_count(sizes.slice(0, sizes.size() - shape.size()));
  return r;
}

RowShape group_rows(const char* op, const Tensor& input, int64_t groups, const Tensor& weight,
                    const Tensor& bias) {
  check_float_input(op, input);
  AG_CHECK(input.ndim() >= 2, Shape, op,
           ": Expected at least 2 dimensions for input tensor but received ",
           static_cast<int64_t>(input.ndim()));
  AG_CHECK(groups > 0, Value, op, ": Expected num groups to be greater than 0, got ", groups);
  const int64_t channels = input.sizes()[1];
  AG_CHECK(channels % groups == 0, Shape, op,
           ": Expected number of channels in input to be divisible by num_groups, but got input of "
           "shape ",
           input.sizes(), " and num_groups=", groups);
  for (const Tensor* p : {&weight, &bias}) {
    AG_CHECK(!p->defined() || (p->ndim() == 1 && p->numel() == channels), Shape, op, ": Expected ",
             p == &weight ? "weight" : "bias",
             " to be a vector of size equal to the number of channels in input, but got ",
             p == &weight ? "weight" : "bias", " of shape ", p->sizes(), " and input of shape ",
             input.sizes());
  }
  RowShape r;
  r.rows = input.sizes()[0] * groups;
  r.groups = groups;
  r.channels = channels / groups;
  r.spatial = element_count(DimsView(input.sizes()).slice(2, input.ndim() - 2));
  return r;
}

struct NormResult {
  Tensor out, mean, rstd;
};

NormResult run_forward(OpId op, const Tensor& input, const RowShape& shape, const Tensor& weight,
                       const Tensor& bias, double eps, bool centered) {
  const DType param_dtype = norm_param_dtype(op_name(op), input, {&weight, &bias});
  const Tensor x = as_contiguous(input);
  const Tensor w = norm_param(weight, param_dtype);
  const Tensor b = norm_param(bias, param_dtype);
  const DType stat = opmath_dtype(x.dtype());
  NormResult r;
  r.out = Tensor::empty(x.sizes(), x.dtype(), x.device());
  r.mean = centered ? Tensor::empty({shape.rows}, stat, x.device()) : Tensor();
  r.rstd = Tensor::empty({shape.rows}, stat, x.device());
  RowNormParams p;
  p.dtype = x.dtype();
  p.param_dtype = param_dtype;
  p.in = x.data();
  p.weight = w.defined() ? w.data() : nullptr;
  p.bias = b.defined() ? b.data() : nullptr;
  p.out = r.out.data();
  p.mean = centered ? r.mean.data() : nullptr;
  p.rstd = r.rstd.data();
  p.rows = shape.rows;
  p.groups = shape.groups;
  p.channels = shape.channels;
  p.spatial = shape.spatial;
  p.eps = eps;
  KernelTable::run(op, x.device(), x.dtype(), p);
  return r;
}

struct NormGrads {
  Tensor input, weight, bias;
};

void check_statistic(const char* op, const char* name, const Tensor& t, const Tensor& input,
                     int64_t rows) {
  AG_CHECK(t.numel() == rows && t.dtype() == opmath_dtype(input.dtype()), Shape, op, ": argument '",
           name, "' must hold ", rows, " values of ", dtype_name(opmath_dtype(input.dtype())),
           ", got ", describe(t));
}

// `mask`: which of the three gradients are wanted.
NormGrads run_backward(OpId op, const Tensor& grad, const Tensor& input, const RowShape& shape,
                       const Tensor& mean, const Tensor& rstd, const Tensor& weight,
                       DimsView param_shape, const bool (&mask)[3]) {
  const char* name = op_name(op);
  AG_CHECK(grad.sizes() == input.sizes() && grad.dtype() == input.dtype(), Shape, name,
           ": argument 'grad' is ", describe(grad), " but the input is ", describe(input));
  check_statistic(name, "rstd", rstd, input, shape.rows);
  if (mean.defined()) check_statistic(name, "mean", mean, input, shape.rows);
  const DType param_dtype = norm_param_dtype(name, input, {&weight});
  const Tensor x = as_contiguous(input);
  const Tensor g = as_contiguous(grad);
  const Tensor w = norm_param(weight, param_dtype);
  const Tensor center = mean.defined() ? as_contiguous(mean) : mean;
  const Tensor scale = as_contiguous(rstd);
  NormGrads r;
  r.input = mask[0] ? Tensor::empty(x.sizes(), x.dtype(), x.device()) : no_result(x);
  r.weight = mask[1] ? Tensor::empty(param_shape, param_dtype, x.device()) : no_result(x);
  r.bias = mask[2] ? Tensor::empty(param_shape, param_dtype, x.device()) : no_result(x);
  RowNormParams p;
  p.dtype = x.dtype();
  p.param_dtype = param_dtype;
  p.in = x.data();
  p.grad = g.data();
  p.weight = w.defined() ? w.data() : nullptr;
  p.out = mask[0] ? r.input.data() : nullptr;
  p.grad_weight = mask[1] ? r.weight.data() : nullptr;
  p.grad_bias = mask[2] ? r.bias.data() : nullptr;
  p.mean = center.defined() ? center.data() : nullptr;
  p.rstd = scale.data();
  p.rows = shape.rows;
  p.groups = shape.groups;
  p.channels = shape.channels;
  p.spatial = shape.spatial;
  KernelTable::run(op, x.device(), x.dtype(), p);
  return r;
}

// The smallest step above 1, PyTorch's default for RMS norm.
double machine_epsilon(DType dtype) {
  if (dtype == DType::Float64) return std::numeric_limits<double>::epsilon();
  if (dtype == DType::Float16) return 0.0009765625;
  if (dtype == DType::BFloat16) return 0.0078125;
  return static_cast<double>(std::numeric_limits<float>::epsilon());
}

}  // namespace

namespace impl {

Tensor layerNorm(const Tensor& input, DimsView shape, const Tensor& weight, const Tensor& bias,
                 double eps) {
  return std::get<0>(ops::nativeLayerNorm(input, shape, weight, bias, eps));
}

Tensor rmsNorm(const Tensor& input, DimsView shape, const Tensor& weight,
               std::optional<double> eps) {
  check_float_input("rmsNorm", input);
  const double e = eps.value_or(machine_epsilon(input.dtype()));
  return std::get<0>(ops::nativeRmsNorm(input, shape, weight, e));
}

Tensor groupNorm(const Tensor& input, int64_t groups, const Tensor& weight, const Tensor& bias,
                 double eps) {
  return std::get<0>(ops::nativeGroupNorm(input, groups, weight, bias, eps));
}

std::tuple<Tensor, Tensor, Tensor> nativeLayerNorm(const Tensor& input, DimsView shape,
                                                   const Tensor& weight, const Tensor& bias,
                                                   double eps) {
  const RowShape rows = trailing_rows("layerNorm", input, shape, weight, bias);
  NormResult r = run_forward(OpId::nativeLayerNorm, input, rows, weight, bias, eps, true);
  return {r.out, r.mean, r.rstd};
}

std::tuple<Tensor, Tensor> nativeRmsNorm(const Tensor& input, DimsView shape, const Tensor& weight,
                                         double eps) {
  const RowShape rows = trailing_rows("rmsNorm", input, shape, weight, Tensor());
  NormResult r = run_forward(OpId::nativeRmsNorm, input, rows, weight, Tensor(), eps, false);
  return {r.out, r.rstd};
}

std::tuple<Tensor, Tensor, Tensor> nativeGroupNorm(const Tensor& input, int64_t groups,
                                                   const Tensor& weight, const Tensor& bias,
                                                   double eps) {
  const RowShape rows = group_rows("groupNorm", input, groups, weight, bias);
  NormResult r = run_forward(OpId::nativeGroupNorm, input, rows, weight, bias, eps, true);
  return {r.out, r.mean, r.rstd};
}

std::tuple<Tensor, Tensor, Tensor> layerNormBackward(const Tensor& grad, const Tensor& input,
                                                     DimsView shape, const Tensor& mean,
                                                     const Tensor& rstd, const Tensor& weight,
                                                     double, DimsView mask) {
  const RowShape rows = trailing_rows("layerNormBackward", input, shape, weight, Tensor());
  const bool wanted[3] = {mask_at("layerNormBackward", mask, 0, 3),
                          mask_at("layerNormBackward", mask, 1, 3),
                          mask_at("layerNormBackward", mask, 2, 3)};
  NormGrads r =
      run_backward(OpId::layerNormBackward, grad, input, rows, mean, rstd, weight, shape, wanted);
  return {r.input, r.weight, r.bias};
}

std::tuple<Tensor, Tensor> rmsNormBackward(const Tensor& grad, const Tensor& input, DimsView shape,
                                           const Tensor& rstd, const Tensor& weight, double,
                                           DimsView mask) {
  const RowShape rows = trailing_rows("rmsNormBackward", input, shape, weight, Tensor());
  const bool wanted[3] = {mask_at("rmsNormBackward", mask, 0, 2),
                          mask_at("rmsNormBackward", mask, 1, 2), false};
  NormGrads r =
      run_backward(OpId::rmsNormBackward, grad, input, rows, Tensor(), rstd, weight, shape, wanted);
  return {r.input, r.weight};
}

std::tuple<Tensor, Tensor, Tensor> groupNormBackward(const Tensor& grad, const Tensor& input,
                                                     int64_t groups, const Tensor& mean,
                                                     const Tensor& rstd, const Tensor& weight,
                                                     double, DimsView mask) {
  const RowShape rows = group_rows("groupNormBackward", input, groups, weight, Tensor());
  const bool wanted[3] = {mask_at("groupNormBackward", mask, 0, 3),
                          mask_at("groupNormBackward", mask, 1, 3),
                          mask_at("groupNormBackward", mask, 2, 3)};
  NormGrads r = run_backward(OpId::groupNormBackward, grad, input, rows, mean, rstd, weight,
                             {input.sizes()[1]}, wanted);
  return {r.input, r.weight, r.bias};
}

Tensor normalize(const Tensor& input, double p, int64_t dim, double eps) {
  const Tensor length = ops::norm(input, Scalar(p), Dims{dim}, true);
  return ops::div(input, ops::expand(ops::clampMin(length, Operand(eps)), input.sizes()));
}

}  // namespace impl

}  // namespace ampgrad
