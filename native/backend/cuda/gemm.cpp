// Matrix products through cublasLt: row-major operands as the transposed column-major product, bias
// in the epilogue, with activations, slopes and sums as far as epilogues compute the same as the
// kernels of the other families; batches of equal steps in one call. Products accumulate in float
// (double for float64), and no reduction runs in a narrower type. Plans are kept by shape.
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <mutex>

#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/copy.h"
#include "backend/cuda/cublas.h"
#include "backend/cuda/families.h"
#include "backend/cuda/gemm.h"
#include "backend/cuda/scratch.h"

namespace ampgrad::cuda {

namespace {

// A column-major operand: op N when its rows lie dense in memory.
struct Operand {
  const void* data = nullptr;
  bool transposed = false;
  int64_t ld = 1;
  int64_t batch_stride = 0;
};

// One of cublasLt's, with what it reads or writes beside the product.
struct Epilogue {
  cublasLtEpilogue_t kind = CUBLASLT_EPILOGUE_DEFAULT;
  const void* vector = nullptr;  // a bias, or sums
  void* aux = nullptr;
  int64_t aux_ld = 0;
};

struct Call {
  DType dtype;
  int64_t m, n, k, batch;  // of the row-major product
  Operand left, right;     // of the column-major one: B, then A
  void* c;
  int64_t c_row, c_step;
  double alpha, beta;
  const void* bias;
  GemmEpilogue wanted;
};

cudaDataType_t type_of(DType d) {
  if (d == DType::Float64) return CUDA_R_64F;
  if (d == DType::Float16) return CUDA_R_16F;
  return d == DType::BFloat16 ? CUDA_R_16BF : CUDA_R_32F;
}

uint32_t alignment_of(const void* p) {
  uint32_t a = 256;
  while (reinterpret_cast<uintptr_t>(p) % a != 0) a /= 2;
  return a;
}

struct Deleter {
  void operator()(cublasLtMatmulDesc_t d) const { cublaslt().cublasLtMatmulDescDestroy(d); }
  void operator()(cublasLtMatrixLayout_t l) const { cublaslt().cublasLtMatrixLayoutDestroy(l); }
  void operator()(cublasLtMatmulPreference_t p) const {
    cublaslt().cublasLtMatmulPreferenceDestroy(p);
  }
};
template <class Pointer>
using Owned = std::unique_ptr<std::remove_pointer_t<Pointer>, Deleter>;
using Desc = Owned<cublasLtMatmulDesc_t>;
using Layout = Owned<cublasLtMatrixLayout_t>;
using Preference = Owned<cublasLtMatmulPreference_t>;

template <class T>
void set(const Desc& d, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  check_cublas(cublaslt().cublasLtMatmulDescSetAttribute(d.get(), attribute, &value, sizeof(value)),
               "cublasLtMatmulDescSetAttribute");
}

template <class T>
void set(const Preference& p, cublasLtMatmulPreferenceAttributes_t attribute, const T& value) {
  check_cublas(
      cublaslt().cublasLtMatmulPreferenceSetAttribute(p.get(), attribute, &value, sizeof(value)),
      "cublasLtMatmulPreferenceSetAttribute");
}

Layout layout(DType dtype, int64_t rows, int64_t cols, int64_t ld, int64_t batch, int64_t step) {
  cublasLtMatrixLayout_t raw = nullptr;
  check_cublas(
      cublaslt().cublasLtMatrixLayoutCreate(&raw, type_of(dtype), static_cast<uint64_t>(rows),
                                            static_cast<uint64_t>(cols), std::max(ld, rows)),
      "cublasLtMatrixLayoutCreate");
  Layout l(raw);
  const auto count = static_cast<int32_t>(batch);
  check_cublas(cublaslt().cublasLtMatrixLayoutSetAttribute(raw, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT,
                                                           &count, sizeof(count)),
               "cublasLtMatrixLayoutSetAttribute");
  check_cublas(cublaslt().cublasLtMatrixLayoutSetAttribute(
                   raw, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &step, sizeof(step)),
               "cublasLtMatrixLayoutSetAttribute");
  return l;
}

Layout layout_of(const Call& c, const Operand& o, int64_t rows, int64_t cols) {
  return o.transposed ? layout(c.dtype, cols, rows, o.ld, c.batch, o.batch_stride)
                      : layout(c.dtype, rows, cols, o.ld, c.batch, o.batch_stride);
}

cublasComputeType_t compute_type(DType dtype) {
  if (dtype == DType::Float64) return CUBLAS_COMPUTE_64F;
  const bool tf32 = dtype == DType::Float32 && host().matmul->allow_tf32;
  return tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}

bool reduces_in_output_type(DType dtype) {
  if (dtype == DType::Float16) return host().matmul->reduce_f16;
  return dtype == DType::BFloat16 && host().matmul->reduce_bf16;
}

// What the choice of an algorithm depends on.
using PlanKey = std::array<int64_t, 23>;
struct Plan {
  bool found;
  cublasLtMatmulAlgo_t algo;
  size_t workspace;
};

PlanKey key_of(const Call& c, const Epilogue& e) {
  return {current_context().index,
          static_cast<int64_t>(c.dtype),
          c.m,
          c.n,
          c.k,
          c.batch,
          c.left.transposed,
          c.left.ld,
          c.left.batch_stride,
          alignment_of(c.left.data),
          c.right.transposed,
          c.right.ld,
          c.right.batch_stride,
          alignment_of(c.right.data),
          c.c_row,
          c.c_step,
          alignment_of(c.c),
          e.kind,
          alignment_of(e.vector),
          e.aux_ld,
          alignment_of(e.aux),
          compute_type(c.dtype),
          reduces_in_output_type(c.dtype)};
}

struct Handles {
  Desc desc;
  Layout left, right, out;
};

Plan find_plan(const Call& c, const Epilogue& e, const Handles& h) {
  static auto* plans = new std::map<PlanKey, Plan>();
  static auto* mutex = new std::mutex();
  const PlanKey key = key_of(c, e);
  const std::lock_guard<std::mutex> lock(*mutex);
  if (const auto it = plans->find(key); it != plans->end()) return it->second;
  cublasLtMatmulPreference_t raw = nullptr;
  check_cublas(cublaslt().cublasLtMatmulPreferenceCreate(&raw), "cublasLtMatmulPreferenceCreate");
  const Preference preference(raw);
  const uint64_t workspace = cublaslt_workspace().bytes;
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace);
  // Sums of parts are added in the accumulator's type, in a fixed order.
  uint32_t scheme = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  if (reduces_in_output_type(c.dtype)) scheme |= CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE;
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, scheme);
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment_of(c.left.data));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment_of(c.right.data));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment_of(c.c));
  set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment_of(c.c));
  cublasLtMatmulHeuristicResult_t result = {};
  int found = 0;
  const cublasStatus_t status = cublaslt().cublasLtMatmulAlgoGetHeuristic(
      cublaslt_handle(), h.desc.get(), h.left.get(), h.right.get(), h.out.get(), h.out.get(), raw,
      1, &result, &found);
  const bool good = status == CUBLAS_STATUS_SUCCESS && found > 0;
  AG_CHECK(good || c.wanted.wanted(), Cuda, "matmul: cuBLAS has no algorithm for ", c.m, "x", c.k,
           " by ", c.k, "x", c.n, " of ", dtype_name(c.dtype), " on this device (cuBLAS error ",
           static_cast<int>(status), ")");
  return plans->emplace(key, Plan{good, result.algo, result.workspaceSize}).first->second;
}

// Bias and activation, or an activation's slope, or sums over k. Left to the kernels of the other
// families are
// - all of float64, for which the library does not document them;
// - gelu, whose epilogue is the approximation by tanh, and that approximation of float32, since the
//   epilogue's own tanh is only good for the half types;
// - the slope of relu, since the bit mask that is its input does not say what it holds at 0, where
//   the slope is 0 here.
Epilogue fused_epilogue(const Call& c) {
  const GemmEpilogue& w = c.wanted;
  Epilogue e;
  if (c.dtype == DType::Float64) return e;
  const bool half = c.dtype != DType::Float32;
  int kind = 0;
  if (w.sums_of == GemmSums::OfA && c.right.transposed) kind = CUBLASLT_EPILOGUE_BGRADB;
  if (w.sums_of == GemmSums::OfB && !c.left.transposed) kind = CUBLASLT_EPILOGUE_BGRADA;
  if (w.activation == Activation::Relu && !w.backward) kind = CUBLASLT_EPILOGUE_RELU;
  if (w.activation == Activation::GeluTanh && half) {
    const bool sums = w.sums_of == GemmSums::OfC;
    const int slope = sums ? CUBLASLT_EPILOGUE_DGELU_BGRAD : CUBLASLT_EPILOGUE_DGELU;
    const int value = w.inner != nullptr ? CUBLASLT_EPILOGUE_GELU_AUX : CUBLASLT_EPILOGUE_GELU;
    kind = w.backward ? slope : value;
  }
  if (kind == 0) return e;
  if (c.bias != nullptr) kind |= CUBLASLT_EPILOGUE_BIAS;
  e.kind = static_cast<cublasLtEpilogue_t>(kind);
  e.vector = w.sums != nullptr ? w.sums : c.bias;
  if (w.inner != nullptr) {
    e.aux = w.inner;
    e.aux_ld = w.inner_row;
  }
  return e;
}

Desc describe_product(const Call& c, const Epilogue& e) {
  cublasLtMatmulDesc_t raw = nullptr;
  check_cublas(
      cublaslt().cublasLtMatmulDescCreate(&raw, compute_type(c.dtype),
                                          c.dtype == DType::Float64 ? CUDA_R_64F : CUDA_R_32F),
      "cublasLtMatmulDescCreate");
  Desc desc(raw);
  set(desc, CUBLASLT_MATMUL_DESC_TRANSA, c.left.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(desc, CUBLASLT_MATMUL_DESC_TRANSB, c.right.transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  if (e.kind == CUBLASLT_EPILOGUE_DEFAULT) return desc;
  set(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, e.kind);
  if (e.vector != nullptr) set(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, e.vector);
  if (e.aux != nullptr) {
    set(desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, e.aux);
    set(desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, e.aux_ld);
  }
  return desc;
}

// False, with nothing done, where cublasLt has no algorithm with this epilogue.
bool run_with(const Call& c, const Epilogue& e) {
  const Handles h{describe_product(c, e), layout_of(c, c.left, c.n, c.k),
                  layout_of(c, c.right, c.k, c.m),
                  layout(c.dtype, c.n, c.m, c.c_row, c.batch, c.c_step)};
  const Plan plan = find_plan(c, e, h);
  if (!plan.found) return false;
  const float alpha = static_cast<float>(c.alpha);
  const float beta = static_cast<float>(c.beta);
  const void* scales[2] = {&alpha, &beta};
  if (c.dtype == DType::Float64) {
    scales[0] = &c.alpha;
    scales[1] = &c.beta;
  }
  const Workspace w = cublaslt_workspace();
  check_cublas(cublaslt().cublasLtMatmul(cublaslt_handle(), h.desc.get(), scales[0], c.left.data,
                                         h.left.get(), c.right.data, h.right.get(), scales[1], c.c,
                                         h.out.get(), c.c, h.out.get(), &plan.algo, w.data, w.bytes,
                                         current_stream()),
               "cublasLtMatmul");
  return true;
}

void run(Call c) {
  if (c.wanted.wanted()) {
    const Epilogue e = fused_epilogue(c);
    *c.wanted.fused = e.kind != CUBLASLT_EPILOGUE_DEFAULT && run_with(c, e);
    if (*c.wanted.fused) return;
    if (c.wanted.inner != nullptr && !c.wanted.backward) {
      c.c = c.wanted.inner;
      c.c_row = c.wanted.inner_row;
    }
    c.wanted = {};
  }
  Epilogue plain;
  if (c.bias != nullptr) {
    plain.kind = CUBLASLT_EPILOGUE_BIAS;
    plain.vector = c.bias;
  }
  run_with(c, plain);
}

// rows x cols, row-major strides -> the operand of the transposed product. False when no leading
// dimension describes it.
bool describe(int64_t rows, int64_t cols, int64_t row, int64_t col, Operand* o) {
  if (col == 1 || cols == 1) {
    o->transposed = false;
    o->ld = rows == 1 ? std::max<int64_t>(cols, 1) : row;
    if (o->ld >= cols) return true;
  }
  if (row == 1 || rows == 1) {
    o->transposed = true;
    o->ld = cols == 1 ? std::max<int64_t>(rows, 1) : col;
    if (o->ld >= rows) return true;
  }
  return false;
}

const char* at(const void* data, int64_t offset, DType dtype) {
  return static_cast<const char*>(data) + offset * static_cast<int64_t>(dtype_size(dtype));
}

// One matrix, made dense.
void pack(const void* from, DType dtype, int64_t rows, int64_t cols, int64_t row, int64_t col,
          void* to) {
  const int64_t sizes[2] = {rows, cols};
  const int64_t in[2] = {row, col};
  const int64_t out[2] = {cols, 1};
  ElementwiseParams p;
  p.compute = dtype;
  p.ndim = 2;
  p.sizes = sizes;
  p.numel = rows * cols;
  p.out = {to, dtype, out};
  p.num_inputs = 1;
  p.in[0] = {const_cast<void*>(from), dtype, in};
  copy_strided(p);
}

struct Offsets {
  int64_t a = 0, b = 0, c = 0;
};

void run_one(const GemmParams& p, Call call, Offsets at_batch) {
  const auto bytes = [&](int64_t n) { return static_cast<size_t>(n) * dtype_size(p.dtype); };
  const void* a = at(p.a, at_batch.a, p.dtype);
  const void* b = at(p.b, at_batch.b, p.dtype);
  call.c = const_cast<char*>(at(p.c, at_batch.c, p.dtype));
  const bool good_a = describe(p.m, p.k, p.a_row, p.a_col, &call.right);
  const bool good_b = describe(p.k, p.n, p.b_row, p.b_col, &call.left);
  const Scratch dense_a(good_a ? 0 : bytes(p.m * p.k));
  const Scratch dense_b(good_b ? 0 : bytes(p.k * p.n));
  if (!good_a) {
    pack(a, p.dtype, p.m, p.k, p.a_row, p.a_col, dense_a.as<void>());
    a = dense_a.as<void>();
    describe(p.m, p.k, p.k, 1, &call.right);
  }
  if (!good_b) {
    pack(b, p.dtype, p.k, p.n, p.b_row, p.b_col, dense_b.as<void>());
    b = dense_b.as<void>();
    describe(p.k, p.n, p.n, 1, &call.left);
  }
  call.right.data = a;
  call.left.data = b;
  run(call);
}

// The product of nothing is zero: as a product with one column of zeros, so that beta and bias keep
// their meaning.
void run_empty(const GemmParams& p) {
  const int64_t longest = std::max(p.m, p.n);
  const size_t bytes = static_cast<size_t>(longest) * dtype_size(p.dtype);
  const Scratch zeros(bytes);
  check(cudaMemsetAsync(zeros.as<void>(), 0, bytes, current_stream()), "matmul");
  GemmParams q = p;
  q.k = 1;
  q.a = q.b = zeros.as<void>();
  q.a_row = q.a_col = q.b_row = q.b_col = 1;
  for (int64_t i = 0; i < p.batch; ++i) {
    const Call call{p.dtype, p.m,     p.n, 1,       1,      {},     {},
                    nullptr, p.c_row, 0,   p.alpha, p.beta, p.bias, p.epilogue};
    run_one(q, call, {0, 0, p.c_offsets == nullptr ? 0 : p.c_offsets[i]});
  }
}

void gemm(const GemmParams& p, const void*) {
  if (p.epilogue.wanted()) *p.epilogue.fused = false;
  if (p.m == 0 || p.n == 0 || p.batch == 0) return;
  check_product_sizes(p);
  if (p.k == 0) return run_empty(p);
  Call call{p.dtype, p.m,     p.n, p.k,     1,      {},     {},
            nullptr, p.c_row, 0,   p.alpha, p.beta, p.bias, p.epilogue};
  const bool plain = describe(p.m, p.k, p.a_row, p.a_col, &call.right) &&
                     describe(p.k, p.n, p.b_row, p.b_col, &call.left);
  for_even_runs(p, [&](const BatchRun& r) {
    for (int64_t i = 0; !plain && i < r.count; ++i) {
      run_one(p, call, {r.a + i * r.a_step, r.b + i * r.b_step, r.c + i * r.c_step});
    }
    if (!plain) return;
    call.batch = r.count;
    call.left.data = at(p.b, r.b, p.dtype);
    call.right.data = at(p.a, r.a, p.dtype);
    call.left.batch_stride = r.b_step;
    call.right.batch_stride = r.a_step;
    call.c = const_cast<char*>(at(p.c, r.c, p.dtype));
    call.c_step = r.c_step;
    run(call);
  });
}

}  // namespace

void check_product_sizes(const GemmParams& p) {
  AG_CHECK(std::max({p.m, p.n, p.k, p.batch}) <= INT32_MAX, Shape,
           "matmul: a dimension is beyond 2^31 - 1, which products on CUDA cannot take");
}

void multiply(const GemmParams& params) { gemm(params, nullptr); }

void register_gemm(const CudaHost& host) {
  for (OpId op : kProductOps) {
    for (DType dtype : {DType::Float16, DType::BFloat16, DType::Float32, DType::Float64}) {
      set_kernel<GemmParams>(host, op, dtype, gemm);
    }
  }
  for (DType dtype : {DType::Float16, DType::BFloat16, DType::Float32, DType::Float64}) {
    set_kernel<GemmParams>(host, OpId::nativeFeedForward, dtype, gemm);
  }
}

}  // namespace ampgrad::cuda
