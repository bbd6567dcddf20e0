// Batch norm and what is made of it or beside it: instance norm (batch norm with every sample a
// batch of its own), local response norm, normalize.
#include "ops/kernels.h"
#include "ops/norm.h"
#include "ops/norm_params.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

void check_channels(const char* op, const Tensor& input,
                    std::initializer_list<std::pair<const char*, const Tensor*>> params) {
  AG_CHECK(is_floating(input.dtype()), DType, op, ": not implemented for ",
           dtype_name(input.dtype()), "; argument 'input' must be floating point");
  AG_CHECK(input.ndim() >= 2, Shape, op, ": expected an input of 2 or more dimensions, got shape ",
           input.sizes());
  for (const auto& [name, p] : params) {
    AG_CHECK(!p->defined() || (p->ndim() == 1 && p->numel() == input.sizes()[1]), Shape, op,
             ": argument '", name, "' must have shape [", input.sizes()[1], "] (", name,
             " should contain ", input.sizes()[1], " elements not ", p->numel(), "), got shape ",
             p->sizes());
  }
}

void set_sizes(const Tensor& x, BatchNormParams* p) {
  p->dtype = x.dtype();
  p->batch = x.sizes()[0];
  p->channels = x.sizes()[1];
  p->spatial = element_count(DimsView(x.sizes()).slice(2, x.ndim() - 2));
}

void* data_or_null(const Tensor& t) { return t.defined() ? t.data() : nullptr; }

// More than one value per channel, else there is no variance.
void check_population(const char* op, DimsView sizes, int64_t count) {
  AG_CHECK(count != 1, Value, op,
           ": Expected more than 1 value per channel when training, got input size ", sizes);
}

// The updated statistics go back to where they came from.
void store_running(const Tensor& running, const Tensor& work) {
  if (!running.defined()) return;
  if (!work.is_same(running)) copy_into(running, work);
  running.bump_version();
}

}  // namespace

namespace impl {

std::tuple<Tensor, Tensor, Tensor> nativeBatchNorm(const Tensor& input, const Tensor& weight,
                                                   const Tensor& bias, const Tensor& running_mean,
                                                   const Tensor& running_var, bool training,
                                                   double momentum, double eps) {
  check_channels("batchNorm", input,
                 {{"weight", &weight},
                  {"bias", &bias},
                  {"runningMean", &running_mean},
                  {"runningVar", &running_var}});
  AG_CHECK(training || (running_mean.defined() && running_var.defined()), Value,
           "batchNorm: Expected running_mean and running_var to be defined when training=False");
  AG_CHECK(running_mean.defined() == running_var.defined(), Value,
           "batchNorm: arguments 'runningMean' and 'runningVar' must be given together");
  const DType param_dtype =
      norm_param_dtype("batchNorm", input, {&weight, &bias, &running_mean, &running_var});
  const Tensor x = as_contiguous(input);
  const Tensor w = norm_param(weight, param_dtype);
  const Tensor b = norm_param(bias, param_dtype);
  const Tensor rm = norm_param(running_mean, param_dtype);
  const Tensor rv = norm_param(running_var, param_dtype);
  const DType stat = opmath_dtype(x.dtype());
  const Tensor out = Tensor::empty(x.sizes(), x.dtype(), x.device());
  const Tensor mean = Tensor::empty({x.sizes()[1]}, stat, x.device());
  const Tensor rstd = Tensor::empty({x.sizes()[1]}, stat, x.device());
  BatchNormParams p;
  set_sizes(x, &p);
  p.param_dtype = param_dtype;
  p.in = x.data();
  p.weight = data_or_null(w);
  p.bias = data_or_null(b);
  p.out = out.data();
  p.mean = mean.data();
  p.rstd = rstd.data();
  p.running_mean = data_or_null(rm);
  p.running_var = data_or_null(rv);
  p.training = training;
  p.momentum = momentum;
  p.eps = eps;
  KernelTable::run(OpId::nativeBatchNorm, x.device(), x.dtype(), p);
  if (training && x.numel() != 0) {
    store_running(running_mean, rm);
    store_running(running_var, rv);
  }
  return {out, mean, rstd};
}

std::tuple<Tensor, Tensor, Tensor> batchNormBackward(const Tensor& grad, const Tensor& input,
                                                     const Tensor& mean, const Tensor& rstd,
                                                     const Tensor& weight, bool training, double,
                                                     DimsView mask) {
  constexpr const char* kName = "batchNormBackward";
  check_channels(kName, input, {{"weight", &weight}, {"mean", &mean}, {"rstd", &rstd}});
  AG_CHECK(grad.sizes() == input.sizes() && grad.dtype() == input.dtype(), Shape, kName,
           ": argument 'grad' is ", describe(grad), " but the input is ", describe(input));
  const DType stat = opmath_dtype(input.dtype());
  AG_CHECK(mean.dtype() == stat && rstd.dtype() == stat, DType, kName,
           ": the statistics must have dtype ", dtype_name(stat));
  const DType param_dtype = norm_param_dtype(kName, input, {&weight});
  const Tensor x = as_contiguous(input);
  const Tensor g = as_contiguous(grad);
  const Tensor w = norm_param(weight, param_dtype);
  const Tensor center = as_contiguous(mean);
  const Tensor scale = as_contiguous(rstd);
  const Dims channels{x.sizes()[1]};
  const auto result = [&](size_t i, DimsView sizes, DType dtype) {
    return mask_at(kName, mask, i, 3) ? Tensor::empty(sizes, dtype, x.device()) : no_result(x);
  };
  const Tensor dx = result(0, x.sizes(), x.dtype());
  const Tensor dw = result(1, channels, param_dtype);
  const Tensor db = result(2, channels, param_dtype);
  BatchNormParams p;
  set_sizes(x, &p);
  p.param_dtype = param_dtype;
  p.in = x.data();
  p.grad = g.data();
  p.weight = data_or_null(w);
  p.out = mask[0] != 0 ? dx.data() : nullptr;
  p.grad_weight = mask[1] != 0 ? dw.data() : nullptr;
  p.grad_bias = mask[2] != 0 ? db.data() : nullptr;
  p.mean = center.data();
  p.rstd = scale.data();
  p.training = training;
  KernelTable::run(OpId::batchNormBackward, x.device(), x.dtype(), p);
  return {dx, dw, db};
}

Tensor batchNorm(const Tensor& input, const Tensor& running_mean, const Tensor& running_var,
                 const Tensor& weight, const Tensor& bias, bool training, double momentum,
                 double eps) {
  // Nothing to normalise: PyTorch lets an empty vector through.
  if (input.ndim() == 1 && input.numel() == 0) return ops::clone(input);
  if (training && input.ndim() >= 2 && input.numel() != 0) {
    check_population("batchNorm", input.sizes(), input.numel() / input.sizes()[1]);
  }
  return std::get<0>(ops::nativeBatchNorm(input, weight, bias, running_mean, running_var, training,
                                          momentum, eps));
}

Tensor instanceNorm(const Tensor& input, const Tensor& running_mean, const Tensor& running_var,
                    const Tensor& weight, const Tensor& bias, bool use_input_stats, double momentum,
                    double eps) {
  constexpr const char* kName = "instanceNorm";
  check_channels(kName, input,
                 {{"weight", &weight},
                  {"bias", &bias},
                  {"runningMean", &running_mean},
                  {"runningVar", &running_var}});
  AG_CHECK(use_input_stats || (running_mean.defined() && running_var.defined()), Value, kName,
           ": Expected running_mean and running_var to be defined when use_input_stats=False");
  const int64_t batch = input.sizes()[0];
  const int64_t channels = input.sizes()[1];
  if (use_input_stats && input.numel() != 0) {
    check_population(kName, input.sizes(), input.numel() / (batch * channels));
  }
  if (!use_input_stats) {
    return ops::batchNorm(input, running_mean, running_var, weight, bias, false, momentum, eps);
  }
  if (!running_mean.defined()) {
    return ops::groupNorm(input, std::max<int64_t>(channels, 1), weight, bias, eps);
  }
  // The running statistics become the average of what each sample would have made of them.
  const auto repeated = [&](const Tensor& t) {
    if (!t.defined()) return t;
    return ops::reshape(ops::expand(t, Dims{batch, channels}), Dims{batch * channels});
  };
  Dims one_batch = input.sizes();
  one_batch[0] = 1;
  one_batch[1] = batch * channels;
  const Tensor mean = ops::clone(repeated(running_mean));
  const Tensor var = ops::clone(repeated(running_var));
  const Tensor out = ops::batchNorm(ops::reshape(ops::contiguous(input), one_batch), mean, var,
                                    repeated(weight), repeated(bias), true, momentum, eps);
  const auto average = [&](const Tensor& to, const Tensor& from) {
    const Tensor m = ops::mean(ops::detach(ops::view(from, Dims{batch, channels})), Dims{0});
    copy_into(to, m);
    to.bump_version();
  };
  if (input.numel() != 0) {
    average(running_mean, mean);
    average(running_var, var);
  }
  return ops::view(out, input.sizes());
}

}  // namespace impl

}  // namespace ampgrad
