// LAPACK at run time: pointers to the Fortran routines the linear algebra kernels call, from a
// library that is opened on first use. The addon links none. Column-major, 32-bit integers; every
// character argument has a hidden length at the end of the list.
#pragma once

#include <cstddef>

namespace ampgrad::cpu {

template <class T>
struct Lapack {
  void (*potrf)(const char* uplo, const int* n, T* a, const int* lda, int* info, size_t);
  void (*getrf)(const int* m, const int* n, T* a, const int* lda, int* pivots, int* info);
  void (*getrs)(const char* trans, const int* n, const int* nrhs, const T* a, const int* lda,
                const int* pivots, T* b, const int* ldb, int* info, size_t);
  void (*trsm)(const char* side, const char* uplo, const char* trans, const char* diag,
               const int* m, const int* n, const T* alpha, const T* a, const int* lda, T* b,
               const int* ldb, size_t, size_t, size_t, size_t);
  void (*geqrf)(const int* m, const int* n, T* a, const int* lda, T* tau, T* work, const int* lwork,
                int* info);
  void (*orgqr)(const int* m, const int* n, const int* k, T* a, const int* lda, const T* tau,
                T* work, const int* lwork, int* info);
  void (*syevd)(const char* jobz, const char* uplo, const int* n, T* a, const int* lda, T* w,
                T* work, const int* lwork, int* iwork, const int* liwork, int* info, size_t,
                size_t);
  void (*gesdd)(const char* jobz, const int* m, const int* n, T* a, const int* lda, T* s, T* u,
                const int* ldu, T* vt, const int* ldvt, T* work, const int* lwork, int* iwork,
                int* info, size_t);
  void (*gels)(const char* trans, const int* m, const int* n, const int* nrhs, T* a, const int* lda,
               T* b, const int* ldb, T* work, const int* lwork, int* info, size_t);
  void (*gelsy)(const int* m, const int* n, const int* nrhs, T* a, const int* lda, T* b,
                const int* ldb, int* jpvt, const T* rcond, int* rank, T* work, const int* lwork,
                int* info);
  void (*gelsd)(const int* m, const int* n, const int* nrhs, T* a, const int* lda, T* b,
                const int* ldb, T* s, const T* rcond, int* rank, T* work, const int* lwork,
                int* iwork, int* info);
  void (*gelss)(const int* m, const int* n, const int* nrhs, T* a, const int* lda, T* b,
                const int* ldb, T* s, const T* rcond, int* rank, T* work, const int* lwork,
                int* info);
};

// The routines for T (float, double). Raises ERR_NOT_IMPLEMENTED, with what was tried and how to
// install it, where no library can be opened.
template <class T>
const Lapack<T>& lapack();

}  // namespace ampgrad::cpu
