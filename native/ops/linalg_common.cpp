// Shared parts of dense linear algebra: see linalg_common.h.
#include "ops/linalg_common.h"

#include <climits>
#include <cstring>

#include "ops/creation.h"
#include "ops/shape_ops.h"

namespace ampgrad::linalg {

namespace {

Dims swapped_strides(const Tensor& x) {
  Dims strides = x.strides();
  std::swap(strides[x.ndim() - 1], strides[x.ndim() - 2]);
  return strides;
}

Dims swapped_sizes(const Tensor& x) {
  Dims sizes = x.sizes();
  std::swap(sizes[x.ndim() - 1], sizes[x.ndim() - 2]);
  return sizes;
}

}  // namespace

void check_dtype(const char* op, const char* argument, const Tensor& x) {
  AG_CHECK(is_floating(x.dtype()), DType, op, ": argument '", argument,
           "': Expected a floating point tensor as input. Got ", dtype_name(x.dtype()));
  AG_CHECK(!is_low_precision(x.dtype()), DType, op, ": argument '", argument,
           "': Low precision dtypes not supported. Got ", dtype_name(x.dtype()));
}

void check_matrix(const char* op, const char* argument, const Tensor& x) {
  AG_CHECK(x.ndim() >= 2, Shape, op, ": The input tensor ", argument,
           " must have at least 2 dimensions, got shape ", x.sizes());
  AG_CHECK(x.size(-1) < INT_MAX && x.size(-2) < INT_MAX, Shape, op, ": argument '", argument,
           "' must have fewer than 2^31 rows and columns, got shape ", x.sizes());
}

void check_square(const char* op, const char* argument, const Tensor& x) {
  check_matrix(op, argument, x);
  AG_CHECK(x.size(-1) == x.size(-2), Shape, op, ": ", argument,
           " must be batches of square matrices, but they are ", x.size(-2), " by ", x.size(-1),
           " matrices");
  check_dtype(op, argument, x);
}

void check_same(const char* op, const Tensor& a, const Tensor& b) {
  AG_CHECK(a.dtype() == b.dtype(), DType, op,
           ": Expected both inputs to have the same dtype, but got ", dtype_name(a.dtype()),
           " and ", dtype_name(b.dtype()));
  AG_CHECK(a.device() == b.device(), Device, op,
           ": Expected both inputs to be on the same device, but got ", to_string(a.device()),
           " and ", to_string(b.device()));
}

Dims batch_sizes(const Tensor& x, size_t matrix_dims) {
  return Dims(DimsView(x.sizes()).slice(0, x.ndim() - matrix_dims));
}

Dims with_matrix(DimsView batch, int64_t rows, int64_t columns) {
  Dims out(batch);
  out.push_back(rows);
  out.push_back(columns);
  return out;
}

Dims with_vector(DimsView batch, int64_t size) {
  Dims out(batch);
  out.push_back(size);
  return out;
}

Tensor empty_columns(DimsView batch, int64_t rows, int64_t columns, const Tensor& like) {
  const Dims stored = with_matrix(batch, columns, rows);
  const Tensor t = new_tensor("linalg", stored, like.dtype(), like.device());
  return t.alias(swapped_sizes(t), swapped_strides(t), 0);
}

Tensor copy_columns(const Tensor& x) {
  const Tensor out = empty_columns(batch_sizes(x), x.size(-2), x.size(-1), x);
  copy_into(out, x);
  return out;
}

Tensor as_columns(const Tensor& x) {
  const Dims sizes = swapped_sizes(x);
  return is_contiguous(sizes, swapped_strides(x)) ? x : copy_columns(x);
}

Tensor identity_columns(DimsView batch, int64_t rows, int64_t columns, const Tensor& like) {
  const Tensor out = empty_columns(batch, rows, columns, like);
  fill_tensor(out, Scalar(0));
  Dims sizes(batch);
  Dims strides(DimsView(out.strides()).slice(0, batch.size()));
  sizes.push_back(std::min(rows, columns));
  strides.push_back(rows + 1);
  fill_tensor(out.alias(sizes, strides, out.offset()), Scalar(1));
  return out;
}

Tensor zero_info(DimsView batch, const Tensor& like) {
  const Tensor info = new_tensor("linalg", batch, DType::Int32, like.device());
  fill_tensor(info, Scalar(0));
  return info;
}

LapackParams lapack_params(const Tensor& a) {
  LapackParams p;
  p.batch = element_count(batch_sizes(a));
  p.m = a.size(-2);
  p.n = a.size(-1);
  p.a = a.data();
  return p;
}

int32_t status_at(const Tensor& info, int64_t index) {
  return to_host(as_contiguous(info)).data_as<int32_t>()[index];
}

int64_t first_failure(const Tensor& info) {
  const Tensor plain = to_host(as_contiguous(info));
  const int32_t* status = plain.data_as<int32_t>();
  for (int64_t i = 0; i < plain.numel(); ++i) {
    if (status[i] != 0) return i;
  }
  return -1;
}

std::string failure_prefix(const char* op, const Tensor& info, int64_t index) {
  std::string text = std::string(op) + ": ";
  if (info.ndim() > 0) text += "(Batch element " + std::to_string(index) + "): ";
  return text;
}

void check_cholesky(const char* op, const Tensor& info) {
  const int64_t i = first_failure(info);
  AG_CHECK(i < 0, Linalg, failure_prefix(op, info, i),
           "The factorization could not be completed because the input is not positive-definite "
           "(the leading minor of order ",
           status_at(info, i), " is not positive-definite).");
}

void check_inverse(const char* op, const Tensor& info) {
  const int64_t i = first_failure(info);
  AG_CHECK(i < 0, Linalg, failure_prefix(op, info, i), "The diagonal element ", status_at(info, i),
           " is zero, the inversion could not be completed because the input matrix is singular.");
}

void check_solve(const char* op, const Tensor& info) {
  const int64_t i = first_failure(info);
  AG_CHECK(i < 0, Linalg, failure_prefix(op, info, i),
           "The solver failed because the input matrix is singular.");
}

void check_converged(const char* op, const char* values, const Tensor& info) {
  const int64_t i = first_failure(info);
  if (i < 0) return;
  const int32_t status = status_at(info, i);
  AG_CHECK(
      status > 0, Linalg, failure_prefix(op, info, i),
      "The algorithm failed to converge because the input matrix contained non-finite values.");
  AG_FAIL(Linalg, failure_prefix(op, info, i),
          "The algorithm failed to converge because the input matrix is ill-conditioned or has too "
          "many repeated ",
          values, " (error code: ", status, ").");
}

}  // namespace ampgrad::linalg
