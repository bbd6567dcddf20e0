// Sorting and selection along a dimension: the dimension is moved last, kernels see contiguous
// rows. Quantiles are composed of a sort and picks.
#include <cmath>

#include "ops/kernels.h"
#include "ops/ops.h"
#include "ops/order_params.h"
#include "ops/shape_ops.h"

namespace ampgrad::impl {

namespace {

using Pair = std::tuple<Tensor, Tensor>;

// A view with the dimensions exchanged, below autograd.
Tensor exchanged(const Tensor& x, int64_t a, int64_t b) {
  if (a == b) return x;
  Dims sizes(x.sizes());
  Dims strides(x.strides());
  std::swap(sizes[static_cast<size_t>(a)], sizes[static_cast<size_t>(b)]);
  std::swap(strides[static_cast<size_t>(a)], strides[static_cast<size_t>(b)]);
  return x.alias(sizes, strides, x.offset());
}

// Runs a row kernel that leaves `k` items of every line along `dim`; `argument` is what the kernel
// reads as its k.
Pair run_rows(OpId op, const Tensor& input, int64_t dim, int64_t k, int64_t argument,
              bool descending) {
  const int64_t last = static_cast<int64_t>(input.ndim()) - 1;
  const int64_t d = input.ndim() == 0 ? -1 : dim;
  const Tensor rows = as_contiguous(exchanged(input, d, last));
  Dims sizes(rows.sizes());
  SortParams p;
  p.size = sizes.empty() ? 1 : sizes.back();
  if (!sizes.empty()) sizes.back() = k;
  Tensor values = Tensor::empty(sizes, input.dtype(), input.device());
  Tensor indices = Tensor::empty(sizes, DType::Int64, input.device());
  p.in = rows.data();
  p.values = values.data();
  p.indices = indices.data_as<int64_t>();
  p.dtype = input.dtype();
  p.rows = k == 0 ? 0 : indices.numel() / k;
  p.k = argument;
  p.descending = descending;
  KernelTable::run(op, input.device(), input.dtype(), p);
  return {as_contiguous(exchanged(values, d, last)), as_contiguous(exchanged(indices, d, last))};
}

int64_t line_length(const Tensor& input, int64_t dim) {
  return input.ndim() == 0 ? 1 : input.sizes()[static_cast<size_t>(dim)];
}

// One item a line; the dimension stays with size 1 or goes.
Pair run_selection(OpId op, const Tensor& input, int64_t dim, int64_t argument, bool keepdim) {
  const char* name = op_name(op);
  const int64_t d = wrap_dim(name, dim, input.ndim());
  AG_CHECK(line_length(input, d) != 0, Range, name, ": Expected reduction dim ", d,
           " to have non-zero size, got shape ", input.sizes());
  Pair result = run_rows(op, input, d, 1, argument, false);
  if (keepdim || input.ndim() == 0) return result;
  const auto drop = [&](const Tensor& t) {
    Dims sizes;
    for (size_t i = 0; i < t.ndim(); ++i) {
      if (static_cast<int64_t>(i) != d) sizes.push_back(t.sizes()[i]);
    }
    return t.alias(sizes, contiguous_strides(sizes), 0);
  };
  return {drop(std::get<0>(result)), drop(std::get<1>(result))};
}

void check_ordered_dtype(OpId op, const Tensor& input) {
  AG_CHECK(op_def(op).dtypes.has(input.dtype()), DType, op_name(op), ": not implemented for ",
           dtype_name(input.dtype()));
}

Tensor median_of_all(OpId op, const Tensor& input) {
  check_ordered_dtype(op, input);
  if (input.numel() == 0) {
    AG_CHECK(is_floating(input.dtype()), Value, op_name(op),
             ": an empty integer tensor has no median, got ", describe(input));
    return ops::full(Dims{}, Scalar(std::nan("")), input.dtype(), input.device());
  }
  const Tensor flat = as_contiguous(input);
  const Dims sizes{flat.numel()};
  const OpId kernel = op == OpId::median ? OpId::medianDim : OpId::nanmedianDim;
  return std::get<0>(run_selection(kernel, flat.alias(sizes, Dims{1}, flat.offset()), 0, 1, false));
}

}  // namespace

Pair sort(const Tensor& input, int64_t dim, bool descending, bool) {
  const int64_t d = wrap_dim("sort", dim, input.ndim());
  const int64_t n = line_length(input, d);
  return run_rows(OpId::sort, input, d, n, n, descending);
}

Tensor argsort(const Tensor& input, int64_t dim, bool descending, bool stable) {
  return std::get<1>(ops::sort(input, dim, descending, stable));
}

Tensor msort(const Tensor& input) { return std::get<0>(ops::sort(input, int64_t{0})); }

Pair topk(const Tensor& input, int64_t k, int64_t dim, bool largest, bool) {
  check_ordered_dtype(OpId::topk, input);
  const int64_t d = wrap_dim("topk", dim, input.ndim());
  const int64_t n = line_length(input, d);
  AG_CHECK(k >= 0 && k <= n, Range,
           "topk: selected index k out of range: argument 'k' must be in [0, ", n, "], got ", k);
  return run_rows(OpId::topk, input, d, input.ndim() == 0 ? 1 : k, k, largest);
}

Pair kthvalue(const Tensor& input, int64_t k, int64_t dim, bool keepdim) {
  check_ordered_dtype(OpId::kthvalue, input);
  const int64_t d = wrap_dim("kthvalue", dim, input.ndim());
  const int64_t n = line_length(input, d);
  AG_CHECK(k >= 1 && k <= n, Range, "kthvalue: selected number k out of range for dimension ", d,
           ": argument 'k' must be in [1, ", n, "], got ", k);
  return run_selection(OpId::kthvalue, input, dim, k, keepdim);
}

Tensor median(const Tensor& input) { return median_of_all(OpId::median, input); }
Tensor nanmedian(const Tensor& input) { return median_of_all(OpId::nanmedian, input); }

Pair medianDim(const Tensor& input, int64_t dim, bool keepdim) {
  check_ordered_dtype(OpId::medianDim, input);
  return run_selection(OpId::medianDim, input, dim, 1, keepdim);
}

Pair nanmedianDim(const Tensor& input, int64_t dim, bool keepdim) {
  check_ordered_dtype(OpId::nanmedianDim, input);
  return run_selection(OpId::nanmedianDim, input, dim, 1, keepdim);
}

Pair mode(const Tensor& input, int64_t dim, bool keepdim) {
  return run_selection(OpId::mode, input, dim, 1, keepdim);
}

namespace {

struct QuantileCall {
  const char* op;
  bool skip_nan;
  const std::string& interpolation;
};

void check_quantile(const QuantileCall& call, const Tensor& input, const Operand& q) {
  AG_CHECK(input.dtype() == DType::Float32 || input.dtype() == DType::Float64, DType, call.op,
           ": input tensor must be either float or double dtype, got ", describe(input));
  AG_CHECK(input.numel() != 0, Value, call.op, ": input tensor must be non-empty, got shape ",
           input.sizes());
  bool known = false;
  for (const char* name : {"linear", "lower", "higher", "midpoint", "nearest"}) {
    known = known || call.interpolation == name;
  }
  AG_CHECK(known, Value, call.op, ": argument 'interpolation' must be one of 'linear', 'lower', ",
           "'higher', 'midpoint' or 'nearest', but got '", call.interpolation, "'");
  if (!q.is_tensor()) {
    const double v = q.scalar().to_double();
    AG_CHECK(v >= 0 && v <= 1, Value, call.op,
             ": argument 'q' must be in the range [0, 1] but got ", v);
    return;
  }
  AG_CHECK(q.tensor().ndim() <= 1, Shape, call.op,
           ": argument 'q' must be a number or a 1D tensor, ", "got shape ", q.tensor().sizes());
  AG_CHECK(q.tensor().dtype() == input.dtype(), DType, call.op,
           ": argument 'q' must have the same dtype as the input tensor, got ",
           dtype_name(q.tensor().dtype()), " and ", dtype_name(input.dtype()));
  const Tensor inside =
      ops::logicalAnd(ops::ge(q.tensor(), Operand(0)), ops::le(q.tensor(), Operand(1)));
  AG_CHECK(first_value<bool>(ops::all(inside)), Value, call.op,
           ": argument 'q' values must be in the range [0, 1]");
}

// Ranks [..., Q] of the quantiles in lines sorted with NaN last.
Tensor quantile_ranks(const QuantileCall& call, const Tensor& sorted, const Tensor& q) {
  const int64_t n = sorted.sizes().back();
  const Tensor nan = ops::isnan(sorted);
  const std::optional<Dims> last{Dims{-1}};
  if (call.skip_nan) {
    const Tensor count = ops::sum(ops::logicalNot(nan), last, true);
    const Tensor top = ops::to(ops::sub(count, Operand(1)), sorted.dtype());
    return ops::clamp(ops::mul(q, top), std::optional<Operand>(Operand(0)),
                      std::optional<Operand>());
  }
  const Tensor top =
      ops::full(Dims{1}, Scalar(static_cast<double>(n - 1)), sorted.dtype(), sorted.device());
  // A line with NaN answers with its last element, which is NaN.
  return ops::where(ops::any(nan, last, true), top, ops::mul(q, top));
}

Tensor pick_ranks(const QuantileCall& call, const Tensor& sorted, Tensor ranks) {
  if (call.interpolation == "lower") ranks = ops::floor(ranks);
  if (call.interpolation == "higher") ranks = ops::ceil(ranks);
  if (call.interpolation == "nearest") ranks = ops::round(ranks);
  const Tensor below = ops::to(ranks, DType::Int64);
  const Tensor low = ops::gather(sorted, int64_t{-1}, below);
  if (call.interpolation != "linear" && call.interpolation != "midpoint") return low;
  const Tensor high = ops::gather(sorted, int64_t{-1}, ops::to(ops::ceil(ranks), DType::Int64));
  const Tensor weight =
      call.interpolation == "midpoint" ? ops::fullLike(ranks, Scalar(0.5)) : ops::sub(ranks, below);
  return ops::lerp(low, high, weight);
}

// [Q] -> [Q] or [Q, 1, ...].
Tensor flat_result(const Tensor& picked, size_t ndim, bool keepdim) {
  Dims sizes{picked.numel()};
  for (size_t i = 0; keepdim && i < ndim; ++i) sizes.push_back(1);
  return ops::reshape(picked, sizes);
}

// [..., Q], where the last dimension of the input stands at `dim`, to [Q, ...] with the reduced
// dimension back in its place or gone.
Tensor line_result(const Tensor& picked, size_t ndim, int64_t dim, bool keepdim) {
  const int64_t last = static_cast<int64_t>(ndim) - 1;
  Tensor out = ops::unsqueeze(picked, int64_t{-1});
  if (dim != last) out = ops::transpose(out, dim, int64_t{-1});
  Dims order{last};
  for (int64_t i = 0; i < last; ++i) order.push_back(i);
  order.push_back(last + 1);
  out = ops::permute(out, order);
  return keepdim ? out : ops::squeeze(out, std::optional<Dims>(Dims{dim + 1}));
}

Tensor run_quantile(const QuantileCall& call, const Tensor& input, const Operand& q,
                    std::optional<int64_t> dim, bool keepdim) {
  check_quantile(call, input, q);
  const int64_t d = wrap_dim(call.op, dim.value_or(0), input.ndim());
  const bool flat = !dim.has_value() || input.ndim() == 0;
  const Tensor lines = flat ? ops::reshape(input, Dims{-1}) : ops::transpose(input, d, -1);
  const Tensor sorted = std::get<0>(ops::sort(lines));
  const bool listed = q.is_tensor() && q.tensor().ndim() == 1;
  const Tensor points = q.is_tensor()
                            ? ops::reshape(q.tensor(), Dims{-1})
                            : ops::full(Dims{1}, q.scalar(), input.dtype(), input.device());
  Tensor ranks = quantile_ranks(call, sorted, points);
  Dims rank_sizes(sorted.sizes());
  rank_sizes.back() = points.numel();
  ranks = ops::expand(ranks, rank_sizes);
  const Tensor picked = pick_ranks(call, sorted, ops::contiguous(ranks));
  const Tensor out = flat ? flat_result(picked, input.ndim(), keepdim)
                          : line_result(picked, input.ndim(), d, keepdim);
  return listed ? out : ops::select(out, int64_t{0}, int64_t{0});
}

}  // namespace

Tensor quantile(const Tensor& input, const Operand& q, std::optional<int64_t> dim, bool keepdim,
                const std::string& interpolation) {
  return run_quantile({"quantile", false, interpolation}, input, q, dim, keepdim);
}

Tensor nanquantile(const Tensor& input, const Operand& q, std::optional<int64_t> dim, bool keepdim,
                   const std::string& interpolation) {
  return run_quantile({"nanquantile", true, interpolation}, input, q, dim, keepdim);
}

}  // namespace ampgrad::impl
