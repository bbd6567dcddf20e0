// Orthogonal factorizations and what is made of them: QR, eigenvalues of symmetric matrices,
// singular values, least squares, pseudo-inverse, rank.
#include <cmath>

#include "ops/creation.h"
#include "ops/kernels.h"
#include "ops/linalg_common.h"
#include "ops/ops.h"
#include "ops/shape_ops.h"

namespace ampgrad::impl {

using namespace linalg;

namespace {

using Pair = std::tuple<Tensor, Tensor>;
using Triple = std::tuple<Tensor, Tensor, Tensor>;

Tensor transposed(const Tensor& x) { return ops::transpose(x, int64_t{-2}, int64_t{-1}); }

int64_t small_size(const Tensor& a) { return std::min(a.size(-2), a.size(-1)); }

Tensor empty_vector(const Tensor& a, int64_t n) {
  return Tensor::empty(with_vector(batch_sizes(a), n), a.dtype(), a.device());
}

// Householder form of a: the factors in place of the matrix, and their scales.
Pair factor_qr(const Tensor& a) {
  const Tensor factors = copy_columns(a);
  const Tensor tau = empty_vector(a, small_size(a));
  if (a.numel() > 0) {
    LapackParams p = lapack_params(factors);
    p.d = tau.data();
    KernelTable::run(OpId::geqrf, a.device(), a.dtype(), p);
  }
  return {factors, tau};
}

// Overwrites q, whose first columns hold reflectors, with the product of them.
void multiply_reflectors(const Tensor& q, const Tensor& tau) {
  if (q.numel() == 0) return;
  LapackParams p = lapack_params(q);
  p.k = tau.size(-1);
  p.d = tau.data();
  KernelTable::run(OpId::linalgHouseholderProduct, q.device(), q.dtype(), p);
}

Tensor first_columns(const Tensor& x, int64_t n) {
  return ops::narrow(x, int64_t{-1}, int64_t{0}, n);
}

}  // namespace

Pair geqrf(const Tensor& input) {
  check_matrix("geqrf", "input", input);
  check_dtype("geqrf", "input", input);
  return factor_qr(input);
}

Tensor linalgHouseholderProduct(const Tensor& input, const Tensor& tau) {
  const char* op = "linalg.householderProduct";
  check_matrix(op, "input", input);
  check_dtype(op, "input", input);
  check_same(op, input, tau);
  AG_CHECK(input.size(-2) >= input.size(-1), Shape, op,
           ": input.shape[-2] must be greater than or equal to input.shape[-1], got ",
           input.sizes());
  AG_CHECK(tau.ndim() + 1 == input.ndim() && batch_sizes(tau, 1) == batch_sizes(input), Shape, op,
           ": Expected tau to have one dimension less than input and the same batch, got shapes ",
           input.sizes(), " and ", tau.sizes());
  AG_CHECK(input.size(-1) >= tau.size(-1), Shape, op,
           ": input.shape[-1] must be greater than or equal to tau.shape[-1], got shapes ",
           input.sizes(), " and ", tau.sizes());
  const Tensor q = copy_columns(input);
  multiply_reflectors(q, as_contiguous(tau));
  return q;
}

// Q or its transpose times `other`, one reflector after the other.
Tensor ormqr(const Tensor& input, const Tensor& tau, const Tensor& other, bool left,
             bool transpose) {
  check_matrix("ormqr", "input", input);
  check_matrix("ormqr", "other", other);
  check_dtype("ormqr", "input", input);
  check_same("ormqr", input, tau);
  check_same("ormqr", input, other);
  AG_CHECK(tau.ndim() + 1 == input.ndim() && input.ndim() == other.ndim() &&
               batch_sizes(tau, 1) == batch_sizes(input) &&
               batch_sizes(other) == batch_sizes(input),
           Shape, "ormqr: input, tau and other must have the same batch, got shapes ",
           input.sizes(), ", ", tau.sizes(), " and ", other.sizes());
  const int64_t k = tau.size(-1);
  AG_CHECK(k <= input.size(-1) && k <= input.size(-2), Shape,
           "ormqr: input.shape[-1] must be greater than or equal to tau.shape[-1], got shapes ",
           input.sizes(), " and ", tau.sizes());
  AG_CHECK(other.size(left ? -2 : -1) == input.size(-2), Shape,
           "ormqr: ", left ? "other.shape[-2]" : "other.shape[-1]",
           " must be equal to input.shape[-2], got ", "shapes ", input.sizes(), " and ",
           other.sizes());
  const Tensor unit = identity_columns(Dims(), input.size(-2), input.size(-2), input);
  // X Q is the transpose of Q' X'.
  const bool forwards = left == transpose;
  Tensor x = left ? other : transposed(other);
  for (int64_t step = 0; step < k; ++step) {
    const int64_t i = forwards ? step : k - 1 - step;
    const auto column = [&](const Tensor& t) { return ops::narrow(t, int64_t{-1}, i, int64_t{1}); };
    const Tensor v = ops::add(ops::tril(column(input), -i - 1), column(unit));
    const Tensor scale = ops::unsqueeze(column(tau), int64_t{-1});
    const Tensor along = ops::matmul(transposed(v), x);
    x = ops::sub(x, ops::matmul(ops::mul(v, scale), along));
  }
  if (k == 0) return ops::clone(other);
  return left ? x : transposed(x);
}

Pair linalgQr(const Tensor& a, const std::string& mode) {
  const char* op = "linalg.qr";
  check_matrix(op, "A", a);
  check_dtype(op, "A", a);
  AG_CHECK(mode == "reduced" || mode == "complete" || mode == "r", Value, op,
           ": argument 'mode' must be 'reduced', 'complete' or 'r', got '", mode, "'");
  const int64_t m = a.size(-2);
  const int64_t n = a.size(-1);
  const int64_t k = small_size(a);
  const int64_t columns = mode == "complete" ? m : k;
  auto [factors, tau] = factor_qr(a);
  const Tensor rows = ops::narrow(factors, int64_t{-2}, int64_t{0}, columns);
  const Tensor r = ops::triu(rows);
  if (mode == "r") return {Tensor::empty(Dims{0}, a.dtype(), a.device()), r};
  if (n == 0) return {identity_columns(batch_sizes(a), m, columns, a), r};
  const Tensor q = empty_columns(batch_sizes(a), m, columns, a);
  copy_into(first_columns(q, k), first_columns(factors, k));
  if (columns > k) {
    fill_tensor(ops::narrow(q, int64_t{-1}, k, columns - k), Scalar(0));
  }
  multiply_reflectors(q, tau);
  return {q, r};
}

Pair qr(const Tensor& input, bool some) {
  return ops::linalgQr(input, std::string(some ? "reduced" : "complete"));
}

namespace {

bool is_upper(const char* op, const std::string& uplo) {
  const char letter = uplo.size() == 1 ? uplo[0] : '?';
  AG_CHECK(letter == 'L' || letter == 'l' || letter == 'U' || letter == 'u', Value, op,
           ": argument 'UPLO' must be 'L' or 'U', got '", uplo, "'");
  return letter == 'U' || letter == 'u';
}

void check_driver(const char* op, const std::optional<std::string>& driver) {
  AG_CHECK(!driver.has_value(), Value, op,
           ": argument 'driver' is only supported on CUDA inputs, got '", driver.value_or(""),
           "' for a CPU tensor");
}

}  // namespace

Pair linalgEighForward(const Tensor& a, const std::string& uplo, bool compute_v) {
  const char* op = "linalg.eigh";
  check_square(op, "A", a);
  const bool upper = is_upper(op, uplo);
  const Tensor values = empty_vector(a, a.size(-1));
  const Tensor vectors = copy_columns(a);
  if (a.numel() > 0) {
    const Tensor info = zero_info(batch_sizes(a), a);
    LapackParams p = lapack_params(vectors);
    p.b = values.data();
    p.info = info.data_as<int32_t>();
    p.upper = upper;
    p.vectors = compute_v;
    KernelTable::run(OpId::linalgEighForward, a.device(), a.dtype(), p);
    check_converged(op, "eigenvalues", info);
  }
  return {values, compute_v ? vectors : Tensor::empty(Dims{0}, a.dtype(), a.device())};
}

Pair linalgEigh(const Tensor& a, const std::string& uplo) {
  return ops::linalgEighForward(a, uplo, true);
}

Tensor linalgEigvalsh(const Tensor& a, const std::string& uplo) {
  return std::get<0>(ops::linalgEighForward(a, uplo, false));
}

Triple linalgSvdForward(const Tensor& a, bool full, bool compute_uv) {
  const char* op = "linalg.svd";
  check_matrix(op, "A", a);
  check_dtype(op, "A", a);
  const Dims batch = batch_sizes(a);
  const int64_t m = a.size(-2);
  const int64_t n = a.size(-1);
  const int64_t k = small_size(a);
  const Tensor s = empty_vector(a, k);
  const auto none = [&] { return Tensor::empty(Dims{0}, a.dtype(), a.device()); };
  if (a.numel() == 0) {
    if (!compute_uv) return {none(), s, none()};
    return {identity_columns(batch, m, full ? m : k, a), s,
            identity_columns(batch, full ? n : k, n, a)};
  }
  const Tensor work = copy_columns(a);
  const Tensor u = compute_uv ? empty_columns(batch, m, full ? m : k, a) : none();
  const Tensor vh = compute_uv ? empty_columns(batch, full ? n : k, n, a) : none();
  const Tensor info = zero_info(batch, a);
  LapackParams p = lapack_params(work);
  p.b = u.data();
  p.c = s.data();
  p.d = vh.data();
  p.info = info.data_as<int32_t>();
  p.full = full;
  p.vectors = compute_uv;
  KernelTable::run(OpId::linalgSvdForward, a.device(), a.dtype(), p);
  check_converged(op, "singular values", info);
  return {u, s, vh};
}

Triple linalgSvd(const Tensor& a, bool full_matrices, std::optional<std::string> driver) {
  check_driver("linalg.svd", driver);
  return ops::linalgSvdForward(a, full_matrices, true);
}

Tensor linalgSvdvals(const Tensor& a, std::optional<std::string> driver) {
  check_driver("linalg.svdvals", driver);
  return std::get<1>(ops::linalgSvdForward(a, false, false));
}

Triple svd(const Tensor& input, bool some, bool compute_uv) {
  check_matrix("svd", "input", input);
  if (compute_uv) {
    auto [u, s, vh] = ops::linalgSvdForward(input, !some, true);
    return {u, s, transposed(vh)};
  }
  // Zeros of the sizes that the vectors would have.
  const Dims batch = batch_sizes(input);
  const auto zeros = [&](int64_t n) {
    return ops::zeros(with_matrix(batch, n, n), input.dtype(), input.device());
  };
  const Tensor s = std::get<1>(ops::linalgSvdForward(input, false, false));
  return {zeros(input.size(-2)), s, zeros(input.size(-1))};
}

namespace {

// Thresholds of pinv and matrix_rank: numbers, or tensors with one value a matrix.
struct Thresholds {
  Tensor atol;
  Tensor rtol;
};

Tensor threshold(const char* op, const char* name, const std::optional<Operand>& given,
                 double missing, const Tensor& a) {
  if (!given.has_value()) return ops::full(Dims{}, Scalar(missing), a.dtype(), a.device());
  if (!given->is_tensor()) return ops::full(Dims{}, given->scalar(), a.dtype(), a.device());
  const Tensor& t = given->tensor();
  AG_CHECK(t.device() == a.device(), Device, op, ": argument '", name, "' must be on ",
           to_string(a.device()), ", got ", to_string(t.device()));
  return ops::to(t, a.dtype());
}

// PyTorch's defaults: atol 0; rtol max(m, n) * eps, or 0 where a positive atol is given.
Thresholds thresholds(const char* op, const Tensor& a, const std::optional<Operand>& atol,
                      const std::optional<Operand>& rtol) {
  const double eps = a.dtype() == DType::Float64 ? 0x1p-52 : 0x1p-23;
  const double relative = eps * static_cast<double>(std::max(a.size(-2), a.size(-1)));
  const Tensor absolute = threshold(op, "atol", atol, 0, a);
  Tensor ratio = threshold(op, "rtol", rtol, relative, a);
  if (!rtol.has_value() && atol.has_value()) {
    ratio = ops::where(ops::gt(absolute, Operand(0)), Operand(0.0), ratio);
  }
  return {absolute, ratio};
}

// max(atol, rtol * largest), one a matrix, with a last dimension of 1.
Tensor cut(const Thresholds& t, const Tensor& largest) {
  return ops::maximum(ops::unsqueeze(t.atol, int64_t{-1}),
                      ops::mul(ops::unsqueeze(t.rtol, int64_t{-1}), largest));
}

Tensor largest_of(const Tensor& values) {
  return ops::amax(values, std::optional<Dims>(Dims{-1}), true);
}

}  // namespace

Tensor linalgPinvForward(const Tensor& a, const std::optional<Operand>& atol,
                         const std::optional<Operand>& rtol, bool hermitian) {
  const char* op = "linalg.pinv";
  check_matrix(op, "A", a);
  check_dtype(op, "A", a);
  if (hermitian) check_square(op, "A", a);
  const Thresholds limits = thresholds(op, a, atol, rtol);
  if (a.numel() == 0) {
    return Tensor::empty(with_matrix(batch_sizes(a), a.size(-1), a.size(-2)), a.dtype(),
                         a.device());
  }
  if (hermitian) {
    auto [values, vectors] = ops::linalgEighForward(a, std::string("L"), true);
    const Tensor size = ops::abs(values);
    const Tensor kept = ops::gt(size, cut(limits, largest_of(size)));
    const Tensor scale = ops::where(kept, ops::reciprocal(values), Operand(0.0));
    return ops::matmul(ops::mul(vectors, ops::unsqueeze(scale, int64_t{-2})), transposed(vectors));
  }
  auto [u, s, vh] = ops::linalgSvdForward(a, false, true);
  const Tensor top = ops::narrow(s, int64_t{-1}, int64_t{0}, int64_t{1});
  const Tensor kept = ops::gt(s, cut(limits, top));
  const Tensor scale = ops::where(kept, ops::reciprocal(s), Operand(0.0));
  return ops::matmul(ops::mul(transposed(vh), ops::unsqueeze(scale, int64_t{-2})), transposed(u));
}

Tensor linalgPinv(const Tensor& a, const std::optional<Operand>& rcond, bool hermitian,
                  const std::optional<Operand>& atol, const std::optional<Operand>& rtol) {
  AG_CHECK(!rcond.has_value() || !(atol.has_value() || rtol.has_value()), Value,
           "linalg.pinv: argument 'rcond' excludes 'atol' and 'rtol'");
  if (!rcond.has_value()) return ops::linalgPinvForward(a, atol, rtol, hermitian);
  const std::optional<Operand> zero(Operand(0.0));
  return ops::linalgPinvForward(a, zero, rcond, hermitian);
}

Tensor pinverse(const Tensor& input, double rcond) {
  const std::optional<Operand> ratio{Operand(rcond)};
  return ops::linalgPinv(input, ratio);
}

Tensor linalgMatrixRank(const Tensor& a, const std::optional<Operand>& tol, bool hermitian,
                        const std::optional<Operand>& atol, const std::optional<Operand>& rtol) {
  const char* op = "linalg.matrixRank";
  check_matrix(op, "A", a);
  check_dtype(op, "A", a);
  if (hermitian) check_square(op, "A", a);
  AG_CHECK(!tol.has_value() || !(atol.has_value() || rtol.has_value()), Value, op,
           ": argument 'tol' excludes 'atol' and 'rtol'");
  const std::optional<Operand> zero(Operand(0.0));
  const Thresholds limits =
      tol.has_value() ? thresholds(op, a, tol, zero) : thresholds(op, a, atol, rtol);
  if (a.numel() == 0) return ops::zeros(batch_sizes(a), DType::Int64, a.device());
  Tensor values;
  if (hermitian) {
    values = ops::abs(std::get<0>(ops::linalgEighForward(a, std::string("L"), false)));
  } else {
    values = std::get<1>(ops::linalgSvdForward(a, false, false));
  }
  return ops::sum(ops::gt(values, cut(limits, largest_of(values))), std::optional<Dims>(Dims{-1}));
}

namespace {

int lstsq_driver(const char* op, const std::optional<std::string>& name) {
  const std::string driver = name.value_or("gelsy");
  static constexpr const char* kNames[] = {"gels", "gelsy", "gelsd", "gelss"};
  for (int i = 0; i < 4; ++i) {
    if (driver == kNames[i]) return i;
  }
  AG_FAIL(Value, op, ": parameter `driver` should be one of (gels, gelsy, gelsd, gelss), got '",
          driver, "'");
}

struct LeastSquares {
  Tensor solution;  // [.., max(m, n), k], as the routine left it
  Tensor rank;
  Tensor values;
};

LeastSquares run_lstsq(const Tensor& a, const Tensor& b, double rcond, int driver) {
  const char* op = "linalg.lstsq";
  const Dims batch = batch_sizes(a);
  const int64_t m = a.size(-2);
  const int64_t n = a.size(-1);
  const int64_t k = b.size(-1);
  LeastSquares out;
  out.solution = empty_columns(batch, std::max(m, n), k, a);
  fill_tensor(out.solution, Scalar(0));
  copy_into(ops::narrow(out.solution, int64_t{-2}, int64_t{0}, m), b);
  out.rank = Tensor::empty(driver == 0 ? Dims{0} : batch, DType::Int64, a.device());
  out.values =
      driver < 2 ? Tensor::empty(Dims{0}, a.dtype(), a.device()) : empty_vector(a, std::min(m, n));
  if (driver != 0) fill_tensor(out.rank, Scalar(0));
  if (a.numel() == 0) return out;
  const Tensor work = copy_columns(a);
  const Tensor info = zero_info(batch, a);
  LapackParams p = lapack_params(work);
  p.k = k;
  p.b = out.solution.data();
  p.c = driver < 2 ? nullptr : out.values.data();
  p.rank = driver == 0 ? nullptr : out.rank.data_as<int64_t>();
  p.info = info.data_as<int32_t>();
  p.driver = driver;
  p.rcond = rcond;
  KernelTable::run(OpId::linalgLstsq, a.device(), a.dtype(), p);
  const int64_t i = first_failure(info);
  AG_CHECK(i < 0 || status_at(info, i) > 0, Linalg, failure_prefix(op, info, i),
           "The algorithm failed because the inputs contained non-finite values.");
  AG_CHECK(i < 0, Linalg, failure_prefix(op, info, i),
           "The least squares solution could not be computed because the input matrix does not "
           "have full rank (error code: ",
           status_at(info, i), ").");
  return out;
}

// Sums of squares below row n, where the problem is overdetermined and the matrix of full rank.
Tensor lstsq_residuals(const LeastSquares& x, int64_t m, int64_t n, int driver) {
  const auto none = [&] { return Tensor::empty(Dims{0}, x.solution.dtype(), x.solution.device()); };
  if (m <= n || driver == 1) return none();
  if (driver != 0) {
    const Tensor ranks = to_host(as_contiguous(x.rank));
    for (int64_t i = 0; i < ranks.numel(); ++i) {
      if (ranks.data_as<int64_t>()[i] != n) return none();
    }
  }
  const Tensor rest = ops::narrow(x.solution, int64_t{-2}, n, m - n);
  return ops::sum(ops::square(rest), std::optional<Dims>(Dims{-2}));
}

void check_lstsq(const char* op, const Tensor& a, const Tensor& b, bool vector) {
  check_matrix(op, "A", a);
  check_dtype(op, "A", a);
  AG_CHECK(b.ndim() >= 1, Shape, op, ": other must have at least 1 dimension, got a scalar");
  check_same(op, a, b);
  AG_CHECK(a.ndim() >= b.ndim() && a.ndim() - b.ndim() <= 1, Shape, op,
           ": input.dim() must be greater or equal to other.dim() and (input.dim() - other.dim()) "
           "<= 1, got shapes ",
           a.sizes(), " and ", b.sizes());
  AG_CHECK(a.size(-2) == b.size(vector ? -1 : -2), Shape, op, ": input.size(-2) should match ",
           vector ? "other.size(-1)" : "other.size(-2)", ", got shapes ", a.sizes(), " and ",
           b.sizes());
}

}  // namespace

std::tuple<Tensor, Tensor, Tensor, Tensor> linalgLstsq(const Tensor& a, const Tensor& b,
                                                       std::optional<double> rcond,
                                                       std::optional<std::string> driver) {
  const char* op = "linalg.lstsq";
  const bool vector = b.ndim() + 1 == a.ndim();
  check_lstsq(op, a, b, vector);
  const int which = lstsq_driver(op, driver);
  const double eps = a.dtype() == DType::Float64 ? 0x1p-52 : 0x1p-23;
  const double ratio = rcond.value_or(eps * static_cast<double>(std::max(a.size(-2), a.size(-1))));
  const Tensor rhs = vector ? ops::unsqueeze(b, int64_t{-1}) : b;
  const Dims batch = broadcast_shapes(op, batch_sizes(a), batch_sizes(rhs));
  const Tensor lhs = ops::expand(a, with_matrix(batch, a.size(-2), a.size(-1)));
  const Tensor full = ops::expand(rhs, with_matrix(batch, rhs.size(-2), rhs.size(-1)));
  const LeastSquares x = run_lstsq(lhs, full, ratio, which);
  const int64_t n = a.size(-1);
  const Tensor residuals = lstsq_residuals(x, a.size(-2), n, which);
  Tensor solution = ops::narrow(x.solution, int64_t{-2}, int64_t{0}, n);
  if (vector) solution = ops::squeeze(solution, Dims{-1});
  return {solution, residuals, x.rank, x.values};
}

}  // namespace ampgrad::impl
