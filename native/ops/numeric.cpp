// Numerical routines along dimensions: differences, derivatives on a grid, integrals, covariances.
// Half precision is widened for a chain of ops and rounded once at its end.
#include <algorithm>

#include "ops/elementwise.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

Tensor in_dtype(const Tensor& x, DType dtype) {
  return x.dtype() == dtype ? x : ops::to(x, std::optional<DType>(dtype));
}

Tensor widened(const Tensor& x) {
  return is_low_precision(x.dtype()) ? in_dtype(x, DType::Float32) : x;
}

// What an op returns that computed in the widened dtype of `dtype`.
Tensor narrowed(const Tensor& x, DType dtype) {
  return is_low_precision(dtype) ? in_dtype(x, dtype) : x;
}

Tensor part(const Tensor& x, int64_t dim, int64_t start, int64_t length) {
  return ops::narrow(x, dim, start, length);
}

// ---- Differences ----------------------------------------------------------------------------

Tensor difference(const Tensor& x, int64_t dim) {
  const int64_t n = x.size(dim) - 1;
  const Tensor upper = part(x, dim, 1, n);
  const Tensor lower = part(x, dim, 0, n);
  return x.dtype() == DType::Bool ? ops::logicalXor(upper, lower) : ops::sub(upper, lower);
}

void check_diff_shape(const Tensor& input, const Tensor& other, int64_t dim, const char* name) {
  AG_CHECK(other.ndim() == input.ndim(), Shape, "diff: expects argument '", name,
           "' to have as many dimensions as input, got ", describe(other), " for ",
           describe(input));
  for (size_t d = 0; d < input.ndim(); ++d) {
    AG_CHECK(static_cast<int64_t>(d) == dim || other.sizes()[d] == input.sizes()[d], Shape,
             "diff: expects the shape of argument '", name,
             "' to match that of input except in the differentiated dimension, got ",
             describe(other), " for ", describe(input));
  }
}

// ---- Gradient on a grid ---------------------------------------------------------------------

// a*x + b*y + c*z
Tensor combine(const Tensor& a, const Tensor& x, const Tensor& b, const Tensor& y, const Tensor& c,
               const Tensor& z) {
  return ops::add(ops::add(ops::mul(a, x), ops::mul(b, y)), ops::mul(c, z));
}

// One dimension with a constant distance of points.
Tensor uniform_gradient(const Tensor& x, int64_t dim, double step, int64_t edge_order) {
  const int64_t n = x.size(dim);
  const auto at = [&](int64_t i) { return part(x, dim, i < 0 ? n + i : i, 1); };
  Tensor first;
  Tensor last;
  if (edge_order == 1) {
    first = ops::div(ops::sub(at(1), at(0)), step);
    last = ops::div(ops::sub(at(-1), at(-2)), step);
  } else {
    const auto edge = [&](const Tensor& a, const Tensor& b, const Tensor& c) {
      return ops::div(ops::sub(ops::sub(ops::mul(b, 4), ops::mul(a, 3)), c), 2 * step);
    };
    first = edge(at(0), at(1), at(2));
    last = ops::neg(edge(at(-1), at(-2), at(-3)));
  }
  const Tensor centre =
      ops::div(ops::sub(part(x, dim, 2, n - 2), part(x, dim, 0, n - 2)), 2 * step);
  return ops::cat(TensorList{first, centre, last}, dim);
}

// The weights of three neighbours in the slope of the parabola through them; dx1 and dx2 are their
// distances and `place` says at which of them the slope is taken.
Tensor parabola_slope(const Tensor& x, int64_t dim, const Tensor& dx, int64_t start, int64_t count,
                      int place) {
  const auto operand = [&](int64_t offset) { return part(x, dim, start + offset, count); };
  const Tensor dx1 = part(dx, dim, start, count);
  const Tensor dx2 = part(dx, dim, start + 1, count);
  const Tensor whole = ops::add(dx1, dx2);
  const Tensor left = ops::mul(dx1, whole);
  const Tensor middle = ops::mul(dx1, dx2);
  const Tensor right = ops::mul(dx2, whole);
  Tensor a;
  Tensor b;
  Tensor c;
  if (place == 0) {
    a = ops::neg(ops::add(ops::mul(dx1, 2), dx2));
    b = whole;
    c = ops::neg(dx1);
  } else if (place == 1) {
    a = ops::neg(dx2);
    b = ops::sub(dx2, dx1);
    c = dx1;
  } else {
    a = dx2;
    b = ops::neg(whole);
    c = ops::add(ops::mul(dx2, 2), dx1);
  }
  return combine(ops::div(a, left), operand(0), ops::div(b, middle), operand(1), ops::div(c, right),
                 operand(2));
}

// One dimension with the places of its points.
Tensor placed_gradient(const Tensor& x, int64_t dim, const Tensor& places, int64_t edge_order) {
  const int64_t n = x.size(dim);
  Dims line(x.ndim(), 1);
  line[static_cast<size_t>(dim)] = n - 1;
  const Tensor dx = ops::reshape(difference(places, 0), line);
  const auto slope = [&](int64_t i) {
    return ops::div(ops::sub(part(x, dim, i + 1, 1), part(x, dim, i, 1)), part(dx, dim, i, 1));
  };
  const Tensor first = edge_order == 1 ? slope(0) : parabola_slope(x, dim, dx, 0, 1, 0);
  const Tensor last = edge_order == 1 ? slope(n - 2) : parabola_slope(x, dim, dx, n - 3, 1, 2);
  if (n == 2) return ops::cat(TensorList{first, last}, dim);
  return ops::cat(TensorList{first, parabola_slope(x, dim, dx, 0, n - 2, 1), last}, dim);
}

Dims gradient_dims(const Tensor& input, const std::optional<Dims>& dim, size_t spacings,
                   int64_t edge_order) {
  AG_CHECK(edge_order == 1 || edge_order == 2, Value,
           "gradient: only supports edgeOrder 1 and 2, got ", edge_order);
  Dims dims;
  if (dim.has_value()) {
    dim_mask("gradient", *dim, input.ndim(), false);
    for (int64_t d : *dim) dims.push_back(wrap_dim("gradient", d, input.ndim()));
  } else {
    for (size_t d = 0; d < input.ndim(); ++d) dims.push_back(static_cast<int64_t>(d));
  }
  AG_CHECK(spacings == dims.size(), Value,
           "gradient: expected spacing to be unspecified, a scalar or a list of length ",
           static_cast<int64_t>(dims.size()), ", got a list of length ",
           static_cast<int64_t>(spacings));
  for (int64_t d : dims) {
    AG_CHECK(input.ndim() > 0 && input.size(d) >= edge_order + 1, Shape,
             "gradient: expected each dimension size to be at least edgeOrder+1, got ",
             describe(input));
  }
  return dims;
}

// ---- Integrals ------------------------------------------------------------------------------

// Distances of the sample points, in a shape that broadcasts against y without its last sample.
Tensor sample_distances(const char* op, const Tensor& y, const Tensor& x, int64_t dim) {
  Tensor places = x;
  if (x.ndim() == 1) {
    AG_CHECK(x.numel() == y.size(dim), Shape, op,
             ": There must be one `x` value for each sample point, got ", describe(x), " for ",
             describe(y));
    Dims line(y.ndim(), 1);
    line[static_cast<size_t>(dim)] = x.numel();
    places = ops::reshape(x, line);
  } else if (x.ndim() < y.ndim()) {
    Dims padded(y.ndim() - x.ndim(), 1);
    for (int64_t s : x.sizes()) padded.push_back(s);
    places = ops::reshape(x, padded);
  }
  return difference(places, wrap_dim(op, dim - static_cast<int64_t>(y.ndim()), places.ndim()));
}

struct Samples {
  Tensor sums;       // of neighbours
  Tensor distances;  // undefined: all equal to dx
  int64_t dim;
  DType dtype;
};

Samples neighbours(const char* op, const Tensor& y, const Tensor& x, int64_t dim) {
  Samples s;
  s.dim = wrap_dim(op, dim, y.ndim());
  AG_CHECK(y.ndim() > 0, Range, op, ": argument 'y' must have at least one dimension");
  AG_CHECK(!x.defined() || (x.dtype() != DType::Bool && x.ndim() > 0), Type, op,
           ": argument 'x' must be numbers of at least one dimension");
  s.dtype = x.defined() ? result_type(y, x) : y.dtype();
  const int64_t n = y.size(s.dim) - 1;
  const Tensor wide = widened(y);
  s.sums = ops::add(part(wide, s.dim, 0, n), part(wide, s.dim, 1, n));
  if (x.defined()) s.distances = sample_distances(op, y, widened(x), s.dim);
  return s;
}

bool has_samples(const Tensor& y, int64_t dim, const char* op) {
  const int64_t d = wrap_dim(op, dim, y.ndim());
  return y.ndim() == 0 || y.size(d) != 0;
}

// ---- Covariance -----------------------------------------------------------------------------

void check_weights(const Tensor& w, const char* name, bool integers, int64_t observations) {
  AG_CHECK(w.ndim() <= 1, Shape, "cov: expected ", name,
           " to have one or fewer dimensions but got ", name, " with ",
           static_cast<int64_t>(w.ndim()), " dimensions");
  AG_CHECK(integers ? is_integral(w.dtype()) && w.dtype() != DType::Bool : is_floating(w.dtype()),
           DType, "cov: expected ", name, " to have ", integers ? "integral" : "floating point",
           " dtype but got ", name, " with ", dtype_name(w.dtype()), " dtype");
  AG_CHECK(w.numel() == observations, Shape, "cov: expected ", name,
           " to have the same numel as there are observations in the input but got ", w.numel(),
           " != ", observations);
  AG_CHECK(observations == 0 || !(to_host(ops::any(ops::lt(w, 0))).data_as<bool>()[0]), Value,
           "cov: ", name, " cannot be negative");
}

double value_of(const Tensor& x) {
  return to_host(ops::to(x, std::optional<DType>(DType::Float64))).data_as<double>()[0];
}

}  // namespace

namespace impl {

Tensor diff(const Tensor& input, int64_t n, int64_t dim, const Tensor& prepend,
            const Tensor& append) {
  AG_CHECK(input.ndim() > 0, Shape, "diff: expects input to be at least one-dimensional");
  AG_CHECK(n >= 0, Value, "diff: order must be non-negative but got ", n);
  const int64_t d = wrap_dim("diff", dim, input.ndim());
  TensorList pieces;
  for (const Tensor* t : {&prepend, &input, &append}) {
    if (!t->defined()) continue;
    if (t != &input) check_diff_shape(input, *t, d, t == &prepend ? "prepend" : "append");
    pieces.push_back(*t);
  }
  if (n == 0) return ops::clone(input);
  Tensor x = pieces.size() == 1 ? input : ops::cat(pieces, d);
  n = std::min(n, x.size(d));
  for (int64_t i = 0; i < n; ++i) x = difference(x, d);
  return x;
}

TensorList gradient(const Tensor& input, const TensorList& coordinates, const Doubles& spacing,
                    int64_t edge_order, std::optional<Dims> dim) {
  const bool placed = !coordinates.empty();
  const size_t count = placed ? coordinates.size() : spacing.size();
  const Dims dims = gradient_dims(input, dim, count, edge_order);
  TensorList results;
  const Tensor wide = widened(input);
  for (size_t i = 0; i < dims.size(); ++i) {
    if (!placed) {
      const Tensor slope = uniform_gradient(wide, dims[i], spacing[i], edge_order);
      results.push_back(narrowed(slope, input.dtype()));
      continue;
    }
    const Tensor& places = coordinates[i];
    AG_CHECK(places.defined() && places.ndim() == 1, Shape,
             "gradient: expected each tensor of argument 'spacing' to have one dimension");
    AG_CHECK(places.numel() == input.size(dims[i]), Shape,
             "gradient: expected the size of a tensor of argument 'spacing' to be that of its "
             "dimension, got ",
             places.numel(), " for ", input.size(dims[i]));
    const Tensor slope = placed_gradient(wide, dims[i], widened(places), edge_order);
    results.push_back(narrowed(slope, result_type(input, places)));
  }
  return results;
}

Tensor trapezoid(const Tensor& y, const Tensor& x, Scalar dx, int64_t dim) {
  if (!has_samples(y, dim, "trapezoid")) {
    Dims sizes = y.sizes();
    const auto d = static_cast<size_t>(wrap_dim("trapezoid", dim, y.ndim()));
    sizes.erase(d);
    return ops::zeros(sizes, std::optional<DType>(y.dtype()), y.device());
  }
  const Samples s = neighbours("trapezoid", y, x, dim);
  if (s.distances.defined()) {
    const Tensor total = ops::sum(ops::mul(s.sums, s.distances), Dims{s.dim});
    return narrowed(ops::div(total, 2.0), s.dtype);
  }
  const Tensor wide = widened(y);
  const Tensor ends = ops::add(ops::select(wide, s.dim, int64_t{0}), ops::select(wide, s.dim, -1));
  const Tensor total = ops::sub(ops::sum(wide, Dims{s.dim}), ops::mul(ends, 0.5));
  return narrowed(ops::mul(total, dx), s.dtype);
}

Tensor cumulativeTrapezoid(const Tensor& y, const Tensor& x, Scalar dx, int64_t dim) {
  if (!has_samples(y, dim, "cumulativeTrapezoid")) return ops::zerosLike(y);
  const Samples s = neighbours("cumulativeTrapezoid", y, x, dim);
  if (s.distances.defined()) {
    const Tensor areas = ops::mul(s.distances, s.sums);
    return narrowed(ops::div(ops::cumsum(areas, s.dim), 2.0), s.dtype);
  }
  return narrowed(ops::cumsum(ops::mul(s.sums, dx.to_double() / 2), s.dim), s.dtype);
}

Tensor cov(const Tensor& input, int64_t correction, const Tensor& fweights,
           const Tensor& aweights) {
  AG_CHECK(input.ndim() <= 2, Shape, "cov: expected input to have two or fewer dimensions but got ",
           "an input with ", static_cast<int64_t>(input.ndim()), " dimensions");
  AG_CHECK(input.dtype() != DType::Bool, DType, "cov: bool dtype is not supported for input");
  constexpr int64_t kMostCorrection = int64_t{1} << 53;
  AG_CHECK(correction >= -kMostCorrection && correction <= kMostCorrection, Value,
           "cov: argument 'correction' must be between -2^53 and 2^53, got ", correction);
  Tensor x = widened(input.ndim() < 2 ? ops::reshape(input, Dims{1, -1}) : input);
  const int64_t observations = x.sizes()[1];
  if (fweights.defined()) check_weights(fweights, "fweights", true, observations);
  if (aweights.defined()) check_weights(aweights, "aweights", false, observations);
  Tensor weights = fweights;
  if (aweights.defined()) {
    weights = weights.defined() ? ops::mul(weights, widened(aweights)) : widened(aweights);
  }
  Operand total = Scalar(observations);
  if (weights.defined()) {
    total = ops::sum(weights);
    AG_CHECK(observations == 0 || value_of(total.tensor()) != 0, Value,
             "cov: weights sum to zero, can't be normalized");
  }
  const auto weighted = [&](const Tensor& t) {
    return weights.defined() ? ops::mul(t, weights) : t;
  };
  const Tensor mean = ops::div(ops::sum(weighted(x), Dims{1}), total);
  Operand divisor = Scalar(std::max<int64_t>(observations - correction, 0));
  if (weights.defined()) {
    Operand lost = Scalar(correction);
    if (aweights.defined() && correction != 0) {
      const Tensor spent = ops::sum(ops::mul(weights, widened(aweights)));
      lost = ops::div(ops::mul(spent, correction), total);
    }
    const Tensor left = ops::sub(total, lost);
    divisor = value_of(left) <= 0 ? Operand(ops::zerosLike(left)) : Operand(left);
  }
  x = ops::sub(x, ops::unsqueeze(mean, 1));
  const Tensor other = weighted(x);
  const Tensor product = ops::mm(in_dtype(x, other.dtype()), ops::t(other));
  const Tensor result = ops::squeeze(ops::div(product, divisor));
  DType dtype = input.dtype();
  if (aweights.defined() && is_floating(dtype)) dtype = result_type(input, aweights);
  return narrowed(result, dtype);
}

Tensor corrcoef(const Tensor& input) {
  AG_CHECK(input.ndim() <= 2, Shape,
           "corrcoef: expected input to have two or fewer dimensions but got an input with ",
           static_cast<int64_t>(input.ndim()), " dimensions");
  const Tensor c = ops::cov(widened(input));
  if (c.ndim() == 0) return narrowed(ops::div(c, c), input.dtype());
  const Tensor deviation = ops::sqrt(ops::diagonal(c));
  const Tensor rows = ops::div(c, ops::unsqueeze(deviation, 1));
  const Tensor scaled = ops::div(rows, ops::unsqueeze(deviation, 0));
  return narrowed(
      ops::clamp(scaled, std::optional<Operand>(Operand(-1)), std::optional<Operand>(Operand(1))),
      input.dtype());
}

}  // namespace impl
}  // namespace ampgrad
