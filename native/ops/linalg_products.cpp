// Linear algebra without a factorization of its own: powers, chains of products, norms, condition
// numbers, cross and dot products, Vandermonde matrices, tensor equations, the exponential.
#include <cmath>

#include "ops/kernels.h"
#include "ops/linalg_common.h"
#include "ops/ops.h"
#include "ops/reduce.h"
#include "ops/shape_ops.h"

namespace ampgrad::impl {

using namespace linalg;

namespace {

void check_same_type(const char* op, const Tensor& x, const Tensor& y) {
  AG_CHECK(x.dtype() == y.dtype(), DType, op,
           ": Expected x and y to have the same dtype, but found x of type ", dtype_name(x.dtype()),
           " and y of type ", dtype_name(y.dtype()), " instead");
  AG_CHECK(x.device() == y.device(), Device, op,
           ": Expected x and y to be on the same device, but found x on ", to_string(x.device()),
           " and y on ", to_string(y.device()), " instead");
}

void check_square_shape(const char* op, const Tensor& a) {
  check_matrix(op, "A", a);
  AG_CHECK(a.size(-1) == a.size(-2), Shape, op,
           ": A must be batches of square matrices, but they are ", a.size(-2), " by ", a.size(-1),
           " matrices");
}

}  // namespace

Tensor linalgCross(const Tensor& input, const Tensor& other, int64_t dim) {
  const char* op = "linalg.cross";
  AG_CHECK(input.ndim() == other.ndim(), Shape, op,
           ": inputs must have the same number of dimensions, got shapes ", input.sizes(), " and ",
           other.sizes());
  check_same_type(op, input, other);
  AG_CHECK(input.dtype() != DType::Bool, DType, op, ": not implemented for bool");
  const int64_t d = wrap_dim(op, dim, input.ndim());
  AG_CHECK(input.ndim() > 0 && input.size(d) == 3 && other.size(d) == 3, Shape, op,
           ": inputs dimension ", dim, " must have length 3, got shapes ", input.sizes(), " and ",
           other.sizes());
  const auto turned = [&](const Tensor& x, int64_t by) { return ops::roll(x, Dims{by}, Dims{d}); };
  // Differences of products have to be rounded once.
  const DType wide = is_low_precision(input.dtype()) ? DType::Float32 : input.dtype();
  const Tensor a = ops::to(input, wide);
  const Tensor b = ops::to(other, wide);
  const Tensor left = ops::mul(turned(a, -1), turned(b, -2));
  const Tensor result = ops::sub(left, ops::mul(turned(a, -2), turned(b, -1)));
  return ops::to(result, input.dtype());
}

Tensor cross(const Tensor& input, const Tensor& other, std::optional<int64_t> dim) {
  if (dim.has_value()) return ops::linalgCross(input, other, *dim);
  for (size_t d = 0; d < input.ndim(); ++d) {
    if (input.sizes()[d] == 3) return ops::linalgCross(input, other, static_cast<int64_t>(d));
  }
  AG_FAIL(Shape, "cross: no dimension of size 3 in input, got shape ", input.sizes());
}

Tensor linalgMatrixPower(const Tensor& a, int64_t n) {
  const char* op = "linalg.matrixPower";
  check_square_shape(op, a);
  if (n == 0) {
    const Tensor unit = ops::eye(a.size(-1), std::optional<int64_t>(), a.dtype(), a.device());
    // A constant that still depends on the input, with a gradient of zero.
    return ops::where(ops::ones(Dims{}, DType::Bool, a.device()), unit, a);
  }
  if (n == 1) return ops::clone(a);
  AG_CHECK(n > INT64_MIN, Value, op, ": argument 'n' must fit into 63 bits, got ", n);
  Tensor power = n < 0 ? ops::linalgInv(a) : a;
  Tensor result;
  for (int64_t rest = n < 0 ? -n : n; rest > 0; rest /= 2) {
    if (rest % 2 == 1) result = result.defined() ? ops::matmul(result, power) : power;
    if (rest > 1) power = ops::matmul(power, power);
  }
  return result.is_same(a) ? ops::clone(a) : result;
}

namespace {

// The order of multiplication that needs the fewest operations, by dynamic programming over all
// splits: split[i][j] is where the product of i..j is parted.
std::vector<std::vector<size_t>> best_splits(const TensorList& chain) {
  const size_t n = chain.size();
  std::vector<double> sizes;
  sizes.reserve(n + 1);
  for (const Tensor& t : chain) sizes.push_back(static_cast<double>(t.size(0)));
  sizes.push_back(static_cast<double>(chain.back().size(1)));
  std::vector<std::vector<double>> cost(n, std::vector<double>(n, 0));
  std::vector<std::vector<size_t>> split(n, std::vector<size_t>(n, 0));
  for (size_t length = 1; length < n; ++length) {
    for (size_t i = 0; i + length < n; ++i) {
      const size_t j = i + length;
      cost[i][j] = INFINITY;
      for (size_t k = i; k < j; ++k) {
        const double total = cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1];
        if (total < cost[i][j]) {
          cost[i][j] = total;
          split[i][j] = k;
        }
      }
    }
  }
  return split;
}

Tensor multiply_chain(const TensorList& chain, const std::vector<std::vector<size_t>>& split,
                      size_t i, size_t j) {
  if (i == j) return chain[i];
  const size_t k = split[i][j];
  return ops::mm(multiply_chain(chain, split, i, k), multiply_chain(chain, split, k + 1, j));
}

void check_chain(const char* op, const TensorList& tensors, const TensorList& chain) {
  for (size_t i = 0; i < chain.size(); ++i) {
    AG_CHECK(chain[i].ndim() == 2, Shape, op, ": tensor ", static_cast<int64_t>(i),
             " must be 2D (the first and the last may be 1D) but got ",
             static_cast<int64_t>(tensors[i].ndim()), "D");
    check_same_type(op, chain[0], chain[i]);
    AG_CHECK(i == 0 || chain[i - 1].size(1) == chain[i].size(0), Shape, op, ": tensors ",
             static_cast<int64_t>(i) - 1, " and ", static_cast<int64_t>(i), " with shapes ",
             tensors[i - (i > 0 ? 1 : 0)].sizes(), " and ", tensors[i].sizes(),
             " cannot be multiplied");
  }
}

}  // namespace

Tensor linalgMultiDot(const TensorList& tensors) {
  const char* op = "linalg.multiDot";
  AG_CHECK(tensors.size() >= 2, Value, op, ": expected at least 2 tensors but got ",
           static_cast<int64_t>(tensors.size()));
  TensorList chain = tensors;
  const bool row = tensors.front().ndim() == 1;
  const bool column = tensors.back().ndim() == 1;
  if (row) chain.front() = ops::unsqueeze(chain.front(), int64_t{0});
  if (column) chain.back() = ops::unsqueeze(chain.back(), int64_t{-1});
  check_chain(op, tensors, chain);
  Tensor out = multiply_chain(chain, best_splits(chain), 0, chain.size() - 1);
  if (column) out = ops::squeeze(out, Dims{-1});
  if (row) out = ops::squeeze(out, Dims{0});
  return out;
}

Tensor chainMatmul(const TensorList& matrices) {
  AG_CHECK(!matrices.empty(), Value, "chainMatmul: expected at least 1 matrix");
  for (const Tensor& t : matrices) {
    AG_CHECK(t.ndim() == 2, Shape, "chainMatmul: Tensor dimension is ",
             static_cast<int64_t>(t.ndim()), ", expected 2 instead.");
  }
  return matrices.size() == 1 ? matrices[0] : ops::linalgMultiDot(matrices);
}

Tensor linalgVecdot(const Tensor& x, const Tensor& y, int64_t dim) {
  const char* op = "linalg.vecdot";
  AG_CHECK(is_floating(x.dtype()), DType, op, ": Expected a floating point tensor as input. Got ",
           dtype_name(x.dtype()));
  check_same_type(op, x, y);
  if (x.ndim() == 1 && y.ndim() == 1 && x.size(0) == y.size(0)) {
    wrap_dim(op, dim, 1);
    return ops::matmul(x, y);
  }
  // A product that is summed has to be rounded once.
  const DType wide = is_low_precision(x.dtype()) ? DType::Float32 : x.dtype();
  const Tensor product = ops::mul(ops::to(x, wide), ops::to(y, wide));
  return ops::to(ops::sum(product, std::optional<Dims>(Dims{dim})), x.dtype());
}

Tensor linalgDiagonal(const Tensor& a, int64_t offset, int64_t dim1, int64_t dim2) {
  return ops::diagonal(a, offset, dim1, dim2);
}

Tensor linalgMatmul(const Tensor& input, const Tensor& other) { return ops::matmul(input, other); }

namespace {

// Powers 0 to n - 1 of the elements, along a new last dimension. Integers and truth values are
// raised as int64.
Tensor power_columns(const Tensor& elements, int64_t n) {
  const Tensor x = is_floating(elements.dtype()) ? elements : ops::to(elements, DType::Int64);
  if (n == 0) return ops::zeros(with_vector(x.sizes(), 0), x.dtype(), x.device());
  Dims ones = x.sizes();
  ones.push_back(1);
  Dims rest = x.sizes();
  rest.push_back(n - 1);
  const Tensor unit = ops::ones(ones, x.dtype(), x.device());
  if (n == 1) return unit;
  const Tensor repeated = ops::expand(ops::unsqueeze(x, int64_t{-1}), rest);
  return ops::cat(TensorList{unit, ops::cumprod(repeated, int64_t{-1}, x.dtype())}, int64_t{-1});
}

}  // namespace

Tensor linalgVander(const Tensor& x, std::optional<int64_t> n) {
  const char* op = "linalg.vander";
  AG_CHECK(x.dtype() != DType::Bool && !is_low_precision(x.dtype()), DType, op,
           ": supports floating point and integer tensors, but got ", dtype_name(x.dtype()));
  AG_CHECK(x.ndim() > 0 || n.has_value(), Shape, op, ": expected a vector, got a scalar");
  const int64_t columns = n.has_value() ? *n : x.size(-1);
  AG_CHECK(columns > 1, Value, op, ": N must be greater than 1, got ", columns);
  check_sizes(op, with_vector(x.sizes(), columns), dtype_size(DType::Int64));
  return power_columns(ops::atleast1d(x), columns);
}

Tensor vander(const Tensor& x, std::optional<int64_t> n, bool increasing) {
  AG_CHECK(x.ndim() == 1, Shape, "vander: x must be a one-dimensional tensor, got shape ",
           x.sizes());
  const int64_t columns = n.value_or(x.size(0));
  AG_CHECK(columns >= 0, Value, "vander: N must be non-negative, got ", columns);
  check_sizes("vander", with_vector(x.sizes(), columns), dtype_size(DType::Int64));
  const Tensor powers = power_columns(x, columns);
  return increasing ? powers : ops::flip(powers, Dims{-1});
}

namespace {

int64_t count(DimsView sizes, size_t from, size_t to) {
  return element_count(sizes.slice(from, to - from));
}

Dims joined(DimsView a, DimsView b) {
  Dims out(a);
  for (int64_t s : b) out.push_back(s);
  return out;
}

}  // namespace

Tensor linalgTensorinv(const Tensor& a, int64_t ind) {
  const char* op = "linalg.tensorinv";
  AG_CHECK(ind > 0, Value, op, ": Expected a strictly positive integer for 'ind', got ", ind);
  const auto at = static_cast<size_t>(ind);
  const DimsView sizes = a.sizes();
  const bool inside = at <= sizes.size();
  const int64_t rows = inside ? count(sizes, 0, at) : a.numel();
  const int64_t columns = inside ? count(sizes, at, sizes.size()) : 1;
  AG_CHECK(rows == columns, Shape, op,
           ": Expected self to satisfy the requirement prod(self.shape[ind:]) == "
           "prod(self.shape[:ind]), but got ",
           columns, " != ", rows);
  check_dtype(op, "A", a);
  const Tensor inverse = ops::linalgInv(ops::reshape(a, Dims{rows, columns}));
  const DimsView tail = inside ? sizes.slice(at, sizes.size() - at) : DimsView();
  return ops::reshape(inverse, joined(tail, sizes.slice(0, inside ? at : sizes.size())));
}

Tensor linalgTensorsolve(const Tensor& a, const Tensor& b, std::optional<Dims> dims) {
  const char* op = "linalg.tensorsolve";
  Tensor lhs = a;
  if (dims.has_value()) {
    const auto n = static_cast<int64_t>(dims->size());
    Dims last;
    for (int64_t i = -n; i < 0; ++i) last.push_back(i);
    lhs = ops::movedim(a, *dims, last);
  }
  AG_CHECK(lhs.ndim() >= b.ndim(), Shape, op, ": expected A to have at least the dimensions of B, ",
           "got shapes ", a.sizes(), " and ", b.sizes());
  const DimsView sizes = lhs.sizes();
  const DimsView result = sizes.slice(b.ndim(), lhs.ndim() - b.ndim());
  const int64_t columns = element_count(result);
  AG_CHECK(columns == b.numel() && columns == element_count(sizes.slice(0, b.ndim())), Shape, op,
           ": Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
           "prod(self.shape[:other.ndim]) == the number of elements of B, got shapes ",
           a.sizes(), " and ", b.sizes());
  const Tensor x =
      ops::linalgSolve(ops::reshape(lhs, Dims{columns, columns}), ops::reshape(b, Dims{columns}));
  return ops::reshape(x, Dims(result));
}

}  // namespace ampgrad::impl
