// Derivatives of convolutions. With y = x * w, the three maps (forward, input gradient, weight
// gradient) all come from the trilinear form <g, x * w>, so each one's derivatives are the others.
#include "ops/conv.h"

#include "autograd/derivative.h"

namespace ampgrad::derivatives {

namespace {

Dims spatial(DimsView sizes) { return Dims(sizes.slice(2, sizes.size() - 2)); }

Tensor sum_channels(const Tensor& t) {
  Dims dims;
  for (size_t d = 0; d < t.ndim(); ++d) {
    if (d != 1) dims.push_back(static_cast<int64_t>(d));
  }
  return ops::sum(t, dims);
}

// Positions of stride, padding, dilation and groups, which follow each other in every schema.
struct Where {
  int stride;
};

template <class F>
Tensor with_geometry(Backward& b, Where at, const F& f) {
  return f(b.attr<Dims>(at.stride), b.attr<Dims>(at.stride + 1), b.attr<Dims>(at.stride + 2),
           b.attr<int64_t>(at.stride + 3));
}

Tensor forward(Backward& b, Where at, const Tensor& x, const Tensor& w, DimsView y_sizes) {
  return with_geometry(b, at, [&](const Dims& s, const Dims& p, const Dims& d, int64_t groups) {
    return ops::convForward(x, w, Tensor(), spatial(y_sizes), s, p, d, groups);
  });
}

Tensor input_grad(Backward& b, Where at, const Tensor& y, const Tensor& w, DimsView x_sizes) {
  return with_geometry(b, at, [&](const Dims& s, const Dims& p, const Dims& d, int64_t groups) {
    return ops::convInputGrad(y, w, Tensor(), spatial(x_sizes), s, p, d, groups);
  });
}

// The weight is argument 1.
Tensor weight_grad(Backward& b, Where at, const Tensor& y, const Tensor& x) {
  const Dims kernel = spatial(b.meta(1).sizes);
  return with_geometry(b, at, [&](const Dims& s, const Dims& p, const Dims& d, int64_t groups) {
    return b.widens(1) ? conv_weight_grad_widened(y, x, kernel, {s, p, d, groups})
                       : ops::convWeightGrad(y, x, kernel, s, p, d, groups);
  });
}

}  // namespace

std::vector<Derivative> conv() {
  return {
      {OpId::convForward,
       {in(0).when(1), in(1).when(0)},
       [](Backward& b) {
         constexpr Where kAt{4};
         const Tensor& g = b.grad();
         b.set(0, [&] { return input_grad(b, kAt, g, b.input(1), b.meta(0).sizes); });
         b.set(1, [&] { return weight_grad(b, kAt, g, b.input(0)); });
         if (b.is_tensor(2)) b.set(2, [&] { return sum_channels(g); });
       }},
      {OpId::convInputGrad,
       {in(0).when(1), in(1).when(0)},
       [](Backward& b) {
         constexpr Where kAt{4};
         const Tensor& u = b.grad();
         b.set(0, [&] { return forward(b, kAt, u, b.input(1), b.meta(0).sizes); });
         b.set(1, [&] { return weight_grad(b, kAt, b.input(0), u); });
         if (b.is_tensor(2)) b.set(2, [&] { return sum_channels(u); });
       }},
      {OpId::convWeightGrad,
       {in(0).when(1), in(1).when(0)},
       [](Backward& b) {
         constexpr Where kAt{3};
         const Tensor& v = b.grad();
         b.set(0, [&] { return forward(b, kAt, b.input(1), v, b.meta(0).sizes); });
         b.set(1, [&] { return input_grad(b, kAt, b.input(0), v, b.meta(1).sizes); });
       }},
  };
}

}  // namespace ampgrad::derivatives
