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

// The view may address an element more than once and the input may be any strided window, so the
// gradient is summed over positions of the storage and read back through the input's geometry.
// Elements of an input that overlaps itself share their gradient evenly.
void as_strided_backward(Backward& b) {
  b.set(0, [&] {
    const TensorMeta& input = b.meta(0);
    const Dims& size = b.attr<Dims>(1);
    const Dims& stride = b.attr<Dims>(2);
    const int64_t offset = b.attr<int64_t>(3);
    const Dims& input_stride = b.attr<Dims>(4);
    const int64_t input_offset = b.attr<int64_t>(5);
    const int64_t extent = std::max(offset + storage_extent(size, stride),
                                    input_offset + storage_extent(input.sizes, input_stride));
    const Tensor positions =
        ops::arange(Scalar(extent), std::nullopt, Scalar(int64_t{1}), DType::Int64, input.device);
    // Sums `values` over the elements of the storage that a window looks at.
    const auto spread = [&](DimsView sizes, DimsView strides, int64_t start, const Tensor& values) {
      const Tensor map = ops::asStrided(positions, sizes, strides, std::optional<int64_t>(start));
      const Tensor flat = ops::zeros(Dims{extent}, input.dtype, input.device);
      return ops::scatterAdd(flat, 0, ops::reshape(map, Dims{values.numel()}),
                             ops::reshape(values, Dims{values.numel()}));
    };
    const auto read = [&](const Tensor& flat) {
      return ops::asStrided(flat, input.sizes, input_stride, std::optional<int64_t>(input_offset));
    };
    const Tensor gradient = read(spread(size, stride, offset, b.grad()));
    if (is_non_overlapping(input.sizes, input_stride)) return gradient;
    const Tensor ones = ops::ones(input.sizes, input.dtype, input.device);
    return ops::div(gradient, read(spread(input.sizes, input_stride, input_offset, ones)));
  });
}

// Windows may share elements, which get the sum.
void unfold_backward(Backward& b) {
  b.set(0, [&] {
    const TensorMeta& input = b.meta(0);
    if (input.sizes.empty()) return ops::sum(b.grad());
    const int64_t dim = wrap_dim("unfold", b.attr<int64_t>(1), input.sizes.size());
    const auto count = [&](int64_t n) {
      return ops::arange(Scalar(n), std::nullopt, Scalar(int64_t{1}), DType::Int64, input.device);
    };
    const Tensor starts = ops::mul(count(b.grad().size(dim)), Operand(b.attr<int64_t>(3)));
    const Tensor index = ops::add(ops::unsqueeze(starts, 1), count(b.attr<int64_t>(2)));
    Dims sizes = input.sizes;
    sizes[static_cast<size_t>(dim)] = index.numel();
    const Tensor lines = ops::reshape(ops::movedim(b.grad(), Dims{-1}, Dims{dim + 1}), sizes);
    return ops::indexAdd(zeros_like_meta(input), dim, ops::ravel(index), lines, Scalar(int64_t{1}));
  });
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
      {OpId::asStridedView, {}, as_strided_backward},
      {OpId::unfold, {}, unfold_backward},
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
      {OpId::flip,
       {},
       [](Backward& b) { b.set(0, [&] { return ops::flip(b.grad(), b.attr<Dims>(1)); }); }},
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
