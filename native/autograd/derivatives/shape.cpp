// Derivatives of views, copies and joins.
#include <algorithm>

#include "autograd/derivative.h"

namespace ampgrad::derivatives {

namespace {

Tensor zeros_like_meta(const TensorMeta& m) { return ops::zeros(m.sizes, m.dtype, m.device); }

// Zeros of the input's shape with the gradient written where the view looked.
template <class View>
Tensor scatter_view(Backward& b, const View& view_of) {
  Tensor whole = zeros_like_meta(b.meta(0));
  ops::copy_(view_of(whole), Operand(b.grad()), false);
  return whole;
}

void squeeze_backward(Backward& b) {
  b.set(0, [&] { return ops::reshape(b.grad(), b.meta(0).sizes); });
}

void permute_backward(Backward& b) {
  const Dims& dims = b.attr<Dims>(1);
  Dims inverse(dims.size());
  for (size_t i = 0; i < dims.size(); ++i) {
    inverse[static_cast<size_t>(wrap_dim("permute", dims[i], dims.size()))] =
        static_cast<int64_t>(i);
  }
  b.set(0, [&] { return ops::permute(b.grad(), inverse); });
}

void cat_backward(Backward& b) {
  const int64_t dim = b.attr<int64_t>(1);
  int64_t start = 0;
  for (size_t i = 0; i < b.list_size(0); ++i) {
    const TensorMeta& m = b.meta(0, i);
    if (m.sizes.size() == 1 && m.sizes[0] == 0) {
      if (b.needs(0, i)) b.set(0, i, zeros_like_meta(m));
      continue;
    }
    const int64_t length = m.sizes[static_cast<size_t>(wrap_dim("cat", dim, m.sizes.size()))];
    if (b.needs(0, i)) b.set(0, i, ops::narrow(b.grad(), dim, start, length));
    start += length;
  }
}

}  // namespace

std::vector<Derivative> shape() {
  return {
      {OpId::view, {}, squeeze_backward},
      {OpId::squeeze, {}, squeeze_backward},
      {OpId::unsqueeze, {}, squeeze_backward},
      {OpId::permute, {}, permute_backward},
      {OpId::transpose,
       {},
       [](Backward& b) {
         b.set(0, [&] { return ops::transpose(b.grad(), b.attr<int64_t>(1), b.attr<int64_t>(2)); });
       }},
      // The engine sums over the dimensions that were expanded.
      {OpId::expand, {}, [](Backward& b) { b.set(0, b.grad()); }},
      {OpId::select,
       {},
       [](Backward& b) {
         b.set(0, [&] {
           return scatter_view(b, [&](const Tensor& whole) {
             return ops::select(whole, b.attr<int64_t>(1), b.attr<int64_t>(2));
           });
         });
       }},
      {OpId::slice,
       {},
       [](Backward& b) {
         b.set(0, [&] {
           return scatter_view(b, [&](const Tensor& whole) {
             return ops::slice(whole, b.attr<int64_t>(1), b.opt_attr<int64_t>(2),
                               b.opt_attr<int64_t>(3), b.attr<int64_t>(4));
           });
         });
       }},
      {OpId::diagonal,
       {},
       [](Backward& b) {
         b.set(0, [&] {
           return scatter_view(b, [&](const Tensor& whole) {
             return ops::diagonal(whole, b.attr<int64_t>(1), b.attr<int64_t>(2),
                                  b.attr<int64_t>(3));
           });
         });
       }},
      {OpId::clone, {}, [](Backward& b) { b.set(0, b.grad()); }},
      // The engine casts the gradient to the input's dtype.
      {OpId::toCopy, {}, [](Backward& b) { b.set(0, b.grad()); }},
      {OpId::copy_,
       {},
       [](Backward& b) {
         b.set(0, [&] { return ops::zerosLike(b.grad()); });
         if (b.is_tensor(1)) b.set(1, [&] { return b.grad(); });
       }},
      {OpId::fill_,
       {},
       [](Backward& b) {
         b.set(0, [&] { return ops::zerosLike(b.grad()); });
         if (b.is_tensor(1)) b.set(1, [&] { return ops::sum(b.grad()); });
       }},
      {OpId::zero_, {}, [](Backward& b) { b.set(0, [&] { return ops::zerosLike(b.grad()); }); }},
      {OpId::uniform_, {}, [](Backward& b) { b.set(0, [&] { return ops::zerosLike(b.grad()); }); }},
      {OpId::normal_, {}, [](Backward& b) { b.set(0, [&] { return ops::zerosLike(b.grad()); }); }},
      {OpId::bernoulli_,
       {},
       [](Backward& b) { b.set(0, [&] { return ops::zerosLike(b.grad()); }); }},
      {OpId::cat, {}, cat_backward},
  };
}

}  // namespace ampgrad::derivatives
