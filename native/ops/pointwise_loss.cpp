// Losses of pairs of elements: regression, binary cross entropy, likelihoods. Composed of public
// ops, so that every derivative exists; half precision is computed in float and rounded once.
#include <cmath>
#include <initializer_list>

#include "ops/elementwise.h"
#include "ops/launch.h"
#include "ops/loss.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

// The dtype of a result, and operands in the precision it is computed in.
class Precision {
 public:
  Precision(std::initializer_list<const Tensor*> operands) {
    bool first = true;
    for (const Tensor* t : operands) {
      if (!t->defined()) continue;
      result_ = first ? t->dtype() : promote_types(result_, t->dtype());
      first = false;
    }
  }
  void check_floating(const char* op) const {
    AG_CHECK(is_floating(result_), DType, op, ": expected floating point tensors, got dtype ",
             dtype_name(result_));
  }
  Tensor in(const Tensor& t) const {
    return t.defined() && is_low_precision(t.dtype()) ? ops::to(t, DType::Float32) : t;
  }
  Tensor out(const Tensor& t) const { return is_low_precision(result_) ? ops::to(t, result_) : t; }

 private:
  DType result_ = DType::Float32;
};

// Weighted losses are averaged by the sum of the weights.
Tensor reduce_weighted(const char* op, const Tensor& loss, const Tensor& weight,
                       const std::string& reduction) {
  if (!weight.defined()) return reduce_loss(op, loss, reduction);
  AG_CHECK(weight.sizes() == loss.sizes(), Shape, op, ": argument 'weight' must have shape ",
           loss.sizes(), ", got ", weight.sizes());
  const Tensor weighted = ops::mul(loss, weight);
  if (parse_reduction(op, reduction) == Reduction::Mean) {
    return ops::div(ops::sum(weighted), ops::sum(weight));
  }
  return reduce_loss(op, weighted, reduction);
}

Tensor distance(const Tensor& a, const Tensor& b) { return ops::abs(ops::sub(a, b)); }

Tensor squared(const Tensor& t) { return ops::mul(t, t); }

void check_same_shape(const char* op, const Tensor& input, const Tensor& target) {
  AG_CHECK(input.sizes() == target.sizes(), Shape, op, ": argument 'target' must have shape ",
           input.sizes(), " like the input, got ", target.sizes());
}

bool is_true(const Tensor& condition) {
  const Tensor any = ops::any(condition);
  return any.numel() != 0 && first_value<bool>(any);
}

}  // namespace

namespace impl {

Tensor l1Loss(const Tensor& input, const Tensor& target, const std::string& reduction,
              const Tensor& weight) {
  const Precision p{&input, &target};
  return p.out(
      reduce_weighted("l1Loss", distance(p.in(input), p.in(target)), p.in(weight), reduction));
}

// With q = min(|x - y|, beta): q^2 / (2 beta) + (|x - y| - q), free of 0 * inf in the gradient.
Tensor smoothL1Loss(const Tensor& input, const Tensor& target, const std::string& reduction,
                    double beta) {
  AG_CHECK(beta >= 0, Value, "smoothL1Loss: argument 'beta' must not be negative, got ", beta);
  const Precision p{&input, &target};
  p.check_floating("smoothL1Loss");
  const Tensor d = distance(p.in(input), p.in(target));
  if (beta == 0) return p.out(reduce_loss("smoothL1Loss", d, reduction));
  const Tensor q = ops::clampMax(d, Operand(beta));
  const Tensor loss = ops::add(ops::mul(squared(q), Operand(0.5 / beta)), ops::sub(d, q));
  return p.out(reduce_loss("smoothL1Loss", loss, reduction));
}

Tensor huberLoss(const Tensor& input, const Tensor& target, const std::string& reduction,
                 double delta, const Tensor& weight) {
  AG_CHECK(delta > 0, Value, "huberLoss: argument 'delta' must be positive, got ", delta);
  const Precision p{&input, &target};
  p.check_floating("huberLoss");
  const Tensor d = distance(p.in(input), p.in(target));
  const Tensor q = ops::clampMax(d, Operand(delta));
  const Tensor loss =
      ops::add(ops::mul(squared(q), Operand(0.5)), ops::mul(ops::sub(d, q), Operand(delta)));
  return p.out(reduce_weighted("huberLoss", loss, p.in(weight), reduction));
}

Tensor binaryCrossEntropyTerms(const Tensor& input, const Tensor& target) {
  return launch_binary(OpId::binaryCrossEntropyTerms, ElementwiseRule::Same, input, target);
}

Tensor binaryCrossEntropy(const Tensor& input, const Tensor& target, const Tensor& weight,
                          const std::string& reduction) {
  constexpr const char* kName = "binaryCrossEntropy";
  AG_CHECK(is_floating(input.dtype()), DType, kName,
           ": argument 'input' must be floating point, got ", describe(input));
  AG_CHECK(input.sizes() == target.sizes(), Shape, kName, ": using a target size (", target.sizes(),
           ") that is different to the input size (", input.sizes(), ") is not supported");
  AG_CHECK(input.dtype() == target.dtype(), DType, kName, ": argument 'target' must have dtype ",
           dtype_name(input.dtype()), ", got ", dtype_name(target.dtype()));
  const Tensor outside =
      ops::logicalNot(ops::logicalAnd(ops::ge(input, Operand(0)), ops::le(input, Operand(1))));
  AG_CHECK(!is_true(outside), Value, kName, ": all elements of input should be between 0 and 1");
  const Precision p{&input, &target};
  Tensor loss = ops::binaryCrossEntropyTerms(p.in(input), p.in(target));
  if (weight.defined()) loss = ops::mul(loss, p.in(weight));
  return p.out(reduce_loss(kName, loss, reduction));
}

Tensor binaryCrossEntropyWithLogits(const Tensor& input, const Tensor& target, const Tensor& weight,
                                    const std::string& reduction, const Tensor& pos_weight) {
  constexpr const char* kName = "binaryCrossEntropyWithLogits";
  check_same_shape(kName, input, target);
  const Precision p{&input, &target};
  const Tensor x = p.in(input);
  const Tensor y = p.in(target);
  Tensor log_likelihood = ops::logSigmoid(x);
  if (pos_weight.defined()) {
    const Tensor less = ops::sub(p.in(pos_weight), Operand(1));
    log_likelihood = ops::mul(log_likelihood, ops::add(ops::mul(less, y), Operand(1)));
    // (1 - y) x is what log sigmoid(-x) has more than log sigmoid(x).
  }
  Tensor loss = ops::sub(ops::mul(ops::rsub(y, Operand(1)), x), log_likelihood);
  if (weight.defined()) loss = ops::mul(loss, p.in(weight));
  return p.out(reduce_loss(kName, loss, reduction));
}

Tensor klDiv(const Tensor& input, const Tensor& target, const std::string& reduction,
             bool log_target) {
  AG_CHECK(is_floating(input.dtype()) && is_floating(target.dtype()), DType,
           "klDiv: integral inputs are not supported, got ", describe(input), " and ",
           describe(target));
  const Precision p{&input, &target};
  const Tensor x = p.in(input);
  const Tensor y = p.in(target);
  const Tensor loss = log_target ? ops::mul(ops::exp(y), ops::sub(y, x))
                                 : ops::sub(ops::xlogy(y, y), ops::mul(y, x));
  if (reduction == "batchmean") {
    const int64_t rows = input.ndim() == 0 ? 1 : input.size(0);
    return p.out(ops::div(ops::sum(loss), Operand(static_cast<double>(rows))));
  }
  return p.out(reduce_loss("klDiv", loss, reduction));
}

Tensor poissonNllLoss(const Tensor& input, const Tensor& target, bool log_input, bool full,
                      double eps, const std::string& reduction) {
  const Precision p{&input, &target};
  const Tensor x = p.in(input);
  const Tensor y = p.in(target);
  Tensor loss = log_input ? ops::sub(ops::exp(x), ops::mul(y, x))
                          : ops::sub(x, ops::mul(y, ops::log(ops::add(x, Operand(eps)))));
  if (full) {
    // Stirling's approximation of log(y!), which counts for targets above 1.
    const Tensor few = ops::le(y, Operand(1));
    const Tensor safe = ops::where(few, Operand(2.0), y);
    const Tensor half_log =
        ops::mul(ops::log(ops::mul(safe, Operand(6.28318530717958647692))), Operand(0.5));
    const Tensor stirling = ops::add(ops::sub(ops::mul(safe, ops::log(safe)), safe), half_log);
    loss = ops::add(loss, ops::where(few, Operand(0.0), stirling));
  }
  return p.out(reduce_loss("poissonNllLoss", loss, reduction));
}

namespace {

// The variance in a shape that broadcasts against the input.
Tensor variance_like(const Tensor& input, const Tensor& var) {
  if (var.sizes() == input.sizes()) return var;
  const Dims& full = input.sizes();
  if (!full.empty() && DimsView(var.sizes()) == DimsView(full.data(), full.size() - 1)) {
    return ops::unsqueeze(var, -1);
  }
  // One variance for all along a single dimension, whichever it is.
  int64_t differing = 0;
  for (size_t d = 0; d < full.size() && var.ndim() == full.size(); ++d) {
    if (var.sizes()[d] != full[d]) ++differing;
  }
  const bool fits =
      var.ndim() == input.ndim() && differing == 1 && can_broadcast_to(var.sizes(), full);
  AG_CHECK(fits || var.ndim() == 0, Shape, "gaussianNllLoss: argument 'var' of shape ", var.sizes(),
           " is of incorrect size for an input of shape ", full);
  return var;
}

}  // namespace

Tensor gaussianNllLoss(const Tensor& input, const Tensor& target, const Operand& var, bool full,
                       double eps, const std::string& reduction) {
  constexpr const char* kName = "gaussianNllLoss";
  AG_CHECK(eps > 0, Value, kName, ": argument 'eps' must be positive, got ", eps);
  const Precision p{&input, &target};
  p.check_floating(kName);
  const Tensor x = p.in(input);
  Tensor v;
  if (var.is_tensor()) {
    v = p.in(variance_like(input, var.tensor()));
  } else {
    v = ops::fullLike(x, Scalar(var.scalar().to_double()));
  }
  AG_CHECK(!is_true(ops::lt(v, Operand(0))), Value, kName, ": argument 'var' has negative entries");
  // The clamp is for stability only: the gradient passes as if it were not there.
  const Tensor d = ops::detach(v);
  v = ops::add(v, ops::sub(ops::clampMin(d, Operand(eps)), d));
  const Tensor error = squared(ops::sub(x, p.in(target)));
  Tensor loss = ops::mul(ops::add(ops::log(v), ops::div(error, v)), Operand(0.5));
  if (full) loss = ops::add(loss, Operand(0.91893853320467274178));
  return p.out(reduce_loss(kName, loss, reduction));
}

}  // namespace impl
}  // namespace ampgrad
