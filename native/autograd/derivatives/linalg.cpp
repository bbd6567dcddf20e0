// Derivatives of matrix products.
#include "autograd/derivative.h"
#include "autograd/grad_mode.h"
#include "ops/feed_forward.h"
#include "ops/gemm_operands.h"

namespace ampgrad::derivatives {

namespace {

// [..., n] as a matrix of `count` rows, which -1 cannot stand for where n is 0.
Tensor rows_of(const Tensor& t, int64_t count) { return ops::reshape(t, Dims{count, t.size(-1)}); }
int64_t count_rows(const TensorMeta& meta) {
  return element_count(DimsView(meta.sizes).slice(0, meta.sizes.size() - 1));
}

// x: [..., in], weight: [out, in]; leading dimensions are rows of one matrix product.
void linear_backward(Backward& b) {
  const Tensor& g = b.grad();
  b.set(0, [&] { return ops::matmul(g, b.input(1)); });
  if (!b.needs(1) && !b.needs(2)) return;
  const int64_t count = count_rows(b.meta(0));
  const Tensor rows = rows_of(g, count);
  if (b.needs(1)) {
    const Tensor x = rows_of(b.input(0), count);
    // The gradient of a transposed view, such as GPT-2's weights, is laid out as the view is: then
    // that of the weight itself is contiguous.
    const bool turned =
        b.needs(0) && !b.input(1).is_contiguous() && ops::t(b.input(1)).is_contiguous();
    if (turned) {
      b.set(1, ops::t(ops::mm(ops::t(x), rows)));
    } else if (b.widens(1)) {
      b.set(1, mm_widened(ops::t(rows), x));
    } else {
      b.set(1, ops::mm(ops::t(rows), x));
    }
  }
  if (!b.is_tensor(2)) return;
  b.set(2, [&] { return b.widens(2) ? row_sum_widened(rows) : ops::sum(rows, Dims{0}); });
}

// From the arguments alone, so that it can be differentiated again.
void feed_forward_composed(Backward& b, Activation f) {
  const int64_t count = count_rows(b.meta(0));
  const Tensor g = rows_of(b.grad(), count);
  const Tensor x = rows_of(b.input(0), count);
  const Tensor w1 = b.input(1);
  const Tensor inner = ops::linear(x, w1, b.is_tensor(2) ? b.input(2) : Tensor());
  b.set(3, [&] { return ops::mm(ops::t(g), activation_info(f).apply(inner)); });
  if (b.is_tensor(4)) b.set(4, [&] { return ops::sum(g, Dims{0}); });
  if (!b.needs(0) && !b.needs(1) && !(b.is_tensor(2) && b.needs(2))) return;
  const Tensor h = activation_info(f).apply_slope(ops::mm(g, b.input(3)), inner);
  b.set(0, [&] { return ops::reshape(ops::mm(h, w1), b.meta(0).sizes); });
  b.set(1, [&] { return ops::mm(ops::t(h), x); });
  if (b.is_tensor(2)) b.set(2, [&] { return ops::sum(h, Dims{0}); });
}

void feed_forward_backward(Backward& b) {
  const Activation f = feed_forward_activation(b.attr<std::string>(5));
  if (GradMode::enabled()) return feed_forward_composed(b, f);
  FeedForwardWanted wanted;
  for (int i = 0; i < 5; ++i) {
    const auto at = static_cast<size_t>(i);
    wanted.needs[at] = b.is_tensor(i) && b.needs(i);
    wanted.widened[at] = wanted.needs[at] && b.widens(i);
  }
  const Tensor none;
  const Tensor input = b.input(0);
  const Tensor weight1 = b.input(1);
  const Tensor weight2 = b.input(3);
  auto grads = feed_forward_gradients(b.grad(), {input, weight1, none, weight2, none, f},
                                      b.output(1), b.output(2), wanted);
  for (int i = 0; i < 5; ++i) {
    if (grads[static_cast<size_t>(i)].defined()) b.set(i, grads[static_cast<size_t>(i)]);
  }
}

}  // namespace

std::vector<Derivative> linalg() {
  return {
      {OpId::mm,
       {in(0).when(1), in(1).when(0)},
       [](Backward& b) {
         b.set(0, [&] { return ops::mm(b.grad(), ops::t(b.input(1))); });
         b.set(1, [&] { return ops::mm(ops::t(b.input(0)), b.grad()); });
       }},
      {OpId::bmm,
       {in(0).when(1), in(1).when(0)},
       [](Backward& b) {
         b.set(0, [&] { return ops::bmm(b.grad(), ops::transpose(b.input(1), 1, 2)); });
         b.set(1, [&] { return ops::bmm(ops::transpose(b.input(0), 1, 2), b.grad()); });
       }},
      {OpId::linear, {in(0).when(1), in(1).when(0)}, linear_backward},
      {OpId::nativeFeedForward,
       {in(0), in(1), in(2), in(3), out(1), out(2)},
       feed_forward_backward},
  };
}

}  // namespace ampgrad::derivatives
