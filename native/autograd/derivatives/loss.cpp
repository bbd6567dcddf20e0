// Derivatives of the losses over class indices.
#include "autograd/derivative.h"

namespace ampgrad::derivatives {

namespace {

Tensor weight_of(Backward& b, int arg) { return b.is_tensor(arg) ? b.input(arg) : Tensor(); }

// Arguments: input, target, weight, ignoreIndex, reduction.
void nll_backward(Backward& b) {
  b.set(0, [&] {
    return ops::nllLossBackward(b.grad(), b.input(1), weight_of(b, 2), b.output(1),
                                DimsView(b.meta(0).sizes), b.attr<int64_t>(3),
                                b.attr<std::string>(4));
  });
}

// Arguments: grad, target, weight, totalWeight, inputSize, ignoreIndex, reduction. The gradient is
// linear in `grad`, and what it does to a tensor of the input's shape is the loss itself.
void nll_backward_backward(Backward& b) {
  b.set(0, [&] {
    return ops::nllLoss(b.grad(), b.input(1), weight_of(b, 2), b.attr<int64_t>(5),
                        b.attr<std::string>(6));
  });
}

// Arguments: input, target, weight, ignoreIndex, reduction, labelSmoothing.
void cross_entropy_backward(Backward& b) {
  b.set(0, [&] {
    return ops::crossEntropyBackward(b.grad(), b.input(0), b.input(1), weight_of(b, 2), b.output(1),
                                     b.output(2), b.attr<int64_t>(3), b.attr<std::string>(4),
                                     b.attr<double>(5));
  });
}

// Arguments: grad, input, target, weight, totalWeight, lse, ignoreIndex, reduction,
// labelSmoothing. Row t of the gradient is s_t (A_t p - a_t) with p the softmax of the row, a_t the
// target's distribution times the class weights, A_t the sum of a_t, and s_t the incoming gradient
// (over the total weight for 'mean').
void cross_entropy_backward_backward(Backward& b) {
  const Tensor u = b.grad();
  const Tensor x = b.input(1);
  const Tensor target = b.input(2);
  const Tensor weight = weight_of(b, 3);
  const int64_t ignore = b.attr<int64_t>(6);
  const std::string& reduction = b.attr<std::string>(7);
  const double smoothing = b.attr<double>(8);
  const bool mean = reduction == "mean";
  const Tensor total = ops::to(b.input(4), x.dtype());
  b.set(0, [&] {
    const Tensor ones = reduction == "none" ? ops::ones(target.sizes(), x.dtype(), x.device())
                                            : ops::ones(Dims{}, x.dtype(), x.device());
    const Tensor slope = ops::crossEntropyBackward(ones, x, target, weight, b.input(4), b.input(5),
                                                   ignore, reduction, smoothing);
    const Tensor product = ops::mul(u, slope);
    return reduction == "none" ? ops::sum(product, Dims{1}) : ops::sum(product);
  });
  b.set(1, [&] {
    // The weight of each target's class, 0 where it is ignored.
    const Tensor minus_one = ops::fullLike(x, Scalar(-1.0));
    Tensor mass = ops::nllLoss(minus_one, target, weight, ignore, std::string("none"));
    if (smoothing > 0) {
      const Tensor counted = ops::to(ops::ne(target, Operand(Scalar(ignore))), x.dtype());
      const Tensor even =
          weight.defined()
              ? ops::sum(weight)
              : ops::full(Dims{}, Scalar(static_cast<double>(x.size(1))), x.dtype(), x.device());
      const double share = smoothing / static_cast<double>(x.size(1));
      mass = ops::add(ops::mul(mass, Operand(1 - smoothing)),
                      ops::mul(counted, ops::mul(even, Operand(share))));
    }
    Tensor scale = ops::mul(mass, b.input(0));
    if (mean) scale = ops::div(scale, total);
    const Tensor curve = ops::softmaxBackward(u, ops::softmax(x, 1), 1);
    return ops::mul(curve, ops::unsqueeze(scale, 1));
  });
}

// Arguments: input, target. As in PyTorch, the slope of the input is bounded and does not see that
// the logarithms are.
void binary_cross_entropy_backward(Backward& b) {
  const Tensor x = b.input(0);
  b.set(0, [&] {
    const Tensor y = b.input(1);
    const Tensor spread = ops::clampMin(ops::mul(ops::rsub(x, Operand(1)), x), Operand(1e-12));
    return ops::mul(b.grad(), ops::div(ops::sub(x, y), spread));
  });
  b.set(1, [&] { return ops::mul(b.grad(), ops::sub(ops::log1p(ops::neg(x)), ops::log(x))); });
}

// Arguments: logProbs, targets, inputLengths, targetLengths, blank, zeroInfinity.
void ctc_backward(Backward& b) {
  b.set(0, [&] {
    return ops::ctcLossBackward(b.grad(), b.input(0), b.input(1), DimsView(b.attr<Dims>(2)),
                                DimsView(b.attr<Dims>(3)), b.attr<int64_t>(4), b.attr<bool>(5));
  });
}

// Linear in the gradient, piecewise constant in the scores.
void multilabel_margin_backward_backward(Backward& b) {
  b.set(0, [&] {
    const Tensor ones = ops::onesLike(b.grad(), b.meta(0).dtype);
    const Tensor rows = ops::multilabelMarginBackward(
        ops::squeeze(ops::narrow(ones, 1, 0, 1), Dims{1}), b.input(1), b.input(2));
    return ops::sum(ops::mul(b.grad(), rows), Dims{1});
  });
}

}  // namespace

std::vector<Derivative> loss() {
  return {
      {OpId::multilabelMarginForward,
       {in(0), in(1)},
       [](Backward& b) {
         b.set(0, [&] { return ops::multilabelMarginBackward(b.grad(), b.input(0), b.input(1)); });
       }},
      {OpId::multilabelMarginBackward, {in(1), in(2)}, multilabel_margin_backward_backward},
      {OpId::ctcLossForward, {in(0), in(1)}, ctc_backward},
      {OpId::binaryCrossEntropyTerms, {in(0), in(1).when(0)}, binary_cross_entropy_backward},
      {OpId::nllLossForward, {in(1), in(2), out(1)}, nll_backward},
      {OpId::nllLossBackward, {in(1), in(2)}, nll_backward_backward},
      {OpId::crossEntropyForward, {in(0), in(1), in(2), out(1), out(2)}, cross_entropy_backward},
      {OpId::crossEntropyBackward,
       {in(0), in(1), in(2), in(3), in(4), in(5)},
       cross_entropy_backward_backward},
  };
}

}  // namespace ampgrad::derivatives
