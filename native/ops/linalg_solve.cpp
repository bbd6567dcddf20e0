// Cholesky and LU factorizations and what is solved with them: linear systems, inverses, triangular
// systems, determinants.
#include <cmath>

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

Dims pivot_sizes(const Tensor& a) {
  return with_vector(batch_sizes(a), std::min(a.size(-2), a.size(-1)));
}

struct LuFactors {
  Tensor lu;
  Tensor pivots;
  Tensor info;
};

LuFactors factor_lu(const Tensor& a) {
  LuFactors out{copy_columns(a), Tensor::empty(pivot_sizes(a), DType::Int32, a.device()),
                zero_info(batch_sizes(a), a)};
  if (a.numel() == 0) return out;
  LapackParams p = lapack_params(out.lu);
  p.pivots = out.pivots.data_as<int32_t>();
  p.info = out.info.data_as<int32_t>();
  KernelTable::run(OpId::linalgLuFactorEx, a.device(), a.dtype(), p);
  return out;
}

// Overwrites b, column-major, with the solutions.
void solve_with_lu(const Tensor& lu, const Tensor& pivots, const Tensor& b, bool transpose) {
  if (b.numel() == 0) return;
  const Tensor factors = as_columns(lu);
  const Tensor order = as_contiguous(pivots);
  LapackParams p = lapack_params(factors);
  p.b = b.data();
  p.k = b.size(-1);
  p.pivots = order.data_as<int32_t>();
  p.transpose = transpose;
  KernelTable::run(OpId::luSolveForward, b.device(), b.dtype(), p);
}

// PyTorch's rule: B is a batch of vectors if it has one dimension or exactly A's shape without the
// last dimension.
bool is_vector_rhs(const Tensor& a, const Tensor& b) {
  if (b.ndim() == 1) return true;
  if (a.ndim() != b.ndim() + 1) return false;
  return DimsView(a.sizes()).slice(0, a.ndim() - 1) == DimsView(b.sizes());
}

void check_system(const char* op, const Tensor& a, const Tensor& b, bool left) {
  check_matrix(op, "B", b);
  AG_CHECK(a.size(-1) == b.size(left ? -2 : -1), Shape, op,
           ": Incompatible shapes of A and B for the equation ", left ? "AX = B" : "XA = B", " (",
           a.size(-2), "x", a.size(-1), " and ", b.size(-2), "x", b.size(-1), ")");
}

// Both with the same batch, as views.
Pair broadcast_batches(const char* op, const Tensor& a, const Tensor& b) {
  const Dims batch = broadcast_shapes(op, batch_sizes(a), batch_sizes(b));
  return {ops::expand(a, with_matrix(batch, a.size(-2), a.size(-1))),
          ops::expand(b, with_matrix(batch, b.size(-2), b.size(-1)))};
}

}  // namespace

Pair linalgCholeskyEx(const Tensor& a, bool upper, bool check_errors) {
  check_square("linalg.choleskyEx", "A", a);
  const Tensor factor = copy_columns(a);
  const Tensor info = zero_info(batch_sizes(a), a);
  if (a.numel() > 0) {
    LapackParams p = lapack_params(factor);
    p.upper = upper;
    p.info = info.data_as<int32_t>();
    KernelTable::run(OpId::linalgCholeskyEx, a.device(), a.dtype(), p);
  }
  if (check_errors) check_cholesky("linalg.choleskyEx", info);
  return {factor, info};
}

Tensor linalgCholesky(const Tensor& a, bool upper) {
  check_square("linalg.cholesky", "A", a);
  auto [factor, info] = ops::linalgCholeskyEx(a, upper, false);
  check_cholesky("linalg.cholesky", info);
  return factor;
}

Tensor cholesky(const Tensor& input, bool upper) {
  check_square("cholesky", "input", input);
  auto [factor, info] = ops::linalgCholeskyEx(input, upper, false);
  check_cholesky("cholesky", info);
  return factor;
}

Tensor choleskySolve(const Tensor& b, const Tensor& l, bool upper) {
  check_square("choleskySolve", "L", l);
  check_dtype("choleskySolve", "B", b);
  check_same("choleskySolve", b, l);
  check_system("choleskySolve", l, b, true);
  const Tensor lower = upper ? transposed(l) : l;
  const Tensor half = ops::linalgSolveTriangular(lower, b, false);
  return ops::linalgSolveTriangular(transposed(lower), half, true);
}

Tensor choleskyInverse(const Tensor& l, bool upper) {
  check_square("choleskyInverse", "L", l);
  const Tensor unit = identity_columns(batch_sizes(l), l.size(-1), l.size(-1), l);
  return ops::choleskySolve(unit, l, upper);
}

std::tuple<Tensor, Tensor, Tensor, Tensor> linalgSolveForward(const Tensor& a, const Tensor& b) {
  check_square("linalg.solve", "A", a);
  check_same("linalg.solve", a, b);
  check_system("linalg.solve", a, b, true);
  // Matrices that serve several right-hand sides are factored once.
  const Dims batch = batch_sizes(b);
  AG_CHECK(can_broadcast_to(batch_sizes(a), batch), Shape,
           "linalgSolveForward: the batch of A must broadcast to the batch of B, got shapes ",
           a.sizes(), " and ", b.sizes());
  LuFactors f = factor_lu(a);
  const Tensor x = copy_columns(b);
  const int64_t n = a.size(-1);
  solve_with_lu(ops::expand(f.lu, with_matrix(batch, n, n)),
                ops::expand(f.pivots, with_vector(batch, n)), x, false);
  return {x, f.lu, f.pivots, f.info};
}

Pair linalgSolveEx(const Tensor& a, const Tensor& b, bool left, bool check_errors) {
  const char* op = "linalg.solve";
  check_square(op, "A", a);
  check_same(op, a, b);
  AG_CHECK(b.ndim() > 0, Shape, op, ": argument 'B' must have at least 1 dimension, got a scalar");
  const bool vector = is_vector_rhs(a, b);
  AG_CHECK(left || !vector, Shape, op,
           ": Vector broadcasting of the left hand side is not supported for left=False. In this "
           "case linalg.solve is equivalent to B / A.squeeze(-1)");
  const Tensor matrix = vector ? ops::unsqueeze(b, int64_t{-1}) : b;
  check_system(op, a, matrix, left);
  const Dims batch = broadcast_shapes(op, batch_sizes(a), batch_sizes(matrix));
  Tensor lhs = a;
  Tensor rhs = ops::expand(matrix, with_matrix(batch, matrix.size(-2), matrix.size(-1)));
  if (!left) {
    lhs = transposed(lhs);
    rhs = transposed(rhs);
  }
  auto [x, lu, pivots, info] = ops::linalgSolveForward(lhs, rhs);
  if (check_errors) check_solve(op, info);
  if (!left) x = transposed(x);
  if (vector) x = ops::squeeze(x, Dims{-1});
  return {x, info};
}

Tensor linalgSolve(const Tensor& a, const Tensor& b, bool left) {
  return std::get<0>(ops::linalgSolveEx(a, b, left, true));
}

Pair linalgInvEx(const Tensor& a, bool check_errors) {
  check_square("linalg.invEx", "A", a);
  LuFactors f = factor_lu(a);
  const Tensor x = identity_columns(batch_sizes(a), a.size(-1), a.size(-1), a);
  solve_with_lu(f.lu, f.pivots, x, false);
  if (check_errors) check_inverse("linalg.invEx", f.info);
  return {x, f.info};
}

Tensor linalgInv(const Tensor& a) {
  check_square("linalg.inv", "A", a);
  auto [inverse, info] = ops::linalgInvEx(a, false);
  check_inverse("linalg.inv", info);
  return inverse;
}

Tensor linalgSolveTriangularForward(const Tensor& a, const Tensor& b, bool upper,
                                    bool unitriangular) {
  check_square("linalg.solveTriangular", "A", a);
  check_same("linalg.solveTriangular", a, b);
  check_system("linalg.solveTriangular", a, b, true);
  AG_CHECK(batch_sizes(a) == batch_sizes(b), Shape,
           "linalgSolveTriangularForward: the batches of A and B must be equal, got shapes ",
           a.sizes(), " and ", b.sizes());
  const Tensor x = copy_columns(b);
  if (x.numel() == 0) return x;
  const Tensor factor = as_columns(a);
  LapackParams p = lapack_params(factor);
  p.b = x.data();
  p.k = x.size(-1);
  p.upper = upper;
  p.unit = unitriangular;
  KernelTable::run(OpId::linalgSolveTriangularForward, x.device(), x.dtype(), p);
  return x;
}

Tensor linalgSolveTriangular(const Tensor& a, const Tensor& b, bool upper, bool left,
                             bool unitriangular) {
  const char* op = "linalg.solveTriangular";
  check_square(op, "A", a);
  check_same(op, a, b);
  check_system(op, a, b, left);
  auto [lhs, rhs] = broadcast_batches(op, a, b);
  if (left) return ops::linalgSolveTriangularForward(lhs, rhs, upper, unitriangular);
  return transposed(
      ops::linalgSolveTriangularForward(transposed(lhs), transposed(rhs), !upper, unitriangular));
}

Pair triangularSolve(const Tensor& b, const Tensor& a, bool upper, bool transpose,
                     bool unitriangular) {
  check_square("triangularSolve", "A", a);
  check_same("triangularSolve", a, b);
  const Tensor lhs = transpose ? transposed(a) : a;
  return {ops::linalgSolveTriangular(lhs, b, upper != transpose, true, unitriangular),
          ops::clone(a)};
}

namespace {

void permute_on_device(const Tensor& pivots, const Tensor& out) {
  const Tensor info = zero_info(batch_sizes(pivots, 1), out);
  LapackParams p;
  p.batch = info.numel();
  p.m = out.size(-1);
  p.k = pivots.size(-1);
  p.a = out.data();
  p.pivots = pivots.data_as<int32_t>();
  p.info = info.data_as<int32_t>();
  KernelTable::run(OpId::luPermutation, out.device(), DType::Int32, p);
  AG_CHECK(first_failure(info) < 0, Value,
           "luUnpack: LU_pivots must be between 1 and LU.size(-2) inclusive");
}

}  // namespace

Triple linalgLuFactorEx(const Tensor& a, bool pivot, bool check_errors) {
  const char* op = "linalg.luFactorEx";
  check_matrix(op, "A", a);
  check_dtype(op, "A", a);
  AG_CHECK(pivot, NotImplemented, op, ": LU without pivoting is not implemented on the CPU");
  LuFactors f = factor_lu(a);
  const int64_t i = check_errors ? first_failure(f.info) : -1;
  AG_CHECK(i < 0, Linalg, failure_prefix("linalg.luFactorEx", f.info, i), "U[",
           status_at(f.info, i), ",", status_at(f.info, i),
           "] is zero and using it on lu_solve would result in a division by zero.");
  return {f.lu, f.pivots, f.info};
}

Pair linalgLuFactor(const Tensor& a, bool pivot) {
  check_matrix("linalg.luFactor", "A", a);
  check_dtype("linalg.luFactor", "A", a);
  auto [lu, pivots, info] = ops::linalgLuFactorEx(a, pivot, false);
  const int64_t i = first_failure(info);
  AG_CHECK(i < 0, Linalg, failure_prefix("linalg.luFactor", info, i), "U[", status_at(info, i), ",",
           status_at(info, i),
           "] is zero and using it on lu_solve would result in a division by zero. If you still "
           "want to perform the factorization, consider calling linalg.lu(A) or "
           "linalg.luFactorEx(A)");
  return {lu, pivots};
}

Tensor luPermutation(const Tensor& pivots, int64_t m) {
  AG_CHECK(pivots.ndim() >= 1 && pivots.dtype() == DType::Int32 && m >= 0 && pivots.size(-1) <= m,
           Value, "luPermutation: argument 'pivots' must be int32 and no longer than ", m, ", got ",
           describe(pivots));
  const Dims batch = batch_sizes(pivots, 1);
  check_sizes("luPermutation", with_vector(batch, m), sizeof(int64_t));
  const Tensor out = Tensor::empty(with_vector(batch, m), DType::Int64, pivots.device());
  const Tensor order = as_contiguous(pivots);
  const int64_t k = pivots.size(-1);
  if (!out.device().is_cpu()) {
    permute_on_device(order, out);
    return out;
  }
  for (int64_t i = 0; i < element_count(batch); ++i) {
    const int32_t* swaps = order.data_as<int32_t>() + i * k;
    int64_t* rows = out.data_as<int64_t>() + i * m;
    for (int64_t r = 0; r < m; ++r) rows[r] = r;
    for (int64_t r = 0; r < k; ++r) {
      AG_CHECK(swaps[r] >= 1 && swaps[r] <= m, Value,
               "luUnpack: LU_pivots must be between 1 and LU.size(-2) inclusive, got ", swaps[r]);
      std::swap(rows[r], rows[swaps[r] - 1]);
    }
  }
  return out;
}

Triple luUnpack(const Tensor& data, const Tensor& pivots, bool unpack_data, bool unpack_pivots) {
  check_matrix("luUnpack", "LUData", data);
  check_dtype("luUnpack", "LUData", data);
  AG_CHECK(!unpack_pivots || pivots.dtype() == DType::Int32, DType,
           "luUnpack: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype. Note: "
           "this function is intended to be used with the output produced by linalg.luFactor, got ",
           dtype_name(pivots.dtype()));
  const int64_t m = data.size(-2);
  const int64_t n = data.size(-1);
  const int64_t k = std::min(m, n);
  const auto none = [&] { return Tensor::empty(Dims{0}, data.dtype(), data.device()); };
  Triple out{none(), none(), none()};
  if (unpack_data) {
    const Tensor left = ops::tril(ops::narrow(data, int64_t{-1}, int64_t{0}, k), int64_t{-1});
    const Tensor unit = identity_columns(Dims(), m, k, data);
    std::get<1>(out) = ops::add(left, unit);
    std::get<2>(out) = ops::triu(ops::narrow(data, int64_t{-2}, int64_t{0}, k));
  }
  if (unpack_pivots) {
    AG_CHECK(pivots.sizes() == pivot_sizes(data), Shape,
             "luUnpack: argument 'LUPivots' must have shape ", pivot_sizes(data), ", got ",
             pivots.sizes());
    // Row r of A[permutation] is row r of L U: P has a one at (permutation[r], r).
    const Tensor rows = ops::luPermutation(pivots, m);
    const Tensor all =
        ops::arange(Scalar(int64_t{0}), Scalar(m), Scalar(int64_t{1}), DType::Int64, data.device());
    const Tensor p = ops::eq(ops::unsqueeze(rows, int64_t{-2}), ops::unsqueeze(all, int64_t{-1}));
    std::get<0>(out) = ops::to(p, data.dtype());
  }
  return out;
}

Triple linalgLu(const Tensor& a, bool pivot) {
  check_matrix("linalg.lu", "A", a);
  check_dtype("linalg.lu", "A", a);
  auto [lu, pivots, info] = ops::linalgLuFactorEx(a, pivot, false);
  return ops::luUnpack(lu, pivots);
}

Tensor luSolveForward(const Tensor& lu, const Tensor& pivots, const Tensor& b, bool adjoint) {
  const char* op = "linalg.luSolve";
  check_square(op, "LU", lu);
  check_same(op, lu, b);
  check_system(op, lu, b, true);
  AG_CHECK(pivots.dtype() == DType::Int32, DType, op, ": argument 'pivots' must be int32, got ",
           dtype_name(pivots.dtype()));
  AG_CHECK(batch_sizes(lu) == batch_sizes(b) && pivots.sizes() == pivot_sizes(lu), Shape, op,
           ": the batches of LU, pivots and B must be equal, got shapes ", lu.sizes(), ", ",
           pivots.sizes(), " and ", b.sizes());
  const Tensor order = as_contiguous(pivots);
  const Tensor listed = to_host(order);
  const int32_t* at = listed.data_as<int32_t>();
  for (int64_t i = 0; i < order.numel(); ++i) {
    AG_CHECK(at[i] >= 1 && at[i] <= lu.size(-1), Value, op,
             ": Pivots given to lu_solve must all be greater or equal to 1 and at most ",
             lu.size(-1), ", got ", at[i]);
  }
  const Tensor x = copy_columns(b);
  solve_with_lu(lu, order, x, adjoint);
  return x;
}

Tensor linalgLuSolve(const Tensor& lu, const Tensor& pivots, const Tensor& b, bool left,
                     bool adjoint) {
  const char* op = "linalg.luSolve";
  check_square(op, "LU", lu);
  check_same(op, lu, b);
  check_system(op, lu, b, left);
  AG_CHECK(pivots.dtype() == DType::Int32, DType, op, ": pivots should be a Tensor of scalar type ",
           "int32, got ", dtype_name(pivots.dtype()));
  AG_CHECK(pivots.sizes() == pivot_sizes(lu), Shape, op,
           ": Number of pivots per batch should be same as the dimension of the matrix: expected ",
           pivot_sizes(lu), ", got ", pivots.sizes());
  auto [factors, rhs] = broadcast_batches(op, lu, b);
  const Tensor order = ops::expand(pivots, pivot_sizes(factors));
  if (left) return ops::luSolveForward(factors, order, rhs, adjoint);
  return transposed(ops::luSolveForward(factors, order, transposed(rhs), !adjoint));
}

Tensor luSolve(const Tensor& b, const Tensor& lu, const Tensor& pivots) {
  return ops::linalgLuSolve(lu, pivots, b);
}

namespace {

// Diagonal of U, and the sign of the permutation.
Tensor lu_diagonal(const Tensor& lu) {
  return ops::diagonal(lu, int64_t{0}, int64_t{-2}, int64_t{-1});
}

Tensor permutation_sign(const LuFactors& f, DType dtype) {
  const Tensor rows = ops::arange(Scalar(int64_t{1}), Scalar(f.pivots.size(-1) + 1),
                                  Scalar(int64_t{1}), DType::Int32, f.pivots.device());
  const Tensor swaps = ops::sum(ops::ne(f.pivots, rows), Dims{-1}, false);
  const Tensor odd = ops::remainder(swaps, Scalar(int64_t{2}));
  return as_dtype(ops::add(ops::mul(odd, Scalar(int64_t{-2})), Scalar(int64_t{1})), dtype);
}

}  // namespace

Triple linalgDetForward(const Tensor& a) {
  check_square("linalg.det", "A", a);
  const LuFactors f = factor_lu(a);
  const Tensor product = ops::prod(lu_diagonal(f.lu), std::optional<int64_t>(-1));
  return {ops::mul(product, permutation_sign(f, a.dtype())), f.lu, f.pivots};
}

Tensor linalgDet(const Tensor& a) { return std::get<0>(ops::linalgDetForward(a)); }

std::tuple<Tensor, Tensor, Tensor, Tensor> linalgSlogdetForward(const Tensor& a) {
  check_square("linalg.slogdet", "A", a);
  const LuFactors f = factor_lu(a);
  const Tensor diagonal = lu_diagonal(f.lu);
  const Tensor sign = ops::mul(ops::prod(ops::sign(diagonal), std::optional<int64_t>(-1)),
                               permutation_sign(f, a.dtype()));
  const Tensor size = ops::sum(ops::log(ops::abs(diagonal)), std::optional<Dims>(Dims{-1}));
  return {sign, size, f.lu, f.pivots};
}

Pair linalgSlogdet(const Tensor& a) {
  auto [sign, size, lu, pivots] = ops::linalgSlogdetForward(a);
  return {sign, size};
}

Tensor logdet(const Tensor& input) {
  check_square("logdet", "input", input);
  auto [sign, size, lu, pivots] = ops::linalgSlogdetForward(input);
  return ops::where(ops::eq(sign, Operand(-1)), Operand(NAN), size);
}

}  // namespace ampgrad::impl
