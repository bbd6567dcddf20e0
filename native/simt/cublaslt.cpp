// cuBLASLt on the CPU, stricter than the library: every argument is checked against the rules that
// its documentation states, results are computed with float (or double) accumulation when the
// stream reaches them. What a heuristic assumed (alignment, workspace) must hold at the call.
#include <cublasLt.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "core/half.h"
#include "simt/control.h"
#include "simt/memory.h"
#include "simt/runtime.h"

struct cublasLtContext {
  int device;
};

struct cublasLtMatmulDescOpaque {
  cublasComputeType_t compute;
  cudaDataType_t scale;
  cublasOperation_t trans_a = CUBLAS_OP_N;
  cublasOperation_t trans_b = CUBLAS_OP_N;
  uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  void* vector = nullptr;  // a bias, or sums
  void* aux = nullptr;
  int64_t aux_ld = 0;
};

struct cublasLtMatrixLayoutOpaque {
  cudaDataType type;
  uint64_t rows, cols;
  int64_t ld;
  int32_t batches = 1;
  int64_t batch_stride = 0;

  uint64_t span() const {  // elements from the first to the last, plus one
    const auto last = static_cast<uint64_t>(batch_stride) * static_cast<uint64_t>(batches - 1);
    return rows == 0 || cols == 0 ? 0 : last + (cols - 1) * static_cast<uint64_t>(ld) + rows;
  }
};

struct cublasLtMatmulPreferenceOpaque {
  uint64_t workspace = 0;
  uint32_t alignment[4] = {256, 256, 256, 256};  // of A, B, C, D
};

namespace {

using Layout = cublasLtMatrixLayoutOpaque;
constexpr uint64_t kTag = 0x616d7067726164;  // an algo that came from the heuristic
constexpr size_t kWorkspace = 4096;          // what large products ask for

size_t size_of(cudaDataType type) { return type == CUDA_R_64F ? 8 : (type == CUDA_R_32F ? 4 : 2); }

bool valid_types(const cublasLtMatmulDescOpaque& d, const Layout& a, const Layout& b,
                 const Layout& c) {
  if (a.type != b.type) return false;
  if (a.type == CUDA_R_64F) {
    return d.compute == CUBLAS_COMPUTE_64F && d.scale == CUDA_R_64F && c.type == CUDA_R_64F;
  }
  if (d.scale != CUDA_R_32F) return false;
  const bool full = d.compute == CUBLAS_COMPUTE_32F;
  if (a.type == CUDA_R_32F) {
    return (full || d.compute == CUBLAS_COMPUTE_32F_FAST_TF32) && c.type == CUDA_R_32F;
  }
  if (a.type == CUDA_R_16BF && simt::config().arch < 80) return false;
  return full && (c.type == a.type || c.type == CUDA_R_32F);
}

bool valid_shapes(const cublasLtMatmulDescOpaque& d, const Layout& a, const Layout& b,
                  const Layout& c) {
  const bool ta = d.trans_a != CUBLAS_OP_N;
  const bool tb = d.trans_b != CUBLAS_OP_N;
  const uint64_t m = ta ? a.cols : a.rows, k = ta ? a.rows : a.cols;
  const uint64_t k2 = tb ? b.cols : b.rows, n = tb ? b.rows : b.cols;
  for (const Layout* l : {&a, &b, &c}) {
    if (l->ld < static_cast<int64_t>(std::max<uint64_t>(l->rows, 1))) return false;
    if (l->batches != c.batches || l->batches < 1) return false;
  }
  return m == c.rows && n == c.cols && k == k2 && m > 0 && n > 0 && k > 0;
}

// Batches of a result must not write the same elements: one behind the other, or side by side in
// the columns of one large matrix.
bool batches_apart(const Layout& d) {
  if (d.batches == 1) return true;
  const auto ld = static_cast<uint64_t>(d.ld), stride = static_cast<uint64_t>(d.batch_stride);
  if (d.batch_stride < static_cast<int64_t>(d.rows)) return false;
  const uint64_t last = stride * static_cast<uint64_t>(d.batches - 1);
  return stride >= (d.cols - 1) * ld + d.rows || ld >= last + d.rows;
}

// ---- epilogues ----------------------------------------------------------------------------------

// What an epilogue is made of, by the bits of its number. An auxiliary matrix is the input of gelu:
// written by gelu, read by its slope.
struct Parts {
  bool relu, bias, sums_of_d, gelu, slope, aux, sums_of_a, sums_of_b;

  explicit Parts(uint32_t e)
      : relu((e & 2) != 0),
        bias((e & 4) != 0),
        sums_of_d((e & 16) != 0),
        gelu((e & 32) != 0),
        slope((e & 64) != 0),
        aux((e & 128) != 0),
        sums_of_a((e & 256) != 0),
        sums_of_b((e & 512) != 0) {}
  bool reads_vector() const { return bias; }
  bool writes_vector() const { return sums_of_d || sums_of_a || sums_of_b; }
};

// Only those that the backend uses. The masks of relu are not among them.
bool known_epilogue(uint32_t e) {
  switch (e) {
    case CUBLASLT_EPILOGUE_DEFAULT:
    case CUBLASLT_EPILOGUE_RELU:
    case CUBLASLT_EPILOGUE_BIAS:
    case CUBLASLT_EPILOGUE_RELU_BIAS:
    case CUBLASLT_EPILOGUE_GELU:
    case CUBLASLT_EPILOGUE_GELU_BIAS:
    case CUBLASLT_EPILOGUE_GELU_AUX:
    case CUBLASLT_EPILOGUE_GELU_AUX_BIAS:
    case CUBLASLT_EPILOGUE_DGELU:
    case CUBLASLT_EPILOGUE_DGELU_BGRAD:
    case CUBLASLT_EPILOGUE_BGRADA:
    case CUBLASLT_EPILOGUE_BGRADB:
      return true;
    default:
      return false;
  }
}

uint64_t vector_length(const cublasLtMatmulDescOpaque& desc, const Layout& d) {
  return Parts(desc.epilogue).sums_of_b ? d.cols : d.rows;
}

uint64_t aux_span(const cublasLtMatmulDescOpaque& desc, const Layout& d) {
  return (d.cols - 1) * static_cast<uint64_t>(desc.aux_ld) + d.rows;
}

// Of float64 only a bias is documented. An auxiliary matrix has rows in units of 8 elements and one
// batch; with it the result must be as regular. Sums over k need the operand that is summed with k
// as its columns.
bool valid_epilogue(const cublasLtMatmulDescOpaque& desc, const Layout& d) {
  const Parts e(desc.epilogue);
  const bool plain = !e.relu && !e.gelu && !e.slope && !e.writes_vector();
  if (d.type == CUDA_R_64F && !plain) return false;
  if (!plain && d.batches > 1) return false;
  if (e.aux) {
    if (desc.aux_ld % 8 != 0 || desc.aux_ld < static_cast<int64_t>(d.rows)) return false;
    if (d.ld % 8 != 0) return false;
  }
  if (e.sums_of_a && desc.trans_a != CUBLAS_OP_N) return false;
  return !e.sums_of_b || desc.trans_b == CUBLAS_OP_T;
}

bool valid(const cublasLtMatmulDescOpaque* d, const Layout* a, const Layout* b, const Layout* c,
           const Layout* out) {
  if (d == nullptr || a == nullptr || b == nullptr || c == nullptr || out == nullptr) return false;
  const bool same = c->type == out->type && c->rows == out->rows && c->cols == out->cols &&
                    c->batches == out->batches;
  return same && out->ld >= static_cast<int64_t>(out->rows) && valid_types(*d, *a, *b, *c) &&
         valid_shapes(*d, *a, *b, *c) && batches_apart(*out) && valid_epilogue(*d, *out);
}

size_t workspace_of(const Layout& a, const Layout& d) {
  return a.rows * a.cols > 4096 && d.rows * d.cols < 1024 ? kWorkspace : 0;
}

double read(const char* data, cudaDataType type, uint64_t at) {
  const char* p = data + at * size_of(type);
  if (type == CUDA_R_64F) return *reinterpret_cast<const double*>(p);
  if (type == CUDA_R_32F) return *reinterpret_cast<const float*>(p);
  if (type == CUDA_R_16F) return ampgrad::to_float(*reinterpret_cast<const ampgrad::Half*>(p));
  return ampgrad::to_float(*reinterpret_cast<const ampgrad::BFloat16*>(p));
}

template <class T>
void write(char* data, cudaDataType type, uint64_t at, T value) {
  char* p = data + at * size_of(type);
  if (type == CUDA_R_64F) {
    *reinterpret_cast<double*>(p) = static_cast<double>(value);
  } else if (type == CUDA_R_32F) {
    *reinterpret_cast<float*>(p) = static_cast<float>(value);
  } else if (type == CUDA_R_16F) {
    *reinterpret_cast<ampgrad::Half*>(p) = ampgrad::to_half(static_cast<float>(value));
  } else {
    *reinterpret_cast<ampgrad::BFloat16*>(p) = ampgrad::to_bfloat16(static_cast<float>(value));
  }
}

struct Product {
  cublasLtMatmulDescOpaque desc;
  Layout a, b, c, d;
  const char *pa, *pb, *pc;
  char* pd;
  double alpha, beta;
};

// One batch of op(X) as a dense matrix with the summed index innermost.
template <class T>
std::vector<T> packed(const char* data, const Layout& l, bool by_columns, int batch) {
  std::vector<T> out(l.rows * l.cols);
  const auto base = static_cast<uint64_t>(batch) * static_cast<uint64_t>(l.batch_stride);
  for (uint64_t c = 0; c < l.cols; ++c) {
    for (uint64_t r = 0; r < l.rows; ++r) {
      const uint64_t to = by_columns ? c * l.rows + r : r * l.cols + c;
      out[to] = static_cast<T>(read(data, l.type, base + c * static_cast<uint64_t>(l.ld) + r));
    }
  }
  return out;
}

// The approximation by tanh and its slope.
template <class T>
T gelu(T x) {
  const T u = static_cast<T>(0.79788456080286536) * (x + static_cast<T>(0.044715) * x * x * x);
  return static_cast<T>(0.5) * x * (1 + std::tanh(u));
}
template <class T>
T gelu_slope(T x) {
  constexpr T kScale = static_cast<T>(0.79788456080286536);
  constexpr T kCube = static_cast<T>(0.044715);
  const T t = std::tanh(kScale * (x + kCube * x * x * x));
  const T bend = x * (1 - t * t) * kScale * (1 + 3 * kCube * x * x);
  return static_cast<T>(0.5) * (1 + t + bend);
}

// An element of D from what the product and C make.
template <class T>
T finished(const Product& p, T value, uint64_t row, uint64_t col) {
  const Parts e(p.desc.epilogue);
  const uint64_t aux_at = col * static_cast<uint64_t>(p.desc.aux_ld) + row;
  if (e.bias) {
    value += static_cast<T>(read(static_cast<const char*>(p.desc.vector), p.d.type, row));
  }
  if (e.relu && !(value > 0)) value = value != value ? value : 0;
  if (e.gelu && e.aux) write(static_cast<char*>(p.desc.aux), p.d.type, aux_at, value);
  if (e.gelu) value = gelu(value);
  if (e.slope) {
    value *= gelu_slope(static_cast<T>(read(static_cast<char*>(p.desc.aux), p.d.type, aux_at)));
  }
  return value;
}

// vector[i] = the sum of term(i, l) over l.
template <class Term>
void add_up(const Product& p, uint64_t count, uint64_t terms, const Term& term) {
  for (uint64_t i = 0; i < count; ++i) {
    auto sum = term(i, 0);
    for (uint64_t l = 1; l < terms; ++l) sum += term(i, l);
    write(static_cast<char*>(p.desc.vector), p.d.type, i, sum);
  }
}

template <class T>
void multiply_batch(const Product& p, int batch) {
  const bool ta = p.desc.trans_a != CUBLAS_OP_N;
  const bool tb = p.desc.trans_b != CUBLAS_OP_N;
  const uint64_t m = p.d.rows, n = p.d.cols, k = ta ? p.a.rows : p.a.cols;
  const std::vector<T> a = packed<T>(p.pa, p.a, ta, batch);
  const std::vector<T> b = packed<T>(p.pb, p.b, !tb, batch);
  const auto at = [&](const Layout& l, uint64_t r, uint64_t c) {
    return static_cast<uint64_t>(batch) * static_cast<uint64_t>(l.batch_stride) +
           c * static_cast<uint64_t>(l.ld) + r;
  };
  for (uint64_t j = 0; j < n; ++j) {
    for (uint64_t i = 0; i < m; ++i) {
      T sum = 0;
      for (uint64_t l = 0; l < k; ++l) sum += a[i * k + l] * b[j * k + l];
      sum *= static_cast<T>(p.alpha);
      // beta 0: C is not read, whatever it holds
      if (p.beta != 0) {
        sum += static_cast<T>(p.beta) * static_cast<T>(read(p.pc, p.c.type, at(p.c, i, j)));
      }
      write(p.pd, p.d.type, at(p.d, i, j), finished(p, sum, i, j));
    }
  }
  const Parts e(p.desc.epilogue);
  if (e.sums_of_a) add_up(p, m, k, [&](uint64_t i, uint64_t l) { return a[i * k + l]; });
  if (e.sums_of_b) add_up(p, n, k, [&](uint64_t j, uint64_t l) { return b[j * k + l]; });
  if (e.sums_of_d) {
    add_up(p, m, n, [&](uint64_t i, uint64_t j) {
      return static_cast<T>(read(p.pd, p.d.type, at(p.d, i, j)));
    });
  }
}

bool reachable(const void* data, uint64_t bytes) {
  return simt::device_memory().find(data, bytes) != nullptr;
}

bool aligned(const void* p, uint64_t to) { return reinterpret_cast<uintptr_t>(p) % to == 0; }

// The vector and the auxiliary matrix that the epilogue reads or writes.
bool epilogue_reachable(const Product& p) {
  const Parts e(p.desc.epilogue);
  const size_t size = size_of(p.d.type);
  if ((e.reads_vector() || e.writes_vector()) &&
      !reachable(p.desc.vector, vector_length(p.desc, p.d) * size)) {
    return false;
  }
  return !e.aux || (aligned(p.desc.aux, 16) && reachable(p.desc.aux, aux_span(p.desc, p.d) * size));
}

std::string run(const Product& p) {
  const bool alive = reachable(p.pa, p.a.span() * size_of(p.a.type)) &&
                     reachable(p.pb, p.b.span() * size_of(p.b.type)) &&
                     reachable(p.pd, p.d.span() * size_of(p.d.type)) && epilogue_reachable(p);
  if (!alive) return "illegal access: a matrix product uses memory that has been freed";
  for (int batch = 0; batch < p.d.batches; ++batch) {
    if (p.a.type == CUDA_R_64F) {
      multiply_batch<double>(p, batch);
    } else {
      multiply_batch<float>(p, batch);
    }
  }
  return {};
}

bool valid_pointers(const Product& p, const cublasLtMatmulAlgo_t* algo) {
  if (algo != nullptr) {
    const void* pointers[] = {p.pa, p.pb, p.pc, p.pd};
    for (int i = 0; i < 4; ++i) {
      if (!aligned(pointers[i], algo->data[1 + i])) return false;
    }
  }
  if (!reachable(p.pa, p.a.span() * size_of(p.a.type)) ||
      !reachable(p.pb, p.b.span() * size_of(p.b.type)) ||
      !reachable(p.pd, p.d.span() * size_of(p.d.type)) ||
      !reachable(p.pc, p.c.span() * size_of(p.c.type))) {
    return false;
  }
  if (p.pc == p.pd && p.c.ld != p.d.ld) return false;
  return epilogue_reachable(p);
}

// The heuristic looks at the epilogue and at how its pointers are aligned.
uint64_t chosen_for(const cublasLtMatmulDescOpaque& desc) {
  const auto alignment = [](const void* p) {
    uint64_t a = 16;
    while (!aligned(p, a)) a /= 2;
    return a;
  };
  return desc.epilogue | alignment(desc.vector) << 32 | alignment(desc.aux) << 40;
}

template <class T>
bool take(T* to, const void* value, size_t bytes) {
  if (bytes != sizeof(T)) return false;
  memcpy(to, value, bytes);
  return true;
}

cublasStatus_t status(bool good) {
  return good ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

}  // namespace

size_t cublasLtGetVersion() { return 130000; }

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  if (simt::config().no_driver) return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = new cublasLtContext{simt::current_device()};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* desc, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  *desc = new cublasLtMatmulDescOpaque{compute, scale};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
  delete desc;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc,
                                              cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return status(take(&desc->trans_a, value, bytes));
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return status(take(&desc->trans_b, value, bytes));
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return status(take(&desc->epilogue, value, bytes) && known_epilogue(desc->epilogue));
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return status(take(&desc->vector, value, bytes));
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER:
      return status(take(&desc->aux, value, bytes));
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD:
      return status(take(&desc->aux_ld, value, bytes));
    default:
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type,
                                          uint64_t rows, uint64_t cols, int64_t ld) {
  *layout = new cublasLtMatrixLayoutOpaque{type, rows, cols, ld};
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t attribute,
                                                const void* value, size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
      return status(take(&layout->batches, value, bytes));
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET:
      return status(take(&layout->batch_stride, value, bytes));
    default:
      return CUBLAS_STATUS_NOT_SUPPORTED;
  }
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = new cublasLtMatmulPreferenceOpaque();
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, size_t bytes) {
  if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) {
    return status(take(&preference->workspace, value, bytes));
  }
  if (attribute == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK) {
    uint32_t mask = 0;
    return status(take(&mask, value, bytes) && mask < 8);
  }
  const int i = attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES;
  if (i < 0 || i > 3) return CUBLAS_STATUS_NOT_SUPPORTED;
  uint32_t& to = preference->alignment[i];
  return status(take(&to, value, bytes) && to != 0 && (to & (to - 1)) == 0);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int requested,
                                              cublasLtMatmulHeuristicResult_t* results,
                                              int* returned) {
  *returned = 0;
  if (handle == nullptr || preference == nullptr || requested < 1) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (!valid(desc, a, b, c, d)) return CUBLAS_STATUS_NOT_SUPPORTED;
  const size_t workspace = workspace_of(*a, *d);
  results[0] = {};
  results[0].workspaceSize = workspace <= preference->workspace ? workspace : 0;
  results[0].algo.data[0] = kTag;
  for (int i = 0; i < 4; ++i) results[0].algo.data[1 + i] = preference->alignment[i];
  results[0].algo.data[5] = results[0].workspaceSize;
  results[0].algo.data[6] = chosen_for(*desc);
  *returned = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void* alpha,
                              const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                              cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
                              cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algo,
                              void* workspace, size_t workspace_bytes, cudaStream_t stream) {
  const simt::Call call;
  if (call.usable() != cudaSuccess) return CUBLAS_STATUS_EXECUTION_FAILED;
  if (handle == nullptr || alpha == nullptr || beta == nullptr ||
      !valid(desc, a_layout, b_layout, c_layout, d_layout)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (algo != nullptr && algo->data[0] != kTag) return CUBLAS_STATUS_INVALID_VALUE;
  if (algo != nullptr && algo->data[5] > workspace_bytes) return CUBLAS_STATUS_INVALID_VALUE;
  if (algo != nullptr && algo->data[6] != chosen_for(*desc)) return CUBLAS_STATUS_INVALID_VALUE;
  if (workspace_bytes > 0 && (!aligned(workspace, 16) || !reachable(workspace, workspace_bytes))) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  const bool wide = desc->scale == CUDA_R_64F;
  const auto number = [&](const void* p) {
    return wide ? *static_cast<const double*>(p)
                : static_cast<double>(*static_cast<const float*>(p));
  };
  const Product p{*desc,
                  *a_layout,
                  *b_layout,
                  *c_layout,
                  *d_layout,
                  static_cast<const char*>(a),
                  static_cast<const char*>(b),
                  static_cast<const char*>(c),
                  static_cast<char*>(d),
                  number(alpha),
                  number(beta)};
  if (!valid_pointers(p, algo)) return CUBLAS_STATUS_INVALID_VALUE;
  const simt::StreamRef s = simt::runtime().stream(stream);
  if (!s || s->device != simt::current_device()) return CUBLAS_STATUS_INVALID_VALUE;
  simt::scheduler().enqueue(s, [p] { return run(p); });
  return CUBLAS_STATUS_SUCCESS;
}
