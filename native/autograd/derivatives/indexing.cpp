// Derivatives of indexed reads and writes: a read is undone by adding, a write by reading.
#include <algorithm>

#include "autograd/derivative.h"
#include "autograd/grad_mode.h"
#include "ops/indexed.h"

namespace ampgrad::derivatives {

namespace {

Tensor zeros_of(const TensorMeta& m) { return ops::zeros(m.sizes, m.dtype, m.device); }
Tensor zero_at(Backward& b, const Tensor& g) {
  return ops::scatter(g, b.attr<int64_t>(1), b.input(2), Operand(0.0), std::nullopt);
}
Tensor read_at(Backward& b, const Tensor& g) {
  return ops::gather(g, b.attr<int64_t>(1), b.input(2), false);
}
// zeros_of(m) with `values` added at `index` along `dim`: in place, because nobody else has seen
// the zeros, and a copy of a table of embeddings costs more than the sums.
Tensor sum_slices(const TensorMeta& m, int64_t dim, const Tensor& index, const Tensor& values) {
  if (!GradMode::enabled() && values.dtype() == m.dtype) {
    Tensor sums = slice_sums("indexAdd", m.sizes, dim, index, values);
    if (sums.defined()) return sums;
  }
  const Tensor sums = zeros_of(m);
  Values args{Value(sums), Value(dim), Value(index), Value(values), Value(Scalar(int64_t{1}))};
  call_op_inplace(op_def(OpId::indexAdd), args);
  return sums;
}
Tensor add_at(Backward& b, const Tensor& to, const Tensor& values) {
  return ops::scatterAdd(to, b.attr<int64_t>(1), b.input(2), values);
}

// The part of src that was read, which is as large as the index.
Tensor used_part(const Tensor& src, DimsView sizes) {
  Tensor part = src;
  for (size_t d = 0; d < sizes.size(); ++d) {
    if (part.sizes()[d] != sizes[d]) {
      part = ops::narrow(part, static_cast<int64_t>(d), 0, sizes[d]);
    }
  }
  return part;
}

// Its gradient, with zeros for the rest of src.
Tensor whole_gradient(Backward& b, const Tensor& part) {
  const TensorMeta& src = b.meta(3);
  if (part.sizes() == src.sizes) return part;
  const Tensor whole = zeros_of(src);
  if (part.numel() != 0) ops::copy_(used_part(whole, part.sizes()), Operand(part), false);
  return whole;
}

void gather_backward(Backward& b) {
  b.set(0, [&] { return add_at(b, zeros_of(b.meta(0)), b.grad()); });
}

// --- Arguments of the scatters: input, dim, index, src.

// Products through the index. PyTorch's rule for zeros: the one zero of a product takes the product
// of the others; with more of them there is no gradient.
void product_backward(Backward& b, const Tensor& src, bool include_self) {
  const Tensor g = b.grad();
  const int64_t dim = b.attr<int64_t>(1);
  const Tensor index = b.input(2);
  const Tensor self = b.input(0);
  const auto reduce = [&](const Tensor& to, const Tensor& values) {
    return ops::scatterReduce(to, dim, index, values, std::string("prod"), include_self);
  };
  b.set(0, [&] {
    const Tensor safe = ops::maskedFill(self, ops::eq(self, Operand(0)), Operand(1.0));
    const Tensor slope = ops::mul(g, ops::div(reduce(safe, src), safe));
    return include_self ? slope : zero_at(b, slope);
  });
  if (!b.is_tensor(3)) return;
  b.set(3, [&] {
    const Tensor is_zero = ops::eq(src, Operand(0));
    const Tensor zeros = ops::to(is_zero, src.dtype());
    const Tensor count = read_at(b, add_at(b, ops::zerosLike(self), zeros));
    const Tensor alone = ops::logicalAnd(is_zero, ops::eq(count, Operand(1)));
    const Tensor rest = reduce(self, ops::maskedFill(src, alone, Operand(1.0)));
    const Tensor product = reduce(self, src);
    const Tensor plain =
        ops::div(read_at(b, ops::mul(g, product)), ops::maskedFill(src, is_zero, Operand(1.0)));
    return whole_gradient(b, ops::where(alone, read_at(b, ops::mul(g, rest)), plain));
  });
}

void mean_backward(Backward& b, bool include_self) {
  const Tensor g = b.grad();
  const TensorMeta& m = b.meta(0);
  const Tensor start = include_self ? ops::ones(m.sizes, m.dtype, m.device) : zeros_of(m);
  const Tensor index = b.input(2);
  const Tensor count =
      ops::clampMin(add_at(b, start, ops::ones(index.sizes(), m.dtype, m.device)), Operand(1.0));
  const Tensor share = ops::div(g, count);
  b.set(0, [&] { return include_self ? share : zero_at(b, share); });
  b.set(3, [&] { return whole_gradient(b, read_at(b, share)); });
}

// Everything that equals the extreme shares its gradient evenly.
void extreme_backward(Backward& b, const Tensor& src, bool include_self) {
  const Tensor self = b.input(0);
  const Tensor result = b.output();
  const Tensor src_hits = ops::to(ops::eq(src, read_at(b, result)), self.dtype());
  Tensor self_hits = ops::to(ops::eq(self, result), self.dtype());
  if (!include_self) self_hits = zero_at(b, self_hits);
  const Tensor count = add_at(b, self_hits, src_hits);
  // Where nothing was scattered the input is its own extreme; NaN equals nothing.
  const Tensor share = ops::div(b.grad(), ops::clampMin(count, Operand(1.0)));
  b.set(0, [&] { return ops::mul(share, self_hits); });
  b.set(3, [&] { return whole_gradient(b, ops::mul(read_at(b, share), src_hits)); });
}

void scatter_reduce_backward(Backward& b) {
  const std::string& reduce = b.attr<std::string>(4);
  const bool include_self = b.attr<bool>(5);
  if (reduce == "sum") {
    b.set(0, [&] { return include_self ? b.grad() : zero_at(b, b.grad()); });
    b.set(3, [&] { return whole_gradient(b, read_at(b, b.grad())); });
    return;
  }
  if (reduce == "mean") return mean_backward(b, include_self);
  const Tensor src = used_part(b.input(3), b.input(2).sizes());
  if (reduce == "prod") return product_backward(b, src, include_self);
  extreme_backward(b, src, include_self);
}

void scatter_add_backward(Backward& b) {
  b.set(0, [&] { return b.grad(); });
  b.set(3, [&] { return whole_gradient(b, read_at(b, b.grad())); });
}

void scatter_backward(Backward& b) {
  const std::optional<std::string> reduce = b.opt_attr<std::string>(4);
  if (reduce == "multiply") {
    const Tensor index = b.input(2);
    const Tensor self = b.input(0);
    const Tensor src =
        b.is_tensor(3)
            ? used_part(b.input(3), index.sizes())
            : ops::expand(ops::full(Dims{}, b.attr<Scalar>(3), self.dtype()), index.sizes());
    return product_backward(b, src, true);
  }
  b.set(0, [&] { return reduce.has_value() ? b.grad() : zero_at(b, b.grad()); });
  if (b.is_tensor(3)) b.set(3, [&] { return whole_gradient(b, read_at(b, b.grad())); });
}

// --- Arguments of the slice family: input, dim, index, source or value.

Tensor slices_of(Backward& b) {
  return ops::reshape(ops::indexSelect(b.grad(), b.attr<int64_t>(1), b.input(2)), b.meta(3).sizes);
}
Tensor without_slices(Backward& b) {
  return ops::indexFill(b.grad(), b.attr<int64_t>(1), b.input(2), Operand(0.0));
}

void index_add_backward(Backward& b) {
  b.set(0, [&] { return b.grad(); });
  b.set(3, [&] {
    const Scalar alpha = b.attr<Scalar>(4);
    return alpha == Scalar(1) ? slices_of(b) : ops::mul(slices_of(b), Operand(alpha));
  });
}
void index_copy_backward(Backward& b) {
  b.set(0, [&] { return without_slices(b); });
  b.set(3, [&] { return slices_of(b); });
}
void index_fill_backward(Backward& b) {
  b.set(0, [&] { return without_slices(b); });
  if (!b.is_tensor(3)) return;
  b.set(3, [&] {
    // An element counts once, however often the index names it.
    const Tensor& g = b.grad();
    const Tensor none = ops::zeros(g.sizes(), DType::Bool, g.device());
    const Tensor filled = ops::indexFill(none, b.attr<int64_t>(1), b.input(2), Operand(true));
    return ops::sum(ops::where(filled, g, Operand(0.0)));
  });
}

// --- Index tensors.

void index_backward(Backward& b) {
  b.set(0, [&] { return ops::indexPut(zeros_of(b.meta(0)), b.input_list(1), b.grad(), true); });
}

void index_put_backward(Backward& b) {
  const TensorList indices = b.input_list(1);
  b.set(0, [&] {
    if (b.attr<bool>(3)) return b.grad();
    const TensorMeta& m = b.meta(2);
    return ops::indexPut(b.grad(), indices, ops::zeros(Dims{}, m.dtype, m.device), false);
  });
  b.set(2, [&] { return ops::index(b.grad(), indices); });
}

void masked_fill_backward(Backward& b) {
  b.set(0, [&] { return ops::where(b.input(1), Operand(0.0), b.grad()); });
  if (!b.is_tensor(2)) return;
  b.set(2, [&] { return ops::sum(ops::where(b.input(1), b.grad(), Operand(0.0))); });
}

// Arguments: weight, indices, paddingIdx, scaleGradByFreq.
void embedding_backward(Backward& b) {
  b.set(0, [&] {
    const TensorMeta& m = b.meta(0);
    const int64_t padding = b.attr<int64_t>(2);
    const Tensor indices = b.input(1);
    const Tensor rows = ops::reshape(indices, Dims{indices.numel()});
    Tensor g = ops::reshape(b.grad(), Dims{indices.numel(), m.sizes[1]});
    if (padding >= 0) {
      const Tensor skipped = ops::unsqueeze(ops::eq(rows, Operand(padding)), 1);
      g = ops::maskedFill(g, skipped, Operand(0.0));
    }
    if (b.attr<bool>(3)) {
      const Tensor ones = ops::ones(rows.sizes(), m.dtype, m.device);
      const Tensor count =
          ops::indexAdd(ops::zeros(Dims{m.sizes[0]}, m.dtype, m.device), 0, rows, ones);
      g = ops::div(g, ops::unsqueeze(ops::indexSelect(count, 0, rows), 1));
    }
    return sum_slices(m, 0, rows, g);
  });
}

}  // namespace

std::vector<Derivative> indexing() {
  const Save index = in(2);
  return {
      {OpId::indexSelect,
       {index},
       [](Backward& b) {
         b.set(0, [&] { return sum_slices(b.meta(0), b.attr<int64_t>(1), b.input(2), b.grad()); });
       }},
      {OpId::gather, {index}, gather_backward},
      {OpId::scatter, {index, in(0), in(3)}, scatter_backward},
      {OpId::scatterAdd, {index}, scatter_add_backward},
      {OpId::scatterReduce, {index, in(0), in(3), out()}, scatter_reduce_backward},
      {OpId::indexAdd, {index}, index_add_backward},
      {OpId::indexCopy, {index}, index_copy_backward},
      {OpId::indexFill, {index}, index_fill_backward},
      {OpId::index, {in(1)}, index_backward},
      {OpId::indexPut, {in(1)}, index_put_backward},
      {OpId::maskedFill, {in(1)}, masked_fill_backward},
      {OpId::embeddingLookup, {in(1)}, embedding_backward},
  };
}

}  // namespace ampgrad::derivatives
