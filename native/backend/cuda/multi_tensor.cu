// Norm and scaling of whole lists of tensors, and gradient scaling: a block for each piece of a
// tensor. The norm's pieces are folded by a second launch. Scales, found_inf and growth tracker
// stay on the device; nothing waits for it.
#include "backend/cuda/context.h"
#include "backend/cuda/device/team.cuh"
#include "backend/cuda/families.h"
#include "backend/cuda/pieces.h"
#include "math/amp.h"
#include "math/optim-inl.h"
#include "math/power_norm.h"
#include "ops/amp_params.h"
#include "ops/params.h"

namespace ampgrad::cuda {

namespace {

// The elements [begin, end) of a tensor, packs of 16 bytes where its memory allows it. `fn` gets
// values and how many they are, and may change them; with `kWrite` they go back.
template <class S, bool kWrite, class F>
__device__ AG_INLINE void each_neighbours(S* data, int64_t begin, int64_t end, F fn) {
  using T = OpMath<S>;
  constexpr int V = kWidest<S>;
  int64_t rest = begin;
  if (reinterpret_cast<uintptr_t>(data + begin) % 16 == 0) {
    rest = begin + (end - begin) / V * V;
    for (int64_t i = begin + int64_t{threadIdx.x} * V; i < rest; i += kRowThreads * V) {
      T x[V];
      load_neighbours<V>(data + i, x);
      AG_UNROLL
      for (int j = 0; j < V; ++j) fn(&x[j]);
      if constexpr (kWrite) store_neighbours<V>(x, data + i);
    }
  }
  for (int64_t i = rest + threadIdx.x; i < end; i += kRowThreads) {
    T x = cast<T>(data[i]);
    fn(&x);
    if constexpr (kWrite) data[i] = cast<S>(x);
  }
}

template <class List>
__device__ AG_INLINE int64_t end_of(const List& t, const Piece& piece) {
  return piece.begin + kPiece < t.numel ? piece.begin + kPiece : t.numel;
}

struct Combine {
  math::PowerNorm norm;
  template <class T>
  AG_HD AG_INLINE T operator()(T a, T b) const {
    return norm.combine(a, b);
  }
};

template <class S>
__device__ AG_INLINE double fold_piece(const MultiTensor& t, const Piece& piece,
                                       const math::PowerNorm& norm) {
  using T = OpMath<S>;
  T total = static_cast<T>(norm.start());
  each_neighbours<S, false>(static_cast<S*>(t.data), piece.begin, end_of(t, piece),
                            [&](const T* x) { total = norm.combine(total, norm.of_one(*x)); });
  return static_cast<double>(total);
}

// Values of Float16, BFloat16 or Float32 fold in float, of Float64 in double.
__global__ void __launch_bounds__(kRowThreads)
    norm_piece_kernel(const MultiTensor* tensors, const Piece* pieces, const math::PowerNorm norm,
                      double* folds) {
  AG_SHARED_ARRAY(double, room, kRowWarps);
  const Piece piece = pieces[blockIdx.x];
  const MultiTensor t = tensors[piece.tensor];
  double total = 0;
  switch (t.dtype) {
    case DType::Float16:
      total = fold_piece<Half>(t, piece, norm);
      break;
    case DType::BFloat16:
      total = fold_piece<BFloat16>(t, piece, norm);
      break;
    case DType::Float64:
      total = fold_piece<double>(t, piece, norm);
      break;
    default:
      total = fold_piece<float>(t, piece, norm);
      break;
  }
  total = fold_block(total, Combine{norm}, room);
  if (threadIdx.x == 0) folds[blockIdx.x] = total;
}

// The norm of the tensors' norms: but for order 0 the norm of all elements. There a tensor counts
// once, at its first piece that is not zero.
__global__ void __launch_bounds__(kRowThreads)
    norm_finish_kernel(const Piece* pieces, const double* folds, int64_t count,
                       const math::PowerNorm norm, void* out, bool wide) {
  AG_SHARED_ARRAY(double, room, kRowWarps);
  double total = norm.start();
  for (int64_t k = threadIdx.x; k < count; k += kRowThreads) {
    double one = folds[k];
    if (norm.ord == 0) {
      for (int64_t b = k; one != 0 && b > 0 && pieces[b - 1].tensor == pieces[k].tensor; --b) {
        if (folds[b - 1] != 0) one = 0;
      }
      one = norm.of_one(one);
    }
    total = norm.combine(total, one);
  }
  total = norm.finish(fold_block(total, Combine{norm}, room));
  if (threadIdx.x != 0) return;
  if (wide) {
    *static_cast<double*>(out) = total;
  } else {
    *static_cast<float*>(out) = static_cast<float>(total);
  }
}

void norm(const MultiTensorParams& p, const void*) {
  constexpr const char* kName = "multiTensorNorm";
  const PieceTable<MultiTensor> table(p.tensors, p.num_tensors, kName);
  const Scratch folds(static_cast<size_t>(table.size()) * sizeof(double));
  const math::PowerNorm how{p.ord};
  if (table.size() != 0) {
    launch(kName, {dim3(static_cast<unsigned>(table.size())), kRowThreads}, norm_piece_kernel,
           table.tensors(), table.pieces(), how, folds.as<double>());
  }
  launch(kName, {dim3(1), kRowThreads}, norm_finish_kernel, table.pieces(), folds.as<double>(),
         table.size(), how, p.out, p.out_dtype == DType::Float64);
}

struct ScaleArgs {
  const void* scale;
  DType scale_dtype;
  double min, max;
};

template <class S>
__device__ AG_INLINE void scale_piece(const MultiTensor& t, const Piece& piece,
                                      const ScaleArgs& a) {
  using T = OpMath<S>;
  const T scale = a.scale == nullptr ? T{1} : load_as<T>(a.scale, a.scale_dtype, 0);
  each_neighbours<S, true>(static_cast<S*>(t.data), piece.begin, end_of(t, piece), [&](T* x) {
    *x = math::ScaleAndClamp::apply(*x, scale, static_cast<T>(a.min), static_cast<T>(a.max));
  });
}

__global__ void __launch_bounds__(kRowThreads)
    scale_kernel(const MultiTensor* tensors, const Piece* pieces, const ScaleArgs a) {
  const Piece piece = pieces[blockIdx.x];
  const MultiTensor t = tensors[piece.tensor];
  switch (t.dtype) {
    case DType::Float16:
      return scale_piece<Half>(t, piece, a);
    case DType::BFloat16:
      return scale_piece<BFloat16>(t, piece, a);
    case DType::Float64:
      return scale_piece<double>(t, piece, a);
    default:
      return scale_piece<float>(t, piece, a);
  }
}

void scale(const MultiTensorParams& p, const void*) {
  constexpr const char* kName = "multiTensorScale_";
  const PieceTable<MultiTensor> table(p.tensors, p.num_tensors, kName);
  if (table.size() == 0) return;
  launch(kName, {dim3(static_cast<unsigned>(table.size())), kRowThreads}, scale_kernel,
         table.tensors(), table.pieces(), ScaleArgs{p.scale, p.scale_dtype, p.min, p.max});
}

// Gradients are left as they are where the scale is 1.
template <class S>
__global__ void __launch_bounds__(kRowThreads)
    unscale_kernel(const UnscaleTensor* tensors, const Piece* pieces, const float* inv_scale,
                   float* found_inf) {
  using T = OpMath<S>;
  const Piece piece = pieces[blockIdx.x];
  const UnscaleTensor t = tensors[piece.tensor];
  const float factor = *inv_scale;
  auto* data = static_cast<S*>(t.data);
  bool bad = false;
  if (factor == 1.0f) {
    each_neighbours<S, false>(data, piece.begin, end_of(t, piece),
                              [&](const T* x) { bad = bad || !math::is_finite(*x); });
  } else {
    each_neighbours<S, true>(data, piece.begin, end_of(t, piece), [&](T* x) {
      bad = bad || !math::is_finite(*x);
      *x = math::unscale(*x, factor);
    });
  }
  bad = __any_sync(kAllLanes, bad ? 1 : 0) != 0;
  if (bad && threadIdx.x % kLanes == 0) *found_inf = 1.0f;
}

template <class S>
void unscale(const UnscaleParams& p, const void*) {
  constexpr const char* kName = "ampUnscaleStep_";
  const PieceTable<UnscaleTensor> table(p.tensors, p.num_tensors, kName);
  if (table.size() == 0) return;
  launch(kName, {dim3(static_cast<unsigned>(table.size())), kRowThreads}, unscale_kernel<S>,
         table.tensors(), table.pieces(), p.inv_scale, p.found_inf);
}

__global__ void update_kernel(const UpdateScaleParams p) {
  math::update_scale(p.scale, p.growth_tracker, *p.found_inf != 0.0f, p.growth_factor,
                     p.backoff_factor, p.growth_interval, p.min_scale);
}

void update(const UpdateScaleParams& p, const void*) {
  launch("ampUpdateStep_", {dim3(1), dim3(1)}, update_kernel, p);
}

}  // namespace

void register_multi_tensor(const CudaHost& host) {
  for (DType dtype : {DType::Float16, DType::BFloat16, DType::Float32, DType::Float64}) {
    set_kernel<MultiTensorParams>(host, OpId::multiTensorNorm, dtype, norm);
    set_kernel<MultiTensorParams>(host, OpId::multiTensorScale_, dtype, scale);
  }
  const auto set = [&](DType dtype, KernelFn<UnscaleParams> fn) {
    set_kernel<UnscaleParams>(host, OpId::ampUnscaleStep_, dtype, fn);
  };
  set(DType::Float16, unscale<Half>);
  set(DType::BFloat16, unscale<BFloat16>);
  set(DType::Float32, unscale<float>);
  set(DType::Float64, unscale<double>);
  set_kernel<UpdateScaleParams>(host, OpId::ampUpdateStep_, DType::Float32, update);
}

}  // namespace ampgrad::cuda
