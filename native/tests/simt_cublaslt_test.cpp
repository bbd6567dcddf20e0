// The stand-in for cuBLASLt: right products in every layout, and a refusal of every argument that
// the library's documentation rules out.
#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cmath>
#include <functional>

#include "simt_support.h"

using simt_test::Buffer;
using simt_test::for_each_schedule;
using simt_test::kSeeds;
using simt_test::start;

namespace {

constexpr size_t kWorkspace = 8192;

// Device memory of a matrix, exactly as large as it needs to be.
struct Matrix {
  cudaDataType type = CUDA_R_32F;
  uint64_t rows = 0, cols = 0;
  int64_t ld = 0;
  int32_t batches = 1;
  int64_t stride = 0;
  char* data = nullptr;

  size_t size() const { return type == CUDA_R_64F ? 8 : (type == CUDA_R_32F ? 4 : 2); }
  size_t count() const {
    return static_cast<size_t>(stride * (batches - 1) + ld * static_cast<int64_t>(cols - 1)) + rows;
  }
  size_t at(uint64_t row, uint64_t col, int batch) const {
    return static_cast<size_t>(stride * batch + ld * static_cast<int64_t>(col)) + row;
  }
};

void store(char* to, cudaDataType type, double value) {
  const auto narrow = static_cast<float>(value);
  const __half half = __float2half_rn(narrow);
  const __nv_bfloat16 bfloat = __float2bfloat16_rn(narrow);
  if (type == CUDA_R_64F) memcpy(to, &value, 8);
  if (type == CUDA_R_32F) memcpy(to, &narrow, 4);
  if (type == CUDA_R_16F) memcpy(to, &half, 2);
  if (type == CUDA_R_16BF) memcpy(to, &bfloat, 2);
}

double load(const char* from, cudaDataType type) {
  double wide = 0;
  float narrow = 0;
  uint16_t bits = 0;
  if (type == CUDA_R_64F) return memcpy(&wide, from, 8), wide;
  if (type == CUDA_R_32F) return memcpy(&narrow, from, 4), narrow;
  memcpy(&bits, from, 2);
  return type == CUDA_R_16F ? __half2float(__ushort_as_half(bits))
                            : __bfloat162float(__ushort_as_bfloat16(bits));
}

// Small whole numbers, which no type rounds.
double element(size_t i, int which) { return static_cast<double>((i * 7 + which * 3) % 5) - 2; }

void fill(Matrix* m, int which) {
  std::vector<char> bytes(m->count() * m->size());
  for (size_t i = 0; i < m->count(); ++i) store(&bytes[i * m->size()], m->type, element(i, which));
  void* data = nullptr;
  REQUIRE(cudaMalloc(&data, bytes.size()) == cudaSuccess);
  REQUIRE(cudaMemcpy(data, bytes.data(), bytes.size(), cudaMemcpyHostToDevice) == cudaSuccess);
  m->data = static_cast<char*>(data);
}

// d = alpha op(a) op(b) + beta c, with everything open for tests to change.
struct Problem {
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  cudaDataType scale = CUDA_R_32F;
  cublasOperation_t trans_a = CUBLAS_OP_N, trans_b = CUBLAS_OP_N;
  Matrix a, b, c, d;
  uint32_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  Matrix vector, aux;  // of one column, and of the shape of d
  bool with_algo = true;
  uint32_t alignment = 256;
  uint64_t allowed = kWorkspace;  // of workspace, when an algorithm is chosen
  char* workspace = nullptr;
  size_t workspace_bytes = kWorkspace;
  const void *alpha = &two_, *beta = &three_;
  cudaStream_t stream = nullptr;
  std::function<void(cublasLtMatmulAlgo_t*)> change_algo = [](cublasLtMatmulAlgo_t*) {};

  explicit Problem(cudaDataType type = CUDA_R_32F, bool ta = false, bool tb = false,
                   int batches = 1) {
    constexpr uint64_t m = 12, n = 8, k = 16;
    a = make(type, ta ? k : m, ta ? m : k, batches);
    b = make(type, tb ? n : k, tb ? k : n, batches);
    c = d = make(type, m, n, batches);
    trans_a = ta ? CUBLAS_OP_T : CUBLAS_OP_N;
    trans_b = tb ? CUBLAS_OP_T : CUBLAS_OP_N;
    if (type == CUDA_R_64F) {
      compute = CUBLAS_COMPUTE_64F;
      scale = CUDA_R_64F;
      alpha = &wide_two_;
      beta = &wide_three_;
    }
    fill(&a, 0);
    fill(&b, 1);
    fill(&c, 2);
    fill(&d, 3);
    void* memory = nullptr;
    REQUIRE(cudaMalloc(&memory, kWorkspace) == cudaSuccess);
    workspace = static_cast<char*>(memory);
  }
  Problem(const Problem&) = delete;
  Problem& operator=(const Problem&) = delete;

  cublasStatus_t run() {
    // Kept for good, as by the backend.
    static cublasLtHandle_t handle = nullptr;
    if (handle == nullptr) REQUIRE(cublasLtCreate(&handle) == CUBLAS_STATUS_SUCCESS);
    cublasLtMatmulDesc_t desc = nullptr;
    cublasLtMatmulDescCreate(&desc, compute, scale);
    cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSA, &trans_a, sizeof(trans_a));
    cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSB, &trans_b, sizeof(trans_b));
    cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue,
                                   sizeof(epilogue));
    cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &vector.data,
                                   sizeof(vector.data));
    cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, &aux.data,
                                   sizeof(aux.data));
    cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, &aux.ld,
                                   sizeof(aux.ld));
    cublasLtMatrixLayout_t la = layout(a), lb = layout(b), lc = layout(c), ld = layout(d);
    const cublasStatus_t status = multiply(handle, desc, la, lb, lc, ld);
    for (cublasLtMatrixLayout_t l : {la, lb, lc, ld}) cublasLtMatrixLayoutDestroy(l);
    cublasLtMatmulDescDestroy(desc);
    return status;
  }

  void check_result() const {
    const std::vector<double> got = values(d);
    for (int batch = 0; batch < d.batches; ++batch) {
      for (uint64_t i = 0; i < d.rows; ++i) {
        for (uint64_t j = 0; j < d.cols; ++j) {
          const double want = 2 * sum(i, j, batch) + 3 * element(c.at(i, j, batch), 2);
          REQUIRE(got[d.at(i, j, batch)] == want);
        }
      }
    }
  }

  // A row of op(a) times a column of op(b).
  double sum(uint64_t i, uint64_t j, int batch = 0) const {
    double sum = 0;
    for (uint64_t k = 0; k < inner(); ++k) sum += left(i, k, batch) * right(k, j, batch);
    return sum;
  }
  uint64_t inner() const { return trans_a == CUBLAS_OP_T ? a.rows : a.cols; }
  double left(uint64_t i, uint64_t k, int batch = 0) const {
    return element(trans_a == CUBLAS_OP_T ? a.at(k, i, batch) : a.at(i, k, batch), 0);
  }
  double right(uint64_t k, uint64_t j, int batch = 0) const {
    return element(trans_b == CUBLAS_OP_T ? b.at(j, k, batch) : b.at(k, j, batch), 1);
  }

  static std::vector<double> values(const Matrix& m) {
    std::vector<char> bytes(m.count() * m.size());
    REQUIRE(cudaMemcpy(bytes.data(), m.data, bytes.size(), cudaMemcpyDeviceToHost) == cudaSuccess);
    std::vector<double> out;
    for (size_t i = 0; i < m.count(); ++i) out.push_back(load(&bytes[i * m.size()], m.type));
    return out;
  }

  // Sums of at most 1 that keep their last bits, so that activations bend.
  void use(uint32_t kind, uint64_t vector_length) {
    epilogue = kind;
    alpha = &sixteenth_;
    beta = &nothing_;
    vector = {d.type, vector_length, 1, static_cast<int64_t>(vector_length), 1, 0, nullptr};
    aux = {d.type, d.rows, d.cols, 24, 1, 0, nullptr};
    fill(&vector, 4);
    fill(&aux, 5);
  }

 private:
  static Matrix make(cudaDataType type, uint64_t rows, uint64_t cols, int batches) {
    Matrix m{type, rows, cols, static_cast<int64_t>(rows) + 4, batches, 0, nullptr};
    m.stride = batches > 1 ? m.ld * static_cast<int64_t>(cols) : 0;
    return m;
  }

  static cublasLtMatrixLayout_t layout(const Matrix& m) {
    cublasLtMatrixLayout_t l = nullptr;
    cublasLtMatrixLayoutCreate(&l, m.type, m.rows, m.cols, m.ld);
    cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &m.batches,
                                     sizeof(m.batches));
    cublasLtMatrixLayoutSetAttribute(l, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &m.stride,
                                     sizeof(m.stride));
    return l;
  }

  cublasStatus_t multiply(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                          cublasLtMatrixLayout_t la, cublasLtMatrixLayout_t lb,
                          cublasLtMatrixLayout_t lc, cublasLtMatrixLayout_t ld) {
    cublasLtMatmulHeuristicResult_t found{};
    if (with_algo) {
      const cublasStatus_t status = choose(handle, desc, la, lb, lc, ld, &found);
      if (status != CUBLAS_STATUS_SUCCESS) return status;
      change_algo(&found.algo);
    }
    return cublasLtMatmul(handle, desc, alpha, a.data, la, b.data, lb, beta, c.data, lc, d.data, ld,
                          with_algo ? &found.algo : nullptr, workspace, workspace_bytes, stream);
  }

  cublasStatus_t choose(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                        cublasLtMatrixLayout_t la, cublasLtMatrixLayout_t lb,
                        cublasLtMatrixLayout_t lc, cublasLtMatrixLayout_t ld,
                        cublasLtMatmulHeuristicResult_t* found) const {
    cublasLtMatmulPreference_t preference = nullptr;
    cublasLtMatmulPreferenceCreate(&preference);
    const auto set = [&](cublasLtMatmulPreferenceAttributes_t name, auto value) {
      return cublasLtMatmulPreferenceSetAttribute(preference, name, &value, sizeof(value));
    };
    set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, allowed);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment);
    set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment);
    int count = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(handle, desc, la, lb, lc, ld, preference, 1, found, &count);
    cublasLtMatmulPreferenceDestroy(preference);
    CHECK((count == 1) == (status == CUBLAS_STATUS_SUCCESS));
    return status;
  }

  float two_ = 2, three_ = 3;
  double wide_two_ = 2, wide_three_ = 3;
  float sixteenth_ = 0.0625f, nothing_ = 0;
};

double gelu(double x) {
  return x / (1 + std::exp(-1.5957691216057308 * (x + 0.044715 * x * x * x)));
}
double gelu_slope(double x) { return (gelu(x + 1e-6) - gelu(x - 1e-6)) / 2e-6; }

struct Mistake {
  const char* what;
  std::function<void(Problem&)> make;
};

void expect_refusal(const std::vector<Mistake>& mistakes) {
  for (const Mistake& mistake : mistakes) {
    CAPTURE(mistake.what);
    for (int i = 0; i < 2 * kSeeds; ++i) {
      CAPTURE(i);
      start(static_cast<uint64_t>(i / 2));
      Problem p;
      p.with_algo = i % 2 == 0;
      mistake.make(p);
      CHECK(p.run() != CUBLAS_STATUS_SUCCESS);
      CHECK(cudaDeviceSynchronize() == cudaSuccess);  // nothing was queued
    }
  }
}

}  // namespace

TEST_CASE("cublasLt stand-in: products in every type, layout and schedule") {
  for_each_schedule([] {
    for (const cudaDataType type : {CUDA_R_32F, CUDA_R_64F, CUDA_R_16F, CUDA_R_16BF}) {
      for (int layout = 0; layout < 8; ++layout) {
        Problem p(type, (layout & 1) != 0, (layout & 2) != 0, (layout & 4) != 0 ? 3 : 1);
        REQUIRE(p.run() == CUBLAS_STATUS_SUCCESS);
        p.check_result();
      }
    }
    CHECK(simt::last_report().empty());
  });
}

TEST_CASE("cublasLt stand-in: what the product's arguments may not be") {
  expect_refusal({
      {"no alpha", [](Problem& p) { p.alpha = nullptr; }},
      {"no beta", [](Problem& p) { p.beta = nullptr; }},
      {"a leading dimension below the rows of A", [](Problem& p) { p.a.ld = 11; }},
      {"a leading dimension below the rows of B", [](Problem& p) { p.b.ld = 15; }},
      {"a leading dimension below the rows of D", [](Problem& p) { p.d.ld = p.c.ld = 11; }},
      {"C and D in one place with different leading dimensions",
       [](Problem& p) {
         p.c.data = p.d.data;
         p.c.ld = 12;
       }},
      {"operands whose inner sizes differ", [](Problem& p) { p.b.rows = 15; }},
      {"a result of another height", [](Problem& p) { p.c.rows = p.d.rows = 11; }},
      {"a result of another width", [](Problem& p) { p.c.cols = p.d.cols = 7; }},
      {"C of another shape than D", [](Problem& p) { p.c.cols = 7; }},
      {"no rows", [](Problem& p) { p.a.rows = p.c.rows = p.d.rows = 0; }},
      {"batches of different counts", [](Problem& p) { p.a.batches = 2; }},
      {"no batch", [](Problem& p) { p.a.batches = p.b.batches = p.c.batches = p.d.batches = 0; }},
      {"batches of the result in one place",
       [](Problem& p) { p.a.batches = p.b.batches = p.c.batches = p.d.batches = 2; }},
      {"operands of two types", [](Problem& p) { p.b.type = CUDA_R_16F; }},
      {"float accumulation of doubles",
       [](Problem& p) { p.a.type = p.b.type = p.c.type = p.d.type = CUDA_R_64F; }},
      {"double accumulation of floats", [](Problem& p) { p.compute = CUBLAS_COMPUTE_64F; }},
      {"a scale of double for floats", [](Problem& p) { p.scale = CUDA_R_64F; }},
      {"a narrow result of floats", [](Problem& p) { p.c.type = p.d.type = CUDA_R_16F; }},
      {"bfloat16 on sm_75",
       [](Problem& p) {
         simt::config().arch = 75;
         p.a.type = p.b.type = p.c.type = p.d.type = CUDA_R_16BF;
       }},
      {"A on the host",
       [](Problem& p) {
         static char host[4096];
         p.a.data = host;
       }},
      {"A beyond its allocation", [](Problem& p) { p.a.data += 256; }},
      {"B beyond its allocation", [](Problem& p) { p.b.data += 256; }},
      {"C beyond its allocation", [](Problem& p) { p.c.data += 256; }},
      {"D beyond its allocation", [](Problem& p) { p.d.data += 256; }},
      {"A that was freed", [](Problem& p) { cudaFree(p.a.data); }},
      {"D that was freed", [](Problem& p) { cudaFree(p.d.data); }},
      {"workspace that is too short", [](Problem& p) { p.workspace_bytes = kWorkspace + 1; }},
      {"workspace on an odd address",
       [](Problem& p) {
         p.workspace += 8;
         p.workspace_bytes -= 8;
       }},
      {"workspace on the host",
       [](Problem& p) {
         alignas(256) static char host[kWorkspace];
         p.workspace = host;
       }},
      {"a stream that does not exist",
       [](Problem& p) { p.stream = reinterpret_cast<cudaStream_t>(0x1230); }},
  });
}

TEST_CASE("cublasLt stand-in: what an algorithm was chosen for must hold") {
  start(0);
  Problem shifted;
  // One element on: right for an algorithm that was told so.
  const auto shift = [](Problem& p) {
    p.a.data += 4;
    p.a.rows = p.a.rows - 1;
    p.c.rows = p.d.rows = p.a.rows;
  };
  shift(shifted);
  CHECK(shifted.run() == CUBLAS_STATUS_INVALID_VALUE);
  shifted.alignment = 4;
  CHECK(shifted.run() == CUBLAS_STATUS_SUCCESS);
  shifted.change_algo = [](cublasLtMatmulAlgo_t* algo) { *algo = {}; };  // from nowhere
  CHECK(shifted.run() == CUBLAS_STATUS_INVALID_VALUE);
  // A long sum into a small result is what asks for workspace.
  start(0);
  Problem small;
  small.a.cols = small.b.rows = 1024;
  small.b.ld = 1024;
  fill(&small.a, 0);
  fill(&small.b, 1);
  CHECK(small.run() == CUBLAS_STATUS_SUCCESS);
  small.workspace_bytes = 16;
  CHECK(small.run() == CUBLAS_STATUS_INVALID_VALUE);
  small.allowed = 0;
  CHECK(small.run() == CUBLAS_STATUS_SUCCESS);
}

TEST_CASE("cublasLt stand-in: attributes have their size and their values") {
  cublasLtMatmulDesc_t desc = nullptr;
  cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F);
  const int64_t wide = 0;
  CHECK(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSA, &wide, sizeof(wide)) ==
        CUBLAS_STATUS_INVALID_VALUE);
  const uint32_t unknown = 3;
  CHECK(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_EPILOGUE, &unknown,
                                       sizeof(unknown)) == CUBLAS_STATUS_INVALID_VALUE);
  cublasLtMatmulDescDestroy(desc);
  cublasLtMatrixLayout_t layout = nullptr;
  cublasLtMatrixLayoutCreate(&layout, CUDA_R_32F, 4, 4, 4);
  CHECK(cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &wide,
                                         sizeof(wide)) == CUBLAS_STATUS_INVALID_VALUE);
  cublasLtMatrixLayoutDestroy(layout);
  cublasLtMatmulPreference_t preference = nullptr;
  cublasLtMatmulPreferenceCreate(&preference);
  const uint32_t alignment = 48;
  CHECK(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
                                             &alignment,
                                             sizeof(alignment)) == CUBLAS_STATUS_INVALID_VALUE);
  cublasLtMatmulPreferenceDestroy(preference);
}

TEST_CASE("cublasLt stand-in: a product runs in the order of its stream") {
  simt_test::expect_caught([](bool ordered) {
    Problem p;
    cudaStream_t fills = nullptr;
    cudaStreamCreateWithFlags(&fills, cudaStreamNonBlocking);
    cudaStreamCreateWithFlags(&p.stream, cudaStreamNonBlocking);
    cudaEvent_t event = nullptr;
    cudaEventCreateWithFlags(&event, cudaEventDisableTiming);
    cudaMemsetAsync(p.a.data, 0, p.a.count() * p.a.size(), fills);
    cudaEventRecord(event, fills);
    if (ordered) cudaStreamWaitEvent(p.stream, event);
    REQUIRE(p.run() == CUBLAS_STATUS_SUCCESS);
    float got = 0;
    cudaMemcpyAsync(&got, p.d.data, sizeof(got), cudaMemcpyDeviceToHost, p.stream);
    return got == static_cast<float>(3 * element(0, 2));  // of C alone
  });
}

TEST_CASE("cublasLt stand-in: activations, their slopes and sums in epilogues") {
  for (const cudaDataType type : {CUDA_R_32F, CUDA_R_16F, CUDA_R_16BF}) {
    const double bound = type == CUDA_R_32F ? 1e-6 : (type == CUDA_R_16F ? 2e-3 : 1e-2);
    const auto near = [&](double got, double want) {
      return std::abs(got - want) <= bound * (1 + std::abs(want));
    };
    for (const cublasLtEpilogue_t kind :
         {CUBLASLT_EPILOGUE_RELU, CUBLASLT_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_RELU_BIAS,
          CUBLASLT_EPILOGUE_GELU, CUBLASLT_EPILOGUE_GELU_BIAS, CUBLASLT_EPILOGUE_GELU_AUX,
          CUBLASLT_EPILOGUE_GELU_AUX_BIAS, CUBLASLT_EPILOGUE_DGELU,
          CUBLASLT_EPILOGUE_DGELU_BGRAD}) {
      CAPTURE(kind);
      start(0);
      Problem p(type, true, false);
      p.use(kind, p.d.rows);
      // Elements of d lie 16 apart, in units of 8.
      p.c.ld = p.d.ld = 16;
      fill(&p.c, 2);
      fill(&p.d, 3);
      REQUIRE(p.run() == CUBLAS_STATUS_SUCCESS);
      const std::vector<double> d = Problem::values(p.d);
      const std::vector<double> aux = Problem::values(p.aux);
      const std::vector<double> sums = Problem::values(p.vector);
      const bool bias = (kind & CUBLASLT_EPILOGUE_BIAS) != 0;
      for (uint64_t i = 0; i < p.d.rows; ++i) {
        double total = 0;
        for (uint64_t j = 0; j < p.d.cols; ++j) {
          double want = p.sum(i, j) / 16 + (bias ? element(i, 4) : 0);
          if ((kind & 2) != 0) want = std::max(want, 0.0);
          if ((kind & 160) == 160) CHECK(near(aux[p.aux.at(i, j, 0)], want));
          if ((kind & 32) != 0) want = gelu(want);
          if ((kind & 64) != 0) want *= gelu_slope(element(p.aux.at(i, j, 0), 5));
          CHECK(near(d[p.d.at(i, j, 0)], want));
          total += want;
        }
        if (kind == CUBLASLT_EPILOGUE_DGELU_BGRAD) CHECK(near(sums[i], total));
      }
    }
    for (const bool of_b : {false, true}) {
      start(0);
      Problem p(type, false, true);
      p.use(of_b ? CUBLASLT_EPILOGUE_BGRADB : CUBLASLT_EPILOGUE_BGRADA, of_b ? p.d.cols : p.d.rows);
      REQUIRE(p.run() == CUBLAS_STATUS_SUCCESS);
      const std::vector<double> sums = Problem::values(p.vector);
      for (uint64_t i = 0; i < sums.size(); ++i) {
        double want = 0;  // not scaled by alpha
        for (uint64_t k = 0; k < p.inner(); ++k) want += of_b ? p.right(k, i) : p.left(i, k);
        CHECK(sums[i] == want);
      }
    }
  }
}

namespace {

struct EpilogueMistake {
  const char* what;
  uint32_t kind;
  std::function<void(Problem&)> make;
};

// The same call is right before the mistake.
void expect_refusal(const EpilogueMistake& mistake) {
  CAPTURE(mistake.what);
  for (const bool with_algo : {true, false}) {
    start(0);
    Problem p(CUDA_R_16F, false, mistake.kind == CUBLASLT_EPILOGUE_BGRADB);
    p.with_algo = with_algo;
    p.c.ld = p.d.ld = 16;
    fill(&p.c, 2);
    fill(&p.d, 3);
    p.use(mistake.kind, p.d.rows);
    REQUIRE(p.run() == CUBLAS_STATUS_SUCCESS);
    REQUIRE(cudaDeviceSynchronize() == cudaSuccess);
    mistake.make(p);
    CHECK(p.run() != CUBLAS_STATUS_SUCCESS);
    CHECK(cudaDeviceSynchronize() == cudaSuccess);  // nothing was queued
  }
}

// op(X) as before, stored the other way round.
void turn(Matrix* m, cublasOperation_t* op) {
  *op = *op == CUBLAS_OP_N ? CUBLAS_OP_T : CUBLAS_OP_N;
  std::swap(m->rows, m->cols);
  m->ld = 16;
}

}  // namespace

TEST_CASE("cublasLt stand-in: what an epilogue's arguments may not be") {
  const std::vector<EpilogueMistake> mistakes = {
      {"no bias", CUBLASLT_EPILOGUE_GELU_BIAS, [](Problem& p) { p.vector.data = nullptr; }},
      {"no auxiliary matrix to write", CUBLASLT_EPILOGUE_GELU_AUX_BIAS,
       [](Problem& p) { p.aux.data = nullptr; }},
      {"no auxiliary matrix to read", CUBLASLT_EPILOGUE_DGELU,
       [](Problem& p) { p.aux.data = nullptr; }},
      {"an auxiliary matrix on an odd address", CUBLASLT_EPILOGUE_GELU_AUX,
       [](Problem& p) {
         p.aux.data += 8;
         p.aux.ld = 16;
       }},
      {"an auxiliary matrix beyond its allocation", CUBLASLT_EPILOGUE_GELU_AUX,
       [](Problem& p) { p.aux.data += 256; }},
      {"an auxiliary matrix that was freed", CUBLASLT_EPILOGUE_DGELU_BGRAD,
       [](Problem& p) { cudaFree(p.aux.data); }},
      {"auxiliary rows that are no multiple of 8", CUBLASLT_EPILOGUE_GELU_AUX,
       [](Problem& p) { p.aux.ld = 20; }},
      {"auxiliary rows that are too short", CUBLASLT_EPILOGUE_GELU_AUX,
       [](Problem& p) { p.aux.ld = 8; }},
      {"no leading dimension of the auxiliary matrix", CUBLASLT_EPILOGUE_DGELU,
       [](Problem& p) { p.aux.ld = 0; }},
      {"nowhere to put the sums of D", CUBLASLT_EPILOGUE_DGELU_BGRAD,
       [](Problem& p) { p.vector.data = nullptr; }},
      {"nowhere to put the sums of B", CUBLASLT_EPILOGUE_BGRADB,
       [](Problem& p) { p.vector.data = nullptr; }},
      {"sums of A with k along its rows", CUBLASLT_EPILOGUE_BGRADA,
       [](Problem& p) { turn(&p.a, &p.trans_a); }},
      {"sums of B with k along its rows", CUBLASLT_EPILOGUE_BGRADB,
       [](Problem& p) { turn(&p.b, &p.trans_b); }},
      {"several batches", CUBLASLT_EPILOGUE_RELU,
       [](Problem& p) {
         p.a.batches = p.b.batches = p.c.batches = p.d.batches = 2;
         p.d.ld = p.c.ld = 12;
         p.d.stride = p.c.stride = 48;
         p.d.cols = p.c.cols = p.b.cols = 4;
       }},
  };
  for (const EpilogueMistake& mistake : mistakes) expect_refusal(mistake);
  start(0);
  Problem wide(CUDA_R_64F);
  wide.epilogue = CUBLASLT_EPILOGUE_RELU;
  CHECK(wide.run() == CUBLAS_STATUS_NOT_SUPPORTED);
  // An algorithm chosen for one epilogue is none for another.
  start(0);
  Problem other(CUDA_R_16F);
  other.use(CUBLASLT_EPILOGUE_GELU, other.d.rows);
  other.change_algo = [](cublasLtMatmulAlgo_t* algo) { algo->data[6] = CUBLASLT_EPILOGUE_RELU; };
  CHECK(other.run() == CUBLAS_STATUS_INVALID_VALUE);
}
