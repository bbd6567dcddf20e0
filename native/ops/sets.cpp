// Counting and membership (histogram, isin), index arithmetic, and tensors filled in other ways:
// fill, fillDiagonal_, scalarTensor, logspace.
#include <algorithm>
#include <cmath>

#include "ops/creation.h"
#include "ops/elementwise.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

double value_of(const Tensor& x) {
  return first_value<double>(ops::to(x, std::optional<DType>(DType::Float64)));
}

struct Bounds {
  double low;
  double high;
};

// The outer edges of a histogram: the given ones, else those of the data.
Bounds outer_edges(const Tensor& x, const std::optional<Doubles>& range) {
  Bounds b{0, 0};
  if (range.has_value()) {
    AG_CHECK(range->size() == 2, Value, "histogram: argument 'range' must hold 2 numbers, got ",
             static_cast<int64_t>(range->size()));
    b = {(*range)[0], (*range)[1]};
    AG_CHECK(!(b.low > b.high), Value, "histogram: min ", b.low, " should not exceed max ", b.high,
             " in argument 'range'");
  } else if (x.numel() == 0) {
    return {0, 1};
  } else {
    b = {value_of(ops::amin(x)), value_of(ops::amax(x))};
  }
  AG_CHECK(std::isfinite(b.low) && std::isfinite(b.high), Value, "histogram: the range [", b.low,
           ", ", b.high, "] is not finite");
  if (b.low == b.high) b = {b.low - 0.5, b.high + 0.5};
  return b;
}

Tensor histogram_edges(const Tensor& x, const Operand& bins, const std::optional<Doubles>& range) {
  if (bins.is_tensor()) {
    const Tensor& edges = bins.tensor();
    AG_CHECK(edges.ndim() == 1 && edges.numel() >= 2, Shape,
             "histogram: argument 'bins' must be a vector of at least 2 edges, got ",
             describe(edges));
    AG_CHECK(edges.dtype() == x.dtype(), DType,
             "histogram: input tensor and bins tensors should have the same dtype, got ",
             dtype_name(x.dtype()), " and ", dtype_name(edges.dtype()));
    AG_CHECK(!range.has_value(), Value,
             "histogram: argument 'range' needs a number of bins, not their edges");
    return contiguous_copy(edges);
  }
  AG_CHECK(!bins.scalar().is_float() && bins.scalar().to_int() > 0, Value,
           "histogram: argument 'bins' must be a positive integer, got ",
           bins.scalar().to_double());
  const Bounds b = outer_edges(x, range);
  AG_CHECK(bins.scalar().to_int() < (int64_t{1} << 48), Range, "histogram: argument 'bins' is too ",
           "large, got ", bins.scalar().to_int());
  return ops::linspace(Scalar(b.low), Scalar(b.high), bins.scalar().to_int() + 1,
                       std::optional<DType>(x.dtype()), x.device());
}

// Few candidates are compared one by one, many are sorted and searched.
constexpr int64_t kSearchFrom = 16;

Tensor member_of(const Tensor& elements, const Tensor& candidates) {
  const Tensor flat = ops::reshape(candidates, Dims{-1});
  if (flat.numel() < kSearchFrom) {
    return ops::any(ops::eq(ops::unsqueeze(elements, -1), flat), Dims{-1});
  }
  const Tensor sorted = std::get<0>(ops::sort(flat));
  const Tensor place = ops::clamp(ops::searchsorted(sorted, elements), std::nullopt,
                                  std::optional<Operand>(Operand(flat.numel() - 1)));
  return ops::eq(ops::reshape(ops::indexSelect(sorted, int64_t{0}, ops::reshape(place, Dims{-1})),
                              elements.sizes()),
                 elements);
}

Scalar number_of(const char* name, const Operand& value) {
  if (!value.is_tensor()) return value.scalar();
  const Tensor& t = value.tensor();
  AG_CHECK(t.ndim() == 0, Shape, "logspace: argument '", name,
           "' must be a number or a 0-dimensional tensor, got ", describe(t));
  if (is_floating(t.dtype())) return value_of(t);
  return first_value<int64_t>(ops::to(t, std::optional<DType>(DType::Int64)));
}

// The bounds of an integer result are values of its dtype, as in PyTorch.
Scalar as_integer(Scalar value, DType dtype) {
  const Tensor t = ops::to(ops::full(Dims{}, value, std::optional<DType>(DType::Float64)),
                           std::optional<DType>(dtype));
  return first_value<int64_t>(ops::to(t, std::optional<DType>(DType::Int64)));
}

}  // namespace

namespace impl {

std::tuple<Tensor, Tensor> histogram(const Tensor& input, const Operand& bins,
                                     std::optional<Doubles> range, const Tensor& weight,
                                     bool density) {
  AG_CHECK(dtypes::kFull.has(input.dtype()), DType, "histogram: not implemented for ",
           dtype_name(input.dtype()));
  AG_CHECK(!weight.defined() || weight.sizes() == input.sizes(), Shape,
           "histogram: if weight tensor is provided it should have the same shape as the input "
           "tensor, got ",
           weight.defined() ? describe(weight) : std::string(), " for ", describe(input));
  AG_CHECK(!weight.defined() || weight.dtype() == input.dtype(), DType,
           "histogram: if weight tensor is provided, input tensor and weight tensor should have "
           "the same dtype");
  // Handles without gradients: counting has none.
  const Tensor x = ops::reshape(input.alias(), Dims{-1});
  const Tensor edges = histogram_edges(x, bins, range);
  const int64_t count = edges.numel() - 1;
  // The last bin holds its upper edge too; what is outside, or NaN, goes to one more place.
  const Tensor inside = ops::logicalAnd(ops::ge(x, ops::select(edges, int64_t{0}, int64_t{0})),
                                        ops::le(x, ops::select(edges, int64_t{0}, count)));
  const Tensor found = ops::sub(ops::searchsorted(edges, x, false, true), Operand(1));
  const Tensor place = ops::where(
      inside, ops::clamp(found, std::nullopt, std::optional<Operand>(Operand(count - 1))),
      Operand(count));
  const Tensor values =
      weight.defined() ? ops::reshape(weight.alias(), Dims{-1}) : ops::onesLike(x);
  const Tensor zeros =
      ops::zeros(Dims{count + 1}, std::optional<DType>(DType::Float64), x.device());
  const Tensor sums = ops::indexAdd(zeros, int64_t{0}, place,
                                    ops::to(values, std::optional<DType>(DType::Float64)));
  Tensor hist = ops::narrow(sums, int64_t{0}, int64_t{0}, count);
  if (density) {
    const Tensor widths = ops::sub(ops::narrow(edges, int64_t{0}, int64_t{1}, count),
                                   ops::narrow(edges, int64_t{0}, int64_t{0}, count));
    hist = ops::div(ops::div(hist, ops::sum(hist)), widths);
  }
  return {as_contiguous(as_dtype(hist, x.dtype())), edges};
}

Tensor isin(const Operand& elements, const Operand& candidates, bool /*assume_unique*/,
            bool invert) {
  AG_CHECK(elements.is_tensor() || candidates.is_tensor(), Type,
           "isin: at least one of the arguments 'elements' and 'testElements' must be a Tensor");
  const Operand both[] = {elements, candidates};
  const DType dtype = result_type(Span<Operand>(both, 2));
  AG_CHECK(dtypes::kNumeric.has(dtype), DType,
           "isin: Unsupported input type encountered: ", dtype_name(dtype));
  const Device device =
      elements.is_tensor() ? elements.tensor().device() : candidates.tensor().device();
  const auto as_tensor = [&](const Operand& o) {
    return o.is_tensor() ? as_dtype(o.tensor(), dtype)
                         : ops::full(Dims{}, o.scalar(), std::optional<DType>(dtype), device);
  };
  const Tensor found = member_of(as_tensor(elements), as_tensor(candidates));
  return invert ? ops::logicalNot(found) : found;
}

TensorList unravelIndex(const Tensor& indices, DimsView shape) {
  AG_CHECK(is_integral(indices.dtype()) && indices.dtype() != DType::Bool, DType,
           "unravelIndex: expected 'indices' to be integer dtype, but got ",
           dtype_name(indices.dtype()));
  for (int64_t s : shape) {
    AG_CHECK(s >= 0, Value, "unravelIndex: 'shape' cannot have negative values, but got ", shape);
  }
  TensorList results(shape.size());
  Tensor rest = as_dtype(indices, DType::Int64);
  for (size_t d = shape.size(); d-- > 0;) {
    AG_CHECK(indices.numel() == 0 || shape[d] != 0, Value,
             "unravelIndex: a shape without elements has no indices, got ", shape);
    if (indices.numel() == 0) {
      results[d] = ops::zerosLike(rest);
      continue;
    }
    results[d] = ops::remainder(rest, Operand(shape[d]));
    rest = ops::floorDivide(rest, Operand(shape[d]));
  }
  return results;
}

Tensor fill(const Tensor& input, const Operand& value) {
  const Tensor out = ops::clone(input);
  return ops::fill_(out, value);
}

Tensor fillDiagonal_(const Tensor& input, Scalar value, bool wrap) {
  AG_CHECK(input.ndim() >= 2, Shape, "fillDiagonal_: dimensions must be larger than 1, got ",
           describe(input));
  const int64_t height = input.sizes()[0];
  const int64_t width = input.sizes()[1];
  for (size_t d = 2; d < input.ndim(); ++d) {
    AG_CHECK(input.sizes()[d] == height && width == height, Shape,
             "fillDiagonal_: all dimensions of input must be of equal length, got ",
             describe(input));
  }
  int64_t stride = 0;
  int64_t length = height;
  for (size_t d = 0; d < input.ndim(); ++d) {
    stride += input.strides()[d];
    length = std::min(length, input.sizes()[d]);
  }
  ops::fill_(ops::asStrided(input, Dims{length}, Dims{stride}, input.offset()), Operand(value));
  // A tall matrix: the diagonal starts again after a free row.
  if (wrap && input.ndim() == 2 && height > width + 1 && width > 0) {
    const int64_t more = (input.numel() + width) / (width + 1) - width;
    const int64_t start = input.offset() + input.strides()[0] * (width + 1);
    ops::fill_(ops::asStrided(input, Dims{more}, Dims{stride}, start), Operand(value));
  }
  return input;
}

Tensor scalarTensor(Scalar s, std::optional<DType> dtype, std::optional<Device> device) {
  return ops::full(Dims{}, s, dtype.value_or(DType::Float32), device);
}

Tensor logspace(const Operand& start, const Operand& end, int64_t steps, double base,
                std::optional<DType> dtype, std::optional<Device> device) {
  AG_CHECK(steps >= 0, Range, "logspace: argument 'steps' must be non-negative, got ", steps);
  const DType out = dtype.value_or(DType::Float32);
  AG_CHECK(out != DType::Bool, DType, "logspace: not implemented for bool");
  check_sizes("logspace", Dims{steps}, sizeof(double));
  Scalar first = number_of("start", start);
  Scalar last = number_of("end", end);
  if (steps == 0) return ops::empty(Dims{0}, std::optional<DType>(out), device);
  if (!is_floating(out)) {
    first = as_integer(first, out);
    last = as_integer(last, out);
  }
  const Tensor exponents = ops::linspace(first, last, steps, std::optional<DType>(DType::Float64));
  const Tensor powers = ops::pow(Operand(base), exponents);
  return ops::to(powers, std::optional<DType>(out), device.value_or(Device{}));
}

}  // namespace impl
}  // namespace ampgrad
