// Sets, counting, searching and picking by index.
#include <algorithm>
#include <cmath>

#include "ops/creation.h"
#include "ops/elementwise.h"
#include "ops/kernels.h"
#include "ops/ops.h"
#include "ops/order_params.h"
#include "ops/shape_ops.h"

namespace ampgrad::impl {

namespace {

Tensor first_elements(const Tensor& t, int64_t n) {
  return contiguous_copy(t.alias(Dims{n}, Dims{1}, t.offset()));
}

// The input as rows to compare: every element, or every slice along `dim`.
Tensor as_rows(const Tensor& input, std::optional<int64_t> dim) {
  if (!dim.has_value()) {
    const Tensor x = as_contiguous(input);
    return x.alias(Dims{x.numel(), 1}, Dims{1, 1}, x.offset());
  }
  const int64_t d = wrap_dim("unique", *dim, input.ndim());
  if (input.ndim() == 0) return as_contiguous(input).alias(Dims{1, 1}, Dims{1, 1}, input.offset());
  AG_CHECK(input.numel() != 0 || input.sizes()[static_cast<size_t>(d)] == 0, Shape,
           "unique: there are 0 sized dimensions, and they aren't selected, so unique cannot be ",
           "applied, got shape ", input.sizes());
  const Tensor front = contiguous_copy(ops::movedim(input, Dims{d}, Dims{0}));
  const int64_t n = front.sizes()[0];
  const int64_t size = n == 0 ? 0 : front.numel() / n;
  return front.alias(Dims{n, size}, Dims{size, 1}, front.offset());
}

// The groups' first rows in the shape of the input.
Tensor group_rows(const Tensor& input, const Tensor& rows, const Tensor& first,
                  std::optional<int64_t> dim) {
  const int64_t groups = first.numel();
  if (!dim.has_value() || input.ndim() == 0) {
    const Tensor flat = rows.alias(Dims{rows.numel()}, Dims{1}, rows.offset());
    return gather(flat, 0, first, false);
  }
  const int64_t d = wrap_dim("unique", *dim, input.ndim());
  const Dims sizes{groups, rows.sizes()[1]};
  const Tensor index = contiguous_copy(first.alias(sizes, Dims{1, 0}, first.offset()));
  Dims shape{groups};
  for (size_t i = 0; i < input.ndim(); ++i) {
    if (static_cast<int64_t>(i) != d) shape.push_back(input.sizes()[i]);
  }
  const Tensor out = ops::reshape(gather(rows, 0, index, false), shape);
  return contiguous_copy(ops::movedim(out, Dims{0}, Dims{d}));
}

}  // namespace

std::tuple<Tensor, Tensor, Tensor> uniqueGroups(const Tensor& input, bool consecutive,
                                                std::optional<int64_t> dim) {
  const Tensor rows = as_rows(input, dim);
  const int64_t n = rows.sizes()[0];
  Tensor first = Tensor::empty(Dims{n}, DType::Int64, input.device());
  Tensor counts = Tensor::empty(Dims{n}, DType::Int64, input.device());
  Tensor inverse = Tensor::empty(dim.has_value() && input.ndim() != 0 ? Dims{n} : input.sizes(),
                                 DType::Int64, input.device());
  int64_t groups = 0;
  UniqueParams p;
  p.in = rows.data();
  p.dtype = rows.dtype();
  p.rows = n;
  p.size = rows.sizes()[1];
  p.consecutive = consecutive;
  p.first = first.data_as<int64_t>();
  p.group = inverse.data_as<int64_t>();
  p.counts = counts.data_as<int64_t>();
  p.num_groups = &groups;
  KernelTable::run(OpId::uniqueGroups, input.device(), input.dtype(), p);
  first = first_elements(first, groups);
  return {group_rows(input, rows, first, dim), inverse, first_elements(counts, groups)};
}

Tensor bincount(const Tensor& input, const Tensor& weights, int64_t minlength) {
  AG_CHECK(is_integral(input.dtype()), DType, "bincount: argument 'input' must hold integers, got ",
           describe(input));
  AG_CHECK(input.ndim() == 1, Value,
           "bincount only supports 1-d non-negative integral inputs, got ", describe(input));
  AG_CHECK(minlength >= 0, Value, "bincount: argument 'minlength' should be >= 0, got ", minlength);
  AG_CHECK(!weights.defined() || (weights.ndim() == 1 && weights.numel() == input.numel()), Shape,
           "bincount: weights should be 1-d and have the same length as input, got ",
           weights.defined() ? describe(weights) : "none", " for ", describe(input));
  const Tensor index = as_dtype(input, DType::Int64);
  int64_t bins = minlength;
  if (index.numel() != 0) {
    const int64_t low = first_value<int64_t>(ops::amin(index));
    AG_CHECK(low >= 0, Value, "bincount only supports 1-d non-negative integral inputs, got the ",
             "element ", low);
    bins = std::max(bins, first_value<int64_t>(ops::amax(index)) + 1);
  }
  Tensor values = weights;
  if (!weights.defined()) {
    values = ops::onesLike(index);
  } else if (weights.dtype() != DType::Float32) {
    values = as_dtype(weights, DType::Float64);
  }
  const Tensor zeros = ops::zeros(Dims{bins}, values.dtype(), input.device());
  return ops::scatterAdd(zeros, int64_t{0}, index, values);
}

Tensor histc(const Tensor& input, int64_t bins, Scalar min, Scalar max) {
  AG_CHECK(is_floating(input.dtype()), DType, "histc: not implemented for ",
           dtype_name(input.dtype()));
  AG_CHECK(bins > 0, Value, "histc: argument 'bins' must be > 0, but got ", bins);
  const Tensor x = ops::reshape(input, Dims{-1});
  double low = min.to_double();
  double high = max.to_double();
  if (low == high && x.numel() != 0) {
    low = first_value<double>(ops::to(ops::amin(x), DType::Float64));
    high = first_value<double>(ops::to(ops::amax(x), DType::Float64));
  }
  if (low == high) {
    low -= 1;
    high += 1;
  }
  AG_CHECK(std::isfinite(low) && std::isfinite(high), Value, "histc: range of [", low, ", ", high,
           "] is not finite");
  AG_CHECK(low < high, Value, "histc: max must be larger than min, got [", low, ", ", high, "]");
  const Tensor inside = ops::logicalAnd(ops::ge(x, Operand(low)), ops::le(x, Operand(high)));
  const Tensor wide = ops::where(inside, ops::to(x, DType::Float64), Operand(low));
  const Tensor place = ops::mul(ops::div(ops::sub(wide, Operand(low)), Operand(high - low)),
                                Operand(static_cast<double>(bins)));
  const Tensor index = ops::clamp(ops::to(place, DType::Int64), std::optional<Operand>(Operand(0)),
                                  std::optional<Operand>(Operand(bins - 1)));
  const Tensor zeros = ops::zeros(Dims{bins}, DType::Int64, x.device());
  const Tensor counts = ops::scatterAdd(zeros, int64_t{0}, index, ops::to(inside, DType::Int64));
  return as_dtype(counts, input.dtype());
}

namespace {

struct SearchCall {
  const char* op;
  bool out_int32;
  bool right;
};

Tensor run_search(const SearchCall& call, const Tensor& sorted, const Operand& input,
                  const Tensor& sorter) {
  const Tensor row = as_contiguous(sorted);
  const Tensor values =
      input.is_tensor()
          ? as_contiguous(input.tensor())
          : ops::full(Dims{}, input.scalar(), std::optional<DType>(row.dtype()), row.device());
  AG_CHECK(values.dtype() == row.dtype(), DType, call.op,
           ": boundary tensor and input value tensor should have same dtype, but got boundary ",
           "tensor dtype ", dtype_name(row.dtype()), " and input value tensor dtype ",
           dtype_name(values.dtype()));
  Tensor out = Tensor::empty(values.sizes(), DType::Int64, row.device());
  const Tensor order = sorter.defined() ? as_contiguous(sorter) : Tensor();
  SearchParams p;
  p.sorted = row.data();
  p.values = values.data();
  p.sorter = order.defined() ? order.data_as<int64_t>() : nullptr;
  p.out = out.data_as<int64_t>();
  p.dtype = row.dtype();
  p.size = row.sizes().back();
  p.shared_row = row.ndim() == 1;
  p.num_values = p.shared_row ? values.numel() : values.sizes().back();
  p.rows = p.num_values == 0 ? 0 : values.numel() / p.num_values;
  p.right = call.right;
  KernelTable::run(OpId::searchsorted, row.device(), row.dtype(), p);
  return call.out_int32 ? as_dtype(out, DType::Int32) : out;
}

void check_sorted_sequence(const char* op, const Tensor& sorted) {
  AG_CHECK(sorted.ndim() != 0, Shape, op,
           ": input value can be a scalar only; the sorted sequence ",
           "must have at least one dimension, got ", describe(sorted));
  AG_CHECK(sorted.dtype() != DType::Bool, DType, op, ": not implemented for bool");
}

}  // namespace

Tensor searchsorted(const Tensor& sorted, const Operand& input, bool out_int32, bool right,
                    std::optional<std::string> side, const Tensor& sorter) {
  check_sorted_sequence("searchsorted", sorted);
  AG_CHECK(!side.has_value() || *side == "left" || *side == "right", Value,
           "searchsorted: side can only be 'left' or 'right' but got '", side.value_or(""), "'");
  AG_CHECK(!side.has_value() || *side == "right" || !right, Value,
           "searchsorted: side and right can't be set to opposites, got side of left while right ",
           "was True");
  const bool one_row = sorted.ndim() == 1;
  if (!input.is_tensor()) {
    AG_CHECK(one_row, Shape, "searchsorted: input value can be a scalar only when the sorted ",
             "sequence has dimension 1, got shape ", sorted.sizes());
  } else if (!one_row) {
    const Dims& a = sorted.sizes();
    const Dims& b = input.tensor().sizes();
    AG_CHECK(
        a.size() == b.size() && std::equal(a.begin(), a.end() - 1, b.begin()), Shape,
        "searchsorted: boundaries tensor should be 1 dimension or the first N-1 dimensions of ",
        "boundaries tensor and input value tensor must match, but we got boundaries tensor ", a,
        " and input value tensor ", b);
  }
  if (sorter.defined()) {
    AG_CHECK(sorter.dtype() == DType::Int64 && sorter.sizes() == sorted.sizes(), Value,
             "searchsorted: argument 'sorter' must be int64 with the shape of the sorted sequence ",
             sorted.sizes(), ", got ", describe(sorter));
    const Tensor fits = ops::logicalAnd(ops::ge(sorter, Operand(0)),
                                        ops::lt(sorter, Operand(sorted.sizes().back())));
    AG_CHECK(first_value<bool>(ops::all(fits)), Range,
             "searchsorted: argument 'sorter' holds an index out of range [0, ",
             sorted.sizes().back(), ")");
  }
  const bool from_right = right || (side.has_value() && *side == "right");
  return run_search({"searchsorted", out_int32, from_right}, sorted, input, sorter);
}

Tensor bucketize(const Operand& input, const Tensor& boundaries, bool out_int32, bool right) {
  AG_CHECK(boundaries.ndim() == 1, Shape,
           "bucketize: boundaries tensor must be 1 dimension, but got dim(",
           static_cast<int64_t>(boundaries.ndim()), ")");
  check_sorted_sequence("bucketize", boundaries);
  return run_search({"bucketize", out_int32, right}, boundaries, input, Tensor());
}

}  // namespace ampgrad::impl
