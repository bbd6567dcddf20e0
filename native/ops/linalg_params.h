// Parameters of the LAPACK kernels. Matrices are column-major and dense (the leading dimension is
// the number of rows), one after the other in the batch; the op layer made them so.
#pragma once

#include <cstdint>

namespace ampgrad {

// A batch of factorizations or solves: a is read and, where the routine works in place,
// overwritten. What b, c, d hold depends on the op; see the kernel.
struct LapackParams {
  int64_t batch = 1;
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;  // right-hand sides, reflectors or columns wanted, by op
  void* a = nullptr;
  void* b = nullptr;
  void* c = nullptr;
  void* d = nullptr;
  int32_t* pivots = nullptr;
  int32_t* info = nullptr;  // one a matrix: 0, or what the routine said
  int64_t* rank = nullptr;
  bool upper = false;
  bool transpose = false;
  bool unit = false;
  bool vectors = false;
  bool full = false;
  int driver = 0;
  double rcond = 0;
};

}  // namespace ampgrad
