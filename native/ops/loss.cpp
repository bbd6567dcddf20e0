// Losses: shapes, reductions and PyTorch's argument rules. Losses over class indices have kernels
// of their own (ClassLossParams); the others are composed of public ops.
#include "ops/loss.h"

#include "ops/kernels.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

Reduction parse_reduction(const char* op, const std::string& text) {
  if (text == "none") return Reduction::None;
  if (text == "mean") return Reduction::Mean;
  AG_CHECK(text == "sum", Value, op,
           ": argument 'reduction' must be 'none', 'mean' or 'sum', got '", text, "'");
  return Reduction::Sum;
}

Tensor reduce_loss(const char* op, const Tensor& loss, const std::string& reduction) {
  switch (parse_reduction(op, reduction)) {
    case Reduction::Mean:
      return ops::mean(loss);
    case Reduction::Sum:
      return ops::sum(loss);
    default:
      return loss;
  }
}

namespace {

// Dimension of the classes: [C] or [N, C, ...].
size_t class_dim(const Tensor& input) { return input.ndim() == 1 ? 0 : 1; }

// Sizes of the targets that belong to an input.
Dims target_sizes(DimsView input) {
  Dims sizes(input);
  if (!sizes.empty()) sizes.erase(sizes.size() == 1 ? 0 : 1);
  return sizes;
}

void check_class_target(const char* op, const Tensor& input, const Tensor& target,
                        const Tensor& weight) {
  AG_CHECK(is_floating(input.dtype()), DType, op, ": argument 'input' must be floating point, got ",
           describe(input));
  AG_CHECK(input.ndim() >= 1, Shape, op,
           ": argument 'input' must have shape [C] or [N, C, ...], got ", describe(input));
  AG_CHECK(is_integral(target.dtype()), DType, op,
           ": argument 'target' must hold class indices of an integer dtype, got ",
           describe(target));
  AG_CHECK(DimsView(target.sizes()) == DimsView(target_sizes(input.sizes())), Shape, op,
           ": expected argument 'target' of shape ", target_sizes(input.sizes()),
           " for an input of shape ", input.sizes(), ", got ", target.sizes());
  AG_CHECK(target.device() == input.device(), Device, op,
           ": expected all tensors on the same device, got ", to_string(input.device()), " and ",
           to_string(target.device()));
  if (!weight.defined()) return;
  const int64_t classes = input.sizes()[class_dim(input)];
  AG_CHECK(weight.ndim() == 1 && weight.numel() == classes, Shape, op,
           ": argument 'weight' must have one element for each of ", classes, " classes, got ",
           describe(weight));
  AG_CHECK(weight.dtype() == input.dtype(), DType, op, ": argument 'weight' must have dtype ",
           dtype_name(input.dtype()), ", got ", dtype_name(weight.dtype()));
}

// What a kernel reads, kept alive for its run.
struct ClassLossCall {
  Tensor input, target, weight, grad;
  ClassLossParams params;

  void set_geometry(DimsView sizes, DType dtype) {
    const size_t d = sizes.size() == 1 ? 0 : 1;
    params.dtype = dtype;
    params.classes = sizes[d];
    for (size_t i = 0; i < d; ++i) params.outer *= sizes[i];
    for (size_t i = d + 1; i < sizes.size(); ++i) params.inner *= sizes[i];
  }
  void set_target(const Tensor& t) {
    target = as_contiguous(as_dtype(t, DType::Int64));
    params.target = target.data_as<int64_t>();
  }
  void set_weight(const Tensor& w) {
    if (!w.defined()) return;
    weight = as_contiguous(w);
    params.weight = weight.data();
  }
  void set_input(const Tensor& x) {
    input = as_contiguous(x);
    params.in = input.data();
  }
  void set_grad(const char* op, const Tensor& g, DType dtype) {
    const int64_t wanted =
        params.reduction == Reduction::None ? params.outer * params.inner : int64_t{1};
    AG_CHECK(g.dtype() == dtype && g.numel() == wanted, Shape, op, ": argument 'grad' must have ",
             wanted, " elements of ", dtype_name(dtype), ", got ", describe(g));
    grad = as_contiguous(g);
    params.grad = grad.data();
  }
};

Tensor loss_output(const ClassLossParams& p, const Tensor& target, const Tensor& input) {
  const Dims sizes = p.reduction == Reduction::None ? target.sizes() : Dims();
  return Tensor::empty(sizes, input.dtype(), input.device());
}

}  // namespace

namespace impl {

std::tuple<Tensor, Tensor> nllLossForward(const Tensor& input, const Tensor& target,
                                          const Tensor& weight, int64_t ignore_index,
                                          const std::string& reduction) {
  check_class_target("nllLoss", input, target, weight);
  ClassLossCall call;
  call.set_geometry(input.sizes(), input.dtype());
  call.params.ignore_index = ignore_index;
  call.params.reduction = parse_reduction("nllLoss", reduction);
  call.set_input(input);
  call.set_target(target);
  call.set_weight(weight);
  Tensor out = loss_output(call.params, target, input);
  Tensor total = Tensor::empty({}, DType::Float64, input.device());
  call.params.out = out.data();
  call.params.total_weight = total.data();
  KernelTable::run(OpId::nllLossForward, input.device(), input.dtype(), call.params);
  return {out, total};
}

Tensor nllLossBackward(const Tensor& grad, const Tensor& target, const Tensor& weight,
                       const Tensor& total_weight, DimsView input_size, int64_t ignore_index,
                       const std::string& reduction) {
  check_sizes("nllLossBackward", input_size, grad.element_size());
  AG_CHECK(!input_size.empty(), Shape, "nllLossBackward: argument 'inputSize' must not be empty");
  AG_CHECK(
      is_integral(target.dtype()) && DimsView(target.sizes()) == DimsView(target_sizes(input_size)),
      Shape, "nllLossBackward: argument 'target' does not fit inputSize ", input_size, ", got ",
      describe(target));
  AG_CHECK(total_weight.dtype() == DType::Float64 && total_weight.numel() == 1, Shape,
           "nllLossBackward: argument 'totalWeight' must be one float64, got ",
           describe(total_weight));
  ClassLossCall call;
  call.set_geometry(input_size, grad.dtype());
  AG_CHECK(!weight.defined() ||
               (weight.numel() == call.params.classes && weight.dtype() == grad.dtype()),
           Shape, "nllLossBackward: argument 'weight' must have ", call.params.classes,
           " elements of ", dtype_name(grad.dtype()));
  call.params.ignore_index = ignore_index;
  call.params.reduction = parse_reduction("nllLossBackward", reduction);
  call.set_target(target);
  call.set_weight(weight);
  call.set_grad("nllLossBackward", grad, grad.dtype());
  Tensor out = Tensor::empty(input_size, grad.dtype(), grad.device());
  call.params.out = out.data();
  call.params.total_weight = total_weight.data();
  KernelTable::run(OpId::nllLossBackward, grad.device(), grad.dtype(), call.params);
  return out;
}

Tensor nllLoss(const Tensor& input, const Tensor& target, const Tensor& weight,
               int64_t ignore_index, const std::string& reduction) {
  return std::get<0>(ops::nllLossForward(input, target, weight, ignore_index, reduction));
}

std::tuple<Tensor, Tensor, Tensor> crossEntropyForward(const Tensor& input, const Tensor& target,
                                                       const Tensor& weight, int64_t ignore_index,
                                                       const std::string& reduction,
                                                       double label_smoothing) {
  AG_CHECK(input.ndim() == 2, Shape, "crossEntropyForward: argument 'input' must be a matrix, got ",
           describe(input));
  check_class_target("crossEntropy", input, target, weight);
  ClassLossCall call;
  call.set_geometry(input.sizes(), input.dtype());
  call.params.ignore_index = ignore_index;
  call.params.reduction = parse_reduction("crossEntropy", reduction);
  call.params.label_smoothing = label_smoothing;
  call.set_input(input);
  call.set_target(target);
  call.set_weight(weight);
  Tensor out = loss_output(call.params, target, input);
  Tensor total = Tensor::empty({}, DType::Float64, input.device());
  Tensor lse = Tensor::empty(target.sizes(), DType::Float64, input.device());
  call.params.out = out.data();
  call.params.total_weight = total.data();
  call.params.lse = lse.data();
  KernelTable::run(OpId::crossEntropyForward, input.device(), input.dtype(), call.params);
  return {out, total, lse};
}

Tensor crossEntropyBackward(const Tensor& grad, const Tensor& input, const Tensor& target,
                            const Tensor& weight, const Tensor& total_weight, const Tensor& lse,
                            int64_t ignore_index, const std::string& reduction,
                            double label_smoothing) {
  AG_CHECK(input.ndim() == 2, Shape,
           "crossEntropyBackward: argument 'input' must be a matrix, got ", describe(input));
  check_class_target("crossEntropyBackward", input, target, weight);
  AG_CHECK(total_weight.dtype() == DType::Float64 && total_weight.numel() == 1 &&
               lse.dtype() == DType::Float64 && lse.sizes() == target.sizes(),
           Shape, "crossEntropyBackward: arguments 'totalWeight' and 'lse' must be those of ",
           "crossEntropyForward, got ", describe(total_weight), " and ", describe(lse));
  ClassLossCall call;
  call.set_geometry(input.sizes(), input.dtype());
  call.params.ignore_index = ignore_index;
  call.params.reduction = parse_reduction("crossEntropyBackward", reduction);
  call.params.label_smoothing = label_smoothing;
  call.set_input(input);
  call.set_target(target);
  call.set_weight(weight);
  call.set_grad("crossEntropyBackward", grad, input.dtype());
  const Tensor sums = as_contiguous(lse);
  Tensor out = Tensor::empty(input.sizes(), input.dtype(), input.device());
  call.params.out = out.data();
  call.params.total_weight = total_weight.data();
  call.params.lse = sums.data();
  KernelTable::run(OpId::crossEntropyBackward, input.device(), input.dtype(), call.params);
  return out;
}

namespace {

// Targets that are distributions over the classes.
Tensor soft_cross_entropy(const Tensor& input, const Tensor& target, const Tensor& weight,
                          const std::string& reduction, double label_smoothing) {
  AG_CHECK(
      target.sizes() == input.sizes(), Shape,
      "crossEntropy: expected floating point argument 'target' (class probabilities) of shape ",
      input.sizes(), ", got ", target.sizes());
  const auto dim = static_cast<int64_t>(class_dim(input));
  const auto classes = static_cast<double>(input.size(dim));
  Tensor p = target;
  if (label_smoothing > 0) {
    p = ops::add(ops::mul(p, Operand(1 - label_smoothing)), Operand(label_smoothing / classes));
  }
  Tensor terms = ops::mul(ops::logSoftmax(input, dim), p);
  if (weight.defined()) {
    Dims shape(input.ndim(), 1);
    shape[static_cast<size_t>(dim)] = weight.numel();
    terms = ops::mul(terms, ops::view(weight, shape));
  }
  const Tensor loss = ops::neg(ops::sum(terms, Dims{dim}));
  return reduce_loss("crossEntropy", loss, reduction);
}

// [N, C, d...] -> [N * d..., C]
Tensor classes_last(const Tensor& input) {
  if (input.ndim() == 1) return ops::unsqueeze(input, 0);
  if (input.ndim() == 2) return input;
  Dims order{0};
  for (size_t i = 2; i < input.ndim(); ++i) order.push_back(static_cast<int64_t>(i));
  order.push_back(1);
  // Every size is named: -1 would be ambiguous in an empty tensor.
  const Dims rows{element_count(target_sizes(input.sizes())), input.size(1)};
  return ops::reshape(ops::permute(input, order), rows);
}

}  // namespace

Tensor crossEntropy(const Tensor& input, const Tensor& target, const Tensor& weight,
                    int64_t ignore_index, const std::string& reduction, double label_smoothing) {
  AG_CHECK(label_smoothing >= 0 && label_smoothing <= 1, Value,
           "crossEntropy: argument 'labelSmoothing' must be between 0.0 and 1.0, got ",
           label_smoothing);
  parse_reduction("crossEntropy", reduction);
  AG_CHECK(input.ndim() >= 1, Shape,
           "crossEntropy: argument 'input' must have shape [C] or [N, C, ...], got ",
           describe(input));
  if (is_floating(target.dtype())) {
    return soft_cross_entropy(input, target, weight, reduction, label_smoothing);
  }
  check_class_target("crossEntropy", input, target, weight);
  const Tensor flat = ops::reshape(target, Dims{target.numel()});
  const Tensor out = std::get<0>(ops::crossEntropyForward(
      classes_last(input), flat, weight, ignore_index, reduction, label_smoothing));
  return reduction == "none" ? ops::view(out, target.sizes()) : out;
}

Tensor mseLoss(const Tensor& input, const Tensor& target, const std::string& reduction,
               const Tensor& weight) {
  const Tensor difference = ops::sub(input, target);
  Tensor loss = ops::mul(difference, difference);
  if (weight.defined()) {
    AG_CHECK(weight.sizes() == loss.sizes(), Shape, "mseLoss: argument 'weight' must have shape ",
             loss.sizes(), ", got ", weight.sizes());
    loss = ops::mul(loss, weight);
    if (parse_reduction("mseLoss", reduction) == Reduction::Mean) {
      return ops::div(ops::sum(loss), ops::sum(weight));
    }
  }
  return reduce_loss("mseLoss", loss, reduction);
}

}  // namespace impl
}  // namespace ampgrad
