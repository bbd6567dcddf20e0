// Norms of vectors and matrices and condition numbers, by order: numbers, 'fro' and 'nuc'.
#include <cmath>

#include "ops/linalg_common.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad::impl {

using namespace linalg;

namespace {

using OptDims = std::optional<Dims>;

void check_norm_dtype(const char* op, const Tensor& a, std::optional<DType> dtype) {
  AG_CHECK(is_floating(a.dtype()), DType, op, ": Expected a floating point tensor as input. Got ",
           dtype_name(a.dtype()));
  AG_CHECK(!dtype.has_value() || is_floating(*dtype), DType, op,
           ": argument 'dtype' must be a floating point dtype, got ",
           dtype_name(dtype.value_or(a.dtype())));
  AG_CHECK(!dtype.has_value() || promote_types(a.dtype(), *dtype) == *dtype, DType, op,
           ": the dtype of the input (", dtype_name(a.dtype()),
           ") should be convertible without narrowing to the specified dtype (",
           dtype_name(dtype.value_or(a.dtype())), ")");
}

struct MatrixDims {
  int64_t row;
  int64_t column;
};

MatrixDims matrix_dims(const char* op, const Tensor& a, DimsView dim) {
  AG_CHECK(dim.size() == 2, Value, op, ": dim must be a 2-tuple. Got ", dim);
  const MatrixDims d{wrap_dim(op, dim[0], a.ndim()), wrap_dim(op, dim[1], a.ndim())};
  AG_CHECK(d.row != d.column, Value, op, ": dims must be different. Got (", dim[0], ", ", dim[1],
           ")");
  return d;
}

// Sums of magnitudes along `sum_dim`, of which the largest or smallest along `pick_dim` counts.
Tensor extreme_sum(const Tensor& a, int64_t sum_dim, int64_t pick_dim, bool largest, bool keepdim) {
  const Tensor sums = ops::vectorNorm(a, Scalar(1), OptDims(Dims{sum_dim}), keepdim);
  const int64_t pick = !keepdim && pick_dim > sum_dim ? pick_dim - 1 : pick_dim;
  AG_CHECK(sums.size(pick) != 0, Shape,
           "linalg.matrixNorm: cannot compute the norm over an empty dimension: the operation has "
           "no identity, got shape ",
           a.sizes());
  const OptDims dims(Dims{pick});
  return largest ? ops::amax(sums, dims, keepdim) : ops::amin(sums, dims, keepdim);
}

// The two matrix dimensions last, so that a decomposition sees them.
Tensor matrices_last(const Tensor& a, MatrixDims d) {
  return ops::movedim(a, Dims{d.row, d.column}, Dims{-2, -1});
}

Tensor keep_dims(const Tensor& x, MatrixDims d, bool keepdim) {
  if (!keepdim) return x;
  const int64_t first = std::min(d.row, d.column);
  const int64_t second = std::max(d.row, d.column);
  return ops::unsqueeze(ops::unsqueeze(x, first), second);
}

Tensor singular_norm(const Tensor& a, double order, MatrixDims d, bool keepdim) {
  const Tensor values = ops::linalgSvdvals(matrices_last(a, d));
  const OptDims last(Dims{-1});
  AG_CHECK(values.size(-1) != 0, Shape,
           "linalg.matrixNorm: cannot compute the norm over an empty dimension: the operation has "
           "no identity, got shape ",
           a.sizes());
  return keep_dims(order > 0 ? ops::amax(values, last, false) : ops::amin(values, last, false), d,
                   keepdim);
}

Tensor matrix_norm_number(const Tensor& a, Scalar ord, DimsView dim, bool keepdim,
                          std::optional<DType> dtype) {
  const char* op = "linalg.matrixNorm";
  check_matrix(op, "A", a);
  check_norm_dtype(op, a, dtype);
  const MatrixDims d = matrix_dims(op, a, dim);
  const double order = ord.to_double();
  const double size = std::fabs(order);
  AG_CHECK(size == 1 || size == 2 || size == INFINITY, Value, op, ": Order ", order,
           " not supported.");
  const Tensor x = dtype.has_value() ? ops::to(a, *dtype) : a;
  if (size == 2) {
    check_dtype(op, "A", x);
    return singular_norm(x, order, d, keepdim);
  }
  if (size == 1) return extreme_sum(x, d.row, d.column, order > 0, keepdim);
  return extreme_sum(x, d.column, d.row, order > 0, keepdim);
}

Tensor matrix_norm_named(const Tensor& a, const std::string& ord, DimsView dim, bool keepdim,
                         std::optional<DType> dtype) {
  const char* op = "linalg.matrixNorm";
  check_matrix(op, "A", a);
  check_norm_dtype(op, a, dtype);
  AG_CHECK(ord == "fro" || ord == "nuc", Value, op, ": Order ", ord, " not supported.");
  const MatrixDims d = matrix_dims(op, a, dim);
  if (ord == "fro") {
    return ops::vectorNorm(a, Scalar(2), OptDims(Dims{d.row, d.column}), keepdim, dtype);
  }
  const Tensor x = dtype.has_value() ? ops::to(a, *dtype) : a;
  check_dtype(op, "A", x);
  const Tensor values = ops::linalgSvdvals(matrices_last(x, d));
  return keep_dims(ops::sum(values, OptDims(Dims{-1})), d, keepdim);
}

Dims all_dims(const Tensor& a) {
  Dims out;
  for (size_t i = 0; i < a.ndim(); ++i) out.push_back(static_cast<int64_t>(i));
  return out;
}

}  // namespace

Tensor linalgMatrixNorm(const Tensor& a, const Value& ord, DimsView dim, bool keepdim,
                        std::optional<DType> dtype) {
  if (ord.is<std::string>()) {
    return matrix_norm_named(a, ord.get<std::string>(), dim, keepdim, dtype);
  }
  return matrix_norm_number(a, ord.get<Scalar>(), dim, keepdim, dtype);
}

Tensor linalgNorm(const Tensor& a, const Value& ord, std::optional<Dims> dim, bool keepdim,
                  std::optional<DType> dtype) {
  const char* op = "linalg.norm";
  if (dim.has_value()) {
    AG_CHECK(dim->size() == 1 || dim->size() == 2, Value, op,
             ": If dim is specified, it must be of length 1 or 2. Got ", *dim);
  } else if (!ord.is_none()) {
    AG_CHECK(a.ndim() == 1 || a.ndim() == 2, Shape, op,
             ": If dim is not specified but ord is, the input must be 1D or 2D. Got ",
             static_cast<int64_t>(a.ndim()), "D.");
  }
  if (ord.is<std::string>()) {
    const Dims dims = dim.value_or(all_dims(a));
    AG_CHECK(dims.size() == 2, Value, op, ": Order ", ord.get<std::string>(),
             " can only be used with two dimensions, got ", dims);
    return ops::linalgMatrixNorm(a, ord, dims, keepdim, dtype);
  }
  const bool matrix = !ord.is_none() && (dim.has_value() ? dim->size() == 2 : a.ndim() == 2);
  if (matrix) return ops::linalgMatrixNorm(a, ord, dim.value_or(Dims{0, 1}), keepdim, dtype);
  const Scalar order = ord.is_none() ? Scalar(2) : ord.get<Scalar>();
  // Without an order and dimensions, the norm of all elements as one vector.
  return ops::vectorNorm(a, order, dim, keepdim, dtype);
}

Tensor linalgCond(const Tensor& a, const Value& p) {
  const char* op = "linalg.cond";
  check_matrix(op, "A", a);
  check_dtype(op, "A", a);
  const bool spectral =
      p.is_none() || (p.is<Scalar>() && std::fabs(p.get<Scalar>().to_double()) == 2);
  if (p.is<std::string>()) {
    const std::string& name = p.get<std::string>();
    AG_CHECK(name == "fro" || name == "nuc", Value, op,
             ": argument 'p' must be one of none, 1, -1, 2, -2, Infinity, -Infinity, 'fro', 'nuc', "
             "got '",
             name, "'");
  } else if (!p.is_none()) {
    const double size = std::fabs(p.get<Scalar>().to_double());
    AG_CHECK(size == 1 || size == 2 || size == INFINITY, Value, op,
             ": argument 'p' must be one of none, 1, -1, 2, -2, Infinity, -Infinity, 'fro', 'nuc', "
             "got ",
             p.get<Scalar>().to_double());
  }
  if (a.numel() == 0 && (spectral || a.size(-1) == a.size(-2))) {
    return ops::zeros(batch_sizes(a), a.dtype(), a.device());
  }
  if (spectral) {
    const Tensor s = ops::linalgSvdvals(a);
    const Tensor largest = ops::select(s, int64_t{-1}, int64_t{0});
    const Tensor smallest = ops::select(s, int64_t{-1}, int64_t{-1});
    const bool inverted = !p.is_none() && p.get<Scalar>().to_double() < 0;
    return inverted ? ops::div(smallest, largest) : ops::div(largest, smallest);
  }
  check_square(op, "A", a);
  const auto [inverse, info] = ops::linalgInvEx(a, false);
  const Dims last{-2, -1};
  const Tensor product =
      ops::mul(ops::linalgMatrixNorm(a, p, last), ops::linalgMatrixNorm(inverse, p, last));
  // A singular matrix has no inverse: its condition number is infinite.
  return ops::where(ops::eq(info, Operand(0)), product, Operand(INFINITY));
}

}  // namespace ampgrad::impl
