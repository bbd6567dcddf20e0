// Connectionist temporal classification: the forms of its arguments, checks, reduction.
#include <algorithm>

#include "ops/ctc_params.h"
#include "ops/kernels.h"
#include "ops/loss.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

constexpr const char* kName = "ctcLoss";

// What the kernel reads, kept alive for its run.
struct CtcCall {
  Tensor targets;
  CtcParams params;
};

void set_targets(CtcCall* call, const Tensor& targets, Device device) {
  CtcParams& p = call->params;
  AG_CHECK(is_integral(targets.dtype()), DType, kName,
           ": argument 'targets' must hold class indices of an integer dtype, got ",
           describe(targets));
  AG_CHECK(targets.ndim() == 1 || targets.ndim() == 2, Shape, kName,
           ": argument 'targets' must be 1-d or 2-d, got ", describe(targets));
  call->targets = to_device(as_contiguous(as_dtype(targets, DType::Int64)), device);
  p.targets = call->targets.data_as<int64_t>();
  int64_t offset = 0;
  for (int64_t n = 0; n < p.batch; ++n) {
    const int64_t length = p.target_lengths[static_cast<size_t>(n)];
    AG_CHECK(length >= 0 && length <= call->targets.numel(), Value, kName,
             ": argument 'targetLengths' holds ", length, ", which does not fit targets of shape ",
             targets.sizes());
    if (targets.ndim() == 2) {
      AG_CHECK(targets.size(0) == p.batch && length <= targets.size(1), Shape, kName,
               ": expected argument 'targets' of shape [", p.batch, ", at least ", length,
               "], got ", targets.sizes());
      p.target_offsets.push_back(n * targets.size(1));
    } else {
      p.target_offsets.push_back(offset);
      offset += length;
    }
  }
  AG_CHECK(targets.ndim() == 2 || offset == targets.numel(), Shape, kName,
           ": expected 1-d argument 'targets' of ", offset,
           " elements, the sum of targetLengths, got ", targets.numel());
}

CtcCall make_call(const Tensor& log_probs, const Tensor& targets, DimsView input_lengths,
                  DimsView target_lengths, int64_t blank, bool zero_infinity) {
  AG_CHECK(log_probs.ndim() == 3, Shape, kName,
           ": argument 'logProbs' must have shape [T, N, C], got ", describe(log_probs));
  CtcCall call;
  CtcParams& p = call.params;
  p.dtype = log_probs.dtype();
  p.log_probs = log_probs.data();
  p.time = log_probs.size(0);
  p.batch = log_probs.size(1);
  p.classes = log_probs.size(2);
  p.time_stride = log_probs.strides()[0];
  p.batch_stride = log_probs.strides()[1];
  p.class_stride = log_probs.strides()[2];
  p.blank = blank;
  p.zero_infinity = zero_infinity;
  AG_CHECK(blank >= 0 && blank < p.classes, Range, kName, ": argument 'blank' must be in label ",
           "range [0, ", p.classes, "), got ", blank);
  AG_CHECK(static_cast<int64_t>(input_lengths.size()) == p.batch &&
               static_cast<int64_t>(target_lengths.size()) == p.batch,
           Shape, kName, ": arguments 'inputLengths' and 'targetLengths' must have one element ",
           "for each of ", p.batch, " batch items, got ", input_lengths, " and ", target_lengths);
  for (int64_t length : input_lengths) {
    AG_CHECK(length >= 0 && length <= p.time, Value, kName,
             ": expected argument 'inputLengths' to have values between 0 and ", p.time, ", got ",
             length);
  }
  p.input_lengths = Dims(input_lengths);
  p.target_lengths = Dims(target_lengths);
  set_targets(&call, targets, log_probs.device());
  return call;
}

}  // namespace

namespace impl {

Tensor ctcLossForward(const Tensor& log_probs, const Tensor& targets, DimsView input_lengths,
                      DimsView target_lengths, int64_t blank, bool zero_infinity) {
  CtcCall call = make_call(log_probs, targets, input_lengths, target_lengths, blank, zero_infinity);
  const Tensor losses =
      Tensor::empty(Dims{call.params.batch}, log_probs.dtype(), log_probs.device());
  call.params.losses = losses.data();
  KernelTable::run(OpId::ctcLossForward, log_probs.device(), log_probs.dtype(), call.params);
  return losses;
}

Tensor ctcLossBackward(const Tensor& grad, const Tensor& log_probs, const Tensor& targets,
                       DimsView input_lengths, DimsView target_lengths, int64_t blank,
                       bool zero_infinity) {
  CtcCall call = make_call(log_probs, targets, input_lengths, target_lengths, blank, zero_infinity);
  AG_CHECK(grad.dtype() == log_probs.dtype() && grad.numel() == call.params.batch, Shape,
           "ctcLossBackward: argument 'grad' must have ", call.params.batch, " elements of ",
           dtype_name(log_probs.dtype()), ", got ", describe(grad));
  const Tensor g = as_contiguous(grad);
  const Tensor out = Tensor::empty(log_probs.sizes(), log_probs.dtype(), log_probs.device());
  call.params.grad = g.data();
  call.params.out = out.data();
  KernelTable::run(OpId::ctcLossBackward, log_probs.device(), log_probs.dtype(), call.params);
  return out;
}

namespace {

Dims lengths_of(const char* argument, const Tensor& t) {
  AG_CHECK(is_integral(t.dtype()) && t.ndim() <= 1, Type, kName, ": argument '", argument,
           "' must be a vector of integers, got ", describe(t));
  const Tensor lengths = as_contiguous(to_host(as_dtype(ops::detach(t), DType::Int64)));
  const int64_t* data = lengths.data_as<int64_t>();
  return Dims(data, data + lengths.numel());
}

}  // namespace

Tensor ctcLoss(const Tensor& log_probs, const Tensor& targets, const Tensor& input_lengths_tensor,
               const Tensor& target_lengths_tensor, int64_t blank, const std::string& reduction,
               bool zero_infinity) {
  const Reduction how = parse_reduction(kName, reduction);
  const Dims input_lengths = lengths_of("inputLengths", input_lengths_tensor);
  const Dims target_lengths = lengths_of("targetLengths", target_lengths_tensor);
  const bool single = log_probs.ndim() == 2;
  Tensor x = is_low_precision(log_probs.dtype()) ? ops::to(log_probs, DType::Float32) : log_probs;
  if (single) x = ops::unsqueeze(x, 1);
  Tensor loss =
      ops::ctcLossForward(x, targets, input_lengths, target_lengths, blank, zero_infinity);
  if (how == Reduction::Mean) {
    // Of losses per label.
    const Tensor lengths = Tensor::empty(loss.sizes(), DType::Int64);
    for (size_t i = 0; i < target_lengths.size(); ++i) {
      lengths.data_as<int64_t>()[i] = std::max<int64_t>(target_lengths[i], 1);
    }
    const Tensor labels = ops::to(lengths, loss.dtype(), loss.device());
    loss = ops::mean(ops::div(loss, labels));
  } else if (how == Reduction::Sum) {
    loss = ops::sum(loss);
  } else if (single) {
    loss = ops::squeeze(loss, Dims{0});
  }
  return ops::to(loss, log_probs.dtype());
}

}  // namespace impl
}  // namespace ampgrad
