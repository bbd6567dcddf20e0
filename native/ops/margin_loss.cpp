// Losses with margins: rankings, embeddings, classes that must win by a distance. Composed of
// public ops; integers follow PyTorch's promotion.
#include <cmath>

#include "ops/kernels.h"
#include "ops/loss.h"
#include "ops/margin_params.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

Tensor above_zero(const Tensor& t) { return ops::clampMin(t, Operand(0)); }

Tensor where_or_zero(const Tensor& condition, const Tensor& t) {
  return ops::where(condition, t, Operand(0));
}

// [C] counts as one row, a single number as a row of one class.
Tensor as_rows(const char* op, const Tensor& input) {
  AG_CHECK(input.ndim() <= 2, Shape, op, ": argument 'input' must have shape [C] or [N, C], got ",
           describe(input));
  return input.ndim() == 2 ? input : ops::reshape(input, Dims{1, input.numel()});
}

void check_indices(const char* op, const Tensor& input, const Tensor& target) {
  AG_CHECK(is_floating(input.dtype()), DType, op, ": argument 'input' must be floating point, got ",
           describe(input));
  AG_CHECK(is_integral(target.dtype()), DType, op,
           ": argument 'target' must hold class indices of an integer dtype, got ",
           describe(target));
}

Tensor pairwise_distance(const Tensor& a, const Tensor& b, double p, double eps) {
  const Tensor d = ops::add(ops::sub(a, b), Operand(eps));
  const Dims last{-1};
  if (std::isinf(p)) return p > 0 ? ops::amax(ops::abs(d), last) : ops::amin(ops::abs(d), last);
  if (p == 1) return ops::sum(ops::abs(d), last);
  if (p == 2) return ops::sqrt(ops::sum(ops::mul(d, d), last));
  if (p == 0) return ops::sum(ops::to(ops::ne(d, Operand(0)), d.dtype()), last);
  return ops::pow(ops::sum(ops::pow(ops::abs(d), Operand(p)), last), Operand(1 / p));
}

}  // namespace

namespace impl {

Tensor hingeEmbeddingLoss(const Tensor& input, const Tensor& target, double margin,
                          const std::string& reduction) {
  AG_CHECK(is_floating(input.dtype()) || std::fabs(margin) < 9e18, Range,
           "hingeEmbeddingLoss: argument 'margin' must fit the dtype of the input, got ", margin);
  // Integers stay integers: the margin is truncated to their dtype.
  const Operand limit =
      is_floating(input.dtype()) ? Operand(margin) : Operand(static_cast<int64_t>(margin));
  const Tensor apart = above_zero(ops::rsub(input, limit));
  const Tensor loss = ops::add(where_or_zero(ops::ne(target, Operand(1)), apart),
                               where_or_zero(ops::ne(target, Operand(-1)), input));
  return reduce_loss("hingeEmbeddingLoss", loss, reduction);
}

Tensor cosineEmbeddingLoss(const Tensor& input1, const Tensor& input2, const Tensor& target,
                           double margin, const std::string& reduction) {
  constexpr const char* kName = "cosineEmbeddingLoss";
  AG_CHECK(target.ndim() <= 1, Shape, kName, ": argument 'target' must be 0-d or 1-d, got ",
           describe(target));
  const size_t wanted = target.ndim() + 1;
  AG_CHECK(input1.ndim() == wanted && input2.ndim() == wanted, Shape, kName, ": ",
           static_cast<int64_t>(target.ndim()), "D target tensor expects ",
           static_cast<int64_t>(wanted), "D input tensors, but found inputs with sizes ",
           input1.sizes(), " and ", input2.sizes());
  constexpr double kEps = 1e-12;
  const Dims dim{static_cast<int64_t>(target.ndim())};
  const Tensor product = ops::sum(ops::mul(input1, input2), dim);
  const Tensor square1 = ops::add(ops::sum(ops::mul(input1, input1), dim), Operand(kEps));
  const Tensor square2 = ops::add(ops::sum(ops::mul(input2, input2), dim), Operand(kEps));
  const Tensor cosine = ops::div(product, ops::sqrt(ops::mul(square1, square2)));
  const Tensor near = ops::rsub(cosine, Operand(1));
  const Tensor far = above_zero(ops::sub(cosine, Operand(margin)));
  const Tensor loss = ops::add(where_or_zero(ops::eq(target, Operand(1)), near),
                               where_or_zero(ops::eq(target, Operand(-1)), far));
  return reduce_loss(kName, loss, reduction);
}

Tensor marginRankingLoss(const Tensor& input1, const Tensor& input2, const Tensor& target,
                         double margin, const std::string& reduction) {
  AG_CHECK(input1.ndim() == input2.ndim() && input1.ndim() == target.ndim(), Shape,
           "marginRankingLoss: all input tensors should have the same number of dimensions, got ",
           input1.sizes(), ", ", input2.sizes(), " and ", target.sizes());
  const Tensor ahead = ops::mul(ops::neg(target), ops::sub(input1, input2));
  const Tensor loss = above_zero(ops::add(ahead, Operand(margin)));
  return reduce_loss("marginRankingLoss", loss, reduction);
}

// log(1 + e^(-y x)), which does not overflow as -log(sigmoid(y x)).
Tensor softMarginLoss(const Tensor& input, const Tensor& target, const std::string& reduction) {
  const Tensor loss = ops::neg(ops::logSigmoid(ops::mul(target, input)));
  return reduce_loss("softMarginLoss", loss, reduction);
}

Tensor multiMarginLoss(const Tensor& input, const Tensor& target, int64_t p, double margin,
                       const Tensor& weight, const std::string& reduction) {
  constexpr const char* kName = "multiMarginLoss";
  AG_CHECK(p == 1 || p == 2, Value, kName, ": only p == 1 and p == 2 are supported, got ", p);
  check_indices(kName, input, target);
  const Tensor x = as_rows(kName, input);
  const int64_t classes = x.size(1);
  AG_CHECK(target.ndim() <= 1 && target.numel() == x.size(0), Shape, kName,
           ": expected argument 'target' of ", x.size(0), " elements, got shape ", target.sizes());
  AG_CHECK(!weight.defined() || (weight.ndim() == 1 && weight.numel() == classes), Shape, kName,
           ": argument 'weight' must have one element for each of ", classes, " classes");
  const Tensor y = ops::reshape(ops::to(target, DType::Int64), Dims{x.size(0), 1});
  const Tensor gap = ops::rsub(ops::gather(x, 1, y, false), Operand(margin));
  Tensor terms = above_zero(ops::add(x, gap));
  if (p == 2) terms = ops::mul(terms, terms);
  if (weight.defined()) {
    terms =
        ops::mul(terms, ops::unsqueeze(ops::indexSelect(weight, 0, ops::squeeze(y, Dims{1})), 1));
  }
  terms = ops::scatter(terms, 1, y, Operand(0), std::nullopt);
  const Tensor loss = ops::div(ops::sum(terms, Dims{1}), Operand(static_cast<double>(classes)));
  const Tensor reduced = reduce_loss(kName, loss, reduction);
  return input.ndim() <= 1 && reduced.ndim() == 1 && target.ndim() == 0
             ? ops::reshape(reduced, Dims())
             : reduced;
}

Tensor multilabelMarginLoss(const Tensor& input, const Tensor& target,
                            const std::string& reduction) {
  constexpr const char* kName = "multilabelMarginLoss";
  check_indices(kName, input, target);
  AG_CHECK(input.sizes() == target.sizes(), Shape, kName, ": argument 'target' must have shape ",
           input.sizes(), " like the input, got ", target.sizes());
  const Tensor x = as_rows(kName, input);
  const Tensor y = as_rows(kName, ops::to(target, DType::Int64));
  const int64_t classes = x.size(1);
  AG_CHECK(classes > 0, Shape, kName, ": argument 'input' must have classes, got ",
           describe(input));
  const Tensor loss = ops::multilabelMarginForward(x, y);
  const Tensor reduced = reduce_loss(kName, loss, reduction);
  return input.ndim() <= 1 && reduced.ndim() == 1 ? ops::reshape(reduced, Dims()) : reduced;
}

namespace {

// The halves are widened: the kernel sees float32 and float64.
MultilabelMarginParams multilabel_params(const Tensor& x, const Tensor& y) {
  constexpr const char* kName = "multilabelMarginLoss";
  check_indices(kName, x, y);
  AG_CHECK(x.ndim() == 2 && y.sizes() == x.sizes() && y.dtype() == DType::Int64, Shape, kName,
           ": expected rows of classes and int64 labels of the same shape, got ", describe(x),
           " and ", describe(y));
  MultilabelMarginParams p;
  p.in = x.data();
  p.target = y.data_as<int64_t>();
  p.rows = x.size(0);
  p.classes = x.size(1);
  // Kernels of other devices note what is out of range.
  for (int64_t i = 0; y.device().is_cpu() && i < y.numel(); ++i) {
    AG_CHECK(p.target[i] < p.classes, Range, kName, ": target ", p.target[i],
             " is out of bounds for ", p.classes, " classes");
  }
  return p;
}

}  // namespace

Tensor multilabelMarginForward(const Tensor& input, const Tensor& target) {
  const DType work = opmath_dtype(input.dtype());
  const Tensor x = as_contiguous(as_dtype(input, work));
  const Tensor y = as_contiguous(target);
  MultilabelMarginParams p = multilabel_params(x, y);
  const Tensor out = Tensor::empty(Dims{p.rows}, work, x.device());
  p.out = out.data();
  KernelTable::run(OpId::multilabelMarginForward, x.device(), work, p);
  return as_dtype(out, input.dtype());
}

Tensor multilabelMarginBackward(const Tensor& grad, const Tensor& input, const Tensor& target) {
  const DType work = opmath_dtype(input.dtype());
  const Tensor x = as_contiguous(as_dtype(input, work));
  const Tensor y = as_contiguous(target);
  MultilabelMarginParams p = multilabel_params(x, y);
  AG_CHECK(grad.ndim() == 1 && grad.numel() == p.rows, Shape,
           "multilabelMarginBackward: argument 'grad' must have ", p.rows, " elements, got ",
           describe(grad));
  const Tensor g = as_contiguous(as_dtype(grad, work));
  const Tensor out = Tensor::empty(x.sizes(), work, x.device());
  p.grad = g.data();
  p.out = out.data();
  KernelTable::run(OpId::multilabelMarginBackward, x.device(), work, p);
  return as_dtype(out, input.dtype());
}

Tensor multilabelSoftMarginLoss(const Tensor& input, const Tensor& target, const Tensor& weight,
                                const std::string& reduction) {
  AG_CHECK(input.ndim() > 0, Shape,
           "multilabelSoftMarginLoss: argument 'input' must have a class dimension");
  Tensor terms =
      ops::neg(ops::add(ops::mul(target, ops::logSigmoid(input)),
                        ops::mul(ops::rsub(target, Operand(1)), ops::logSigmoid(ops::neg(input)))));
  if (weight.defined()) terms = ops::mul(terms, weight);
  const Tensor loss =
      ops::div(ops::sum(terms, Dims{-1}), Operand(static_cast<double>(input.size(-1))));
  return reduce_loss("multilabelSoftMarginLoss", loss, reduction);
}

Tensor tripletMarginLoss(const Tensor& anchor, const Tensor& positive, const Tensor& negative,
                         double margin, double p, double eps, bool swap,
                         const std::string& reduction) {
  AG_CHECK(anchor.ndim() == positive.ndim() && anchor.ndim() == negative.ndim(), Shape,
           "tripletMarginLoss: the anchor, positive, and negative tensors are expected to have the "
           "same number of dimensions, but got: ",
           anchor.sizes(), ", ", positive.sizes(), " and ", negative.sizes());
  AG_CHECK(margin > 0, Value, "tripletMarginLoss: argument 'margin' must be greater than 0, got ",
           margin);
  const Tensor near = pairwise_distance(anchor, positive, p, eps);
  Tensor far = pairwise_distance(anchor, negative, p, eps);
  if (swap) far = ops::minimum(far, pairwise_distance(positive, negative, p, eps));
  const Tensor loss = above_zero(ops::add(ops::sub(near, far), Operand(margin)));
  return reduce_loss("tripletMarginLoss", loss, reduction);
}

}  // namespace impl
}  // namespace ampgrad
