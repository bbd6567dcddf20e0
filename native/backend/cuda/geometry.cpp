#include "backend/cuda/geometry.h"

#include <algorithm>
#include <cstdlib>

#include "core/error.h"
#include "core/shape.h"

namespace ampgrad::cuda {

namespace {

struct Dim {
  int64_t size;
  int64_t strides[kMaxOperands];
};

// Does `outer` go on where `inner` ends, for every operand?
bool continues(const Dim& inner, const Dim& outer, int operands) {
  for (int j = 0; j < operands; ++j) {
    if (outer.strides[j] != inner.strides[j] * inner.size) return false;
  }
  return true;
}

}  // namespace

void simplify(const ElementwiseParams& p, AnyGeometry* g) {
  g->operands = p.num_inputs + 1;
  Dim dims[kMaxDims];
  int n = 0;
  for (int d = p.ndim - 1; d >= 0; --d) {
    if (p.sizes[d] == 1) continue;
    Dim& dim = dims[n++];
    dim.size = p.sizes[d];
    dim.strides[0] = p.out.strides[d];
    for (int j = 0; j < p.num_inputs; ++j) {
      dim.strides[j + 1] = p.in[j].data == nullptr ? 0 : p.in[j].strides[d];
    }
  }
  std::stable_sort(dims, dims + n, [](const Dim& a, const Dim& b) {
    return std::abs(a.strides[0]) < std::abs(b.strides[0]);
  });
  int kept = 0;
  for (int d = 0; d < n; ++d) {
    if (kept > 0 && continues(dims[kept - 1], dims[d], g->operands)) {
      dims[kept - 1].size *= dims[d].size;
    } else {
      dims[kept++] = dims[d];
    }
  }
  AG_CHECK(kept <= kMaxKernelDims, Shape, "a layout of ", kept,
           " dimensions that cannot be joined is too complex for a CUDA kernel (at most ",
           kMaxKernelDims, "); call contiguous() first");
  g->ndim = kept;
  g->wide = p.numel > INT32_MAX;
  for (int j = 0; j < g->operands; ++j) {
    g->dense[j] = kept == 0 || (kept == 1 && dims[0].strides[j] == 1);
    g->single[j] = true;
    for (int d = 0; d < kept; ++d) {
      g->strides[j][d] = dims[d].strides[j];
      g->single[j] &= dims[d].strides[j] == 0;
    }
  }
  for (int d = 0; d < kept; ++d) g->sizes[d] = dims[d].size;
}

}  // namespace ampgrad::cuda
