// The multilabel margin loss: a block for each row. Every label is compared with every class that
// is none; marks of the classes that are labels lie in working memory.
#include "ops/margin_params.h"

#include "backend/cuda/device/fault.cuh"
#include "backend/cuda/device/team.cuh"
#include "backend/cuda/families.h"
#include "backend/cuda/rows.h"
#include "backend/cuda/scratch.h"

namespace ampgrad::cuda {

namespace {

// Labels before the first negative one, found by the whole block.
__device__ AG_INLINE int64_t count_labels(const int64_t* labels, int64_t classes,
                                          unsigned long long* first) {
  if (threadIdx.x == 0) *first = static_cast<unsigned long long>(classes);
  __syncthreads();
  for (int64_t c = threadIdx.x; c < classes; c += kRowThreads) {
    if (labels[c] < 0) {
      atomicMin(first, static_cast<unsigned long long>(c));
      break;
    }
  }
  __syncthreads();
  return static_cast<int64_t>(*first);
}

// How much closer than 1 class c comes to the score of a label.
template <class T>
__device__ AG_INLINE T shortfall(T score, T x) {
  const T z = T{1} - score + x;
  return z > T{0} || z != z ? z : T{0};
}

template <class T>
__global__ void __launch_bounds__(kRowThreads)
    margin_kernel(const MultilabelMarginParams p, uint8_t* all_marks, IndexFault* fault,
                  const char* op) {
  AG_SHARED_ARRAY(unsigned long long, first, 1);
  AG_SHARED_ARRAY(T, room, kRowWarps);
  const int64_t n = p.classes;
  for (int64_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
    const T* x = static_cast<const T*>(p.in) + row * n;
    const int64_t* labels = p.target + row * n;
    uint8_t* is_label = all_marks + row * n;
    const int64_t count = count_labels(labels, n, first);
    for (int64_t i = threadIdx.x; i < count; i += kRowThreads) {
      if (labels[i] < n) {
        is_label[labels[i]] = 1;
      } else {
        report_index(fault, op, labels[i], 1, n);
      }
    }
    __syncthreads();
    if (p.grad == nullptr) {
      T loss{0};
      for (int64_t i = 0; i < count; ++i) {
        if (labels[i] >= n) continue;
        const T score = x[labels[i]];
        for (int64_t c = threadIdx.x; c < n; c += kRowThreads) {
          if (is_label[c] == 0) loss += shortfall(score, x[c]);
        }
      }
      loss = fold_block(loss, Add(), room);
      if (threadIdx.x == 0) static_cast<T*>(p.out)[row] = loss / static_cast<T>(n);
      continue;
    }
    // A class that is no label is pushed once by each label that it comes too close to; a label
    // is pulled by each such class, once for each time that it is in the list.
    const T step = static_cast<const T*>(p.grad)[row] / static_cast<T>(n);
    for (int64_t c = threadIdx.x; c < n; c += kRowThreads) {
      int64_t pushes = 0;
      if (is_label[c] == 0) {
        for (int64_t i = 0; i < count; ++i) {
          if (labels[i] >= n) continue;
          const T z = T{1} - x[labels[i]] + x[c];
          pushes += z <= T{0} ? 0 : 1;
        }
      } else {
        int64_t times = 0;
        for (int64_t i = 0; i < count; ++i) times += labels[i] == c ? 1 : 0;
        for (int64_t k = 0; k < n; ++k) {
          const T z = T{1} - x[c] + x[k];
          pushes -= is_label[k] != 0 || z <= T{0} ? 0 : times;
        }
      }
      static_cast<T*>(p.out)[row * n + c] = step * static_cast<T>(pushes);
    }
  }
}

template <class T>
void margin(const MultilabelMarginParams& p, const void* name_of_row) {
  if (p.rows == 0 || p.classes == 0) return;
  const auto* name = static_cast<const char*>(name_of_row);
  const auto bytes = static_cast<size_t>(p.rows * p.classes);
  const Scratch marks(bytes);
  check(cudaMemsetAsync(marks.as<void>(), 0, bytes, current_stream()), name);
  launch(name, {grid_of_teams(p.rows, 1), kRowThreads}, margin_kernel<T>, p, marks.as<uint8_t>(),
         current_context().fault, "multilabelMarginLoss");
}

}  // namespace

void register_margin(const CudaHost& host) {
  const auto set = [&](OpId op, const char* name) {
    set_kernel<MultilabelMarginParams>(host, op, DType::Float32, margin<float>, name);
    set_kernel<MultilabelMarginParams>(host, op, DType::Float64, margin<double>, name);
  };
  set(OpId::multilabelMarginForward, "multilabelMarginForward");
  set(OpId::multilabelMarginBackward, "multilabelMarginBackward");
}

}  // namespace ampgrad::cuda
