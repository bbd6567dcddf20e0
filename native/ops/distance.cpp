// Distances between vectors: cdist between the rows of two matrices, pdist among those of one, dist
// of two tensors, renorm, and frexp. Checks, broadcast batches, and the choice between differences
// and the matrix product that PyTorch makes for Euclidean distances.
#include "ops/distance_params.h"

#include <cmath>

#include "ops/elementwise.h"
#include "ops/kernels.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad {

namespace {

// From this number of rows on, Euclidean distances come from a matrix product.
constexpr int64_t kProductRows = 25;

void check_distance(const char* op, const Tensor& x1, const Tensor& x2, double p) {
  for (const Tensor* x : {&x1, &x2}) {
    AG_CHECK(is_floating(x->dtype()), DType, op, ": only supports floating-point dtypes, got ",
             describe(*x));
    AG_CHECK(x->ndim() >= 2, Shape, op, ": only supports at least 2D tensors, got ", describe(*x));
  }
  AG_CHECK(x1.dtype() == x2.dtype(), DType, op, ": expected both tensors to have the same dtype, ",
           "got ", dtype_name(x1.dtype()), " and ", dtype_name(x2.dtype()));
  AG_CHECK(x1.size(-1) == x2.size(-1), Shape, op,
           ": X1 and X2 must have the same number of columns. X1: ", x1.size(-1),
           " X2: ", x2.size(-1));
  AG_CHECK(p >= 0, Value, op, ": only supports non-negative p values, got ", p);
}

bool wants_product(const std::optional<std::string>& mode, double p, int64_t rows1, int64_t rows2) {
  const std::string name = mode.value_or("use_mm_for_euclid_dist_if_necessary");
  const bool always = name == "use_mm_for_euclid_dist";
  const bool maybe = name == "use_mm_for_euclid_dist_if_necessary";
  AG_CHECK(always || maybe || name == "donot_use_mm_for_euclid_dist", Value,
           "cdist: argument 'computeMode' must be 'use_mm_for_euclid_dist_if_necessary', "
           "'use_mm_for_euclid_dist' or 'donot_use_mm_for_euclid_dist', got '",
           name, "'");
  return p == 2 && (always || (maybe && (rows1 > kProductRows || rows2 > kProductRows)));
}

DistanceParams distance_params(const Tensor& x1, const Tensor& x2, double p) {
  DistanceParams q;
  q.x1 = x1.data();
  q.x2 = x2.data();
  q.batch = x1.sizes()[0];
  q.rows1 = x1.sizes()[1];
  q.rows2 = x2.sizes()[1];
  q.width = x1.sizes()[2];
  q.p = p;
  return q;
}

}  // namespace

namespace impl {

Tensor cdist(const Tensor& x1, const Tensor& x2, double p, std::optional<std::string> mode) {
  check_distance("cdist", x1, x2, p);
  const int64_t rows1 = x1.size(-2);
  const int64_t rows2 = x2.size(-2);
  const int64_t width = x1.size(-1);
  const Dims batch = broadcast_shapes("cdist", DimsView(x1.sizes()).slice(0, x1.ndim() - 2),
                                      DimsView(x2.sizes()).slice(0, x2.ndim() - 2));
  const int64_t batches = element_count(batch);
  const auto flat = [&](const Tensor& x, int64_t rows) {
    Dims full = batch;
    full.push_back(rows);
    full.push_back(width);
    return ops::reshape(ops::expand(x, full), Dims{batches, rows, width});
  };
  Dims sizes = batch;
  sizes.push_back(rows1);
  sizes.push_back(rows2);
  const Tensor a = flat(x1, rows1);
  const Tensor b = flat(x2, rows2);
  const Tensor out = wants_product(mode, p, rows1, rows2) ? ops::euclideanDistance(a, b)
                                                          : ops::cdistForward(a, b, p);
  return ops::reshape(out, sizes);
}

Tensor cdistForward(const Tensor& x1, const Tensor& x2, double p) {
  check_distance("cdist", x1, x2, p);
  AG_CHECK(x1.ndim() == 3 && x2.ndim() == 3 && x1.sizes()[0] == x2.sizes()[0], Shape,
           "cdistForward: expected two batches of as many matrices, got ", describe(x1), " and ",
           describe(x2));
  const Tensor a = as_contiguous(x1);
  const Tensor b = as_contiguous(x2);
  const Tensor out =
      Tensor::empty(Dims{a.sizes()[0], a.sizes()[1], b.sizes()[1]}, a.dtype(), a.device());
  if (out.numel() == 0) return out;
  DistanceParams q = distance_params(a, b, p);
  q.out = out.data();
  KernelTable::run(OpId::cdistForward, out.device(), out.dtype(), q);
  return out;
}

Tensor cdistBackward(const Tensor& grad, const Tensor& x1, const Tensor& x2, double p,
                     const Tensor& distance) {
  check_distance("cdistBackward", x1, x2, p);
  AG_CHECK(x1.ndim() == 3 && x2.ndim() == 3 && x1.sizes()[0] == x2.sizes()[0], Shape,
           "cdistBackward: expected two batches of as many matrices, got ", describe(x1), " and ",
           describe(x2));
  const Dims sizes{x1.sizes()[0], x1.sizes()[1], x2.sizes()[1]};
  AG_CHECK(grad.sizes() == sizes && distance.sizes() == sizes, Shape,
           "cdistBackward: arguments 'grad' and 'distance' must have shape ", sizes, ", got ",
           describe(grad), " and ", describe(distance));
  const Tensor a = as_contiguous(x1);
  const Tensor b = as_contiguous(x2);
  const Tensor g = as_contiguous(as_dtype(grad, a.dtype()));
  const Tensor d = as_contiguous(as_dtype(distance, a.dtype()));
  const Tensor out = Tensor::empty(a.sizes(), a.dtype(), a.device());
  if (out.numel() == 0) return out;
  if (b.numel() == 0) return ops::zerosLike(a);
  DistanceParams q = distance_params(a, b, p);
  q.grad = g.data();
  q.distance = d.data();
  q.out = out.data();
  KernelTable::run(OpId::cdistBackward, out.device(), out.dtype(), q);
  return out;
}

// |a|^2 - 2ab + |b|^2 as one matrix product of the operands with two more columns.
Tensor euclideanDistance(const Tensor& x1, const Tensor& x2) {
  check_distance("euclideanDistance", x1, x2, 2);
  const auto squares = [](const Tensor& x) { return ops::sum(ops::mul(x, x), Dims{-1}, true); };
  const Tensor norm1 = squares(x1);
  const Tensor norm2 = squares(x2);
  const Tensor left =
      ops::cat(TensorList{ops::mul(x1, -2), norm1, ops::onesLike(norm1)}, int64_t{-1});
  const Tensor right = ops::cat(TensorList{x2, ops::onesLike(norm2), norm2}, int64_t{-1});
  const Tensor product = ops::matmul(left, ops::transpose(right, -2, -1));
  return ops::sqrt(ops::clampMin(product, Operand(0)));
}

Tensor pdist(const Tensor& input, double p) {
  AG_CHECK(input.ndim() == 2, Shape, "pdist: only supports 2D tensors, got ", describe(input));
  AG_CHECK(is_floating(input.dtype()), DType, "pdist: only supports floating-point dtypes, got ",
           describe(input));
  AG_CHECK(p >= 0, Value, "pdist: only supports non-negative p values, got ", p);
  const int64_t n = input.sizes()[0];
  const Tensor batch = ops::unsqueeze(input, 0);
  // First the distances: where their number does not fit, they raise.
  const Tensor square = ops::cdistForward(batch, batch, p);
  const Tensor all = ops::reshape(square, Dims{n * n});
  const Tensor pairs = ops::triuIndices(n, n, int64_t{1}, std::optional<DType>(DType::Int64),
                                        std::optional<Device>(input.device()));
  const Tensor row = ops::select(pairs, int64_t{0}, int64_t{0});
  const Tensor column = ops::select(pairs, int64_t{0}, int64_t{1});
  return ops::indexSelect(all, int64_t{0}, ops::add(ops::mul(row, n), column));
}

Tensor dist(const Tensor& input, const Tensor& other, Scalar p) {
  return ops::vectorNorm(ops::sub(input, other), p);
}

Tensor renorm(const Tensor& input, Scalar p, int64_t dim, Scalar maxnorm) {
  AG_CHECK(p.to_double() > 0, Value, "renorm: non-positive-norm not supported, got ",
           p.to_double());
  AG_CHECK(input.ndim() > 1, Shape, "renorm: input needs at least 2 dimensions, got ",
           static_cast<int64_t>(input.ndim()), " dimensions");
  const double limit = maxnorm.to_double();
  AG_CHECK(limit >= 0, Value, "renorm: expected maxnorm to be >= 0 but got ", limit);
  const int64_t d = wrap_dim("renorm", dim, input.ndim());
  Dims others;
  for (size_t i = 0; i < input.ndim(); ++i) {
    if (static_cast<int64_t>(i) != d) others.push_back(static_cast<int64_t>(i));
  }
  const bool half = is_low_precision(input.dtype());
  const Tensor x = half ? ops::to(input, std::optional<DType>(DType::Float32)) : input;
  const Tensor norm = ops::vectorNorm(x, p, others, true);
  const Tensor factor =
      ops::where(ops::gt(norm, Operand(limit)),
                 ops::div(Operand(limit), ops::add(norm, Operand(1e-7))), Operand(1.0));
  const Tensor out = ops::mul(x, factor);
  return half ? ops::to(out, std::optional<DType>(input.dtype())) : out;
}

std::tuple<Tensor, Tensor> frexp(const Tensor& input) {
  AG_CHECK(is_floating(input.dtype()), DType, "frexp: only supports floating-point dtypes, got ",
           describe(input));
  const Tensor x = as_contiguous(input);
  const Tensor mantissa = Tensor::empty(x.sizes(), x.dtype(), x.device());
  const Tensor exponent = Tensor::empty(x.sizes(), DType::Int32, x.device());
  if (x.numel() == 0) return {mantissa, exponent};
  FrexpParams q;
  q.in = x.data();
  q.mantissa = mantissa.data();
  q.exponent = exponent.data_as<int32_t>();
  q.dtype = x.dtype();
  q.numel = x.numel();
  KernelTable::run(OpId::frexp, x.device(), x.dtype(), q);
  return {mantissa, exponent};
}

}  // namespace impl
}  // namespace ampgrad
