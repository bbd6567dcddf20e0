// What the ops of dense linear algebra share: checks with PyTorch's conditions, tensors in LAPACK's
// column-major layout, and errors from what a routine said about a matrix.
#pragma once

#include "core/tensor.h"
#include "ops/linalg_params.h"

namespace ampgrad::linalg {

// "linalg.solve: ..." for rows named linalgSolve.
// float32 or float64.
void check_dtype(const char* op, const char* argument, const Tensor& x);
// At least two dimensions that fit LAPACK's 32-bit sizes.
void check_matrix(const char* op, const char* argument, const Tensor& x);
// A batch of square matrices of a dtype that LAPACK knows.
void check_square(const char* op, const char* argument, const Tensor& x);
void check_same(const char* op, const Tensor& a, const Tensor& b);

// Leading dimensions.
Dims batch_sizes(const Tensor& x, size_t matrix_dims = 2);
Dims with_matrix(DimsView batch, int64_t rows, int64_t columns);
Dims with_vector(DimsView batch, int64_t size);

// [batch..., rows, columns] whose matrices are column-major. Uninitialised.
Tensor empty_columns(DimsView batch, int64_t rows, int64_t columns, const Tensor& like);
// The same values, column-major, in memory of their own.
Tensor copy_columns(const Tensor& x);
// x itself if its matrices are column-major one after the other.
Tensor as_columns(const Tensor& x);
// Identity matrices, column-major.
Tensor identity_columns(DimsView batch, int64_t rows, int64_t columns, const Tensor& like);
// int32 zeros of the batch's shape.
Tensor zero_info(DimsView batch, const Tensor& like);

// batch, m, n and data of `a`.
LapackParams lapack_params(const Tensor& a);

// Position of the first matrix with a status, or -1.
int64_t first_failure(const Tensor& info);
int32_t status_at(const Tensor& info, int64_t index);
// "linalg.inv: " or "linalg.inv: (Batch element 3): ".
std::string failure_prefix(const char* op, const Tensor& info, int64_t index);

void check_cholesky(const char* op, const Tensor& info);
void check_inverse(const char* op, const Tensor& info);
void check_solve(const char* op, const Tensor& info);
// Eigenvalues or singular values that were not found.
void check_converged(const char* op, const char* values, const Tensor& info);

}  // namespace ampgrad::linalg
