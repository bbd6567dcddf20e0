// From a row of ops/table/elementwise.def to its launch, and the expansion of a part of the table
// for one compute type. Each elementwise_<type>_<part>.cu includes this once: a unit of all rows
// would keep the compiler busy for many minutes, while headers cost nvcc three seconds in each.
#pragma once

#include <cuda_runtime.h>

#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/device/elementwise.cuh"
#include "backend/cuda/elementwise_units.h"
#include "backend/cuda/geometry.h"
#include "math/activation-inl.h"
#include "math/arithmetic-inl.h"
#include "math/logic-inl.h"
#include "math/special-inl.h"
#include "math/transcendental-inl.h"

namespace ampgrad::cuda {

enum class RowRule { Same, Float, Bool, Logical };

// The rows of a part follow each other in the table.
constexpr RowPart part_of(OpId op) {
  if (op < OpId::eq) return RowPart::Arithmetic;
  if (op < OpId::exp) return RowPart::Powers;  // after comparisons and logic
  if (op < OpId::clamp) return RowPart::Transcendental;
  return RowPart::Activation;  // and the gradients of functions
}

// Reading packs is no gain for functions whose arithmetic takes far longer, and unrolling them over
// a pack makes much code.
template <class F>
constexpr bool reads_packs() {
  if constexpr (requires { F::kCost; }) return F::kCost < 32;
  return true;
}

template <class T>
T number_as(Scalar s) {
  return s.is_float() ? cast<T>(s.to_double()) : cast<T>(s.to_int());
}

template <class T>
T rounded_number(Scalar s, DType dtype) {
  if (dtype == dtype_of<T>) return number_as<T>(s);
  return rounded_to(dtype, cast<T>(s.to_double()));
}

inline bool is_packed(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

// Whether every operand is a number or a dense, aligned run of dtype `storage`.
inline bool all_dense(const ElementwiseParams& p, const AnyGeometry& g, DType storage) {
  if (p.out.dtype != storage || !g.dense[0] || !is_packed(p.out.data)) return false;
  for (int j = 0; j < p.num_inputs; ++j) {
    if (p.in[j].data == nullptr) continue;
    if (p.in[j].dtype != storage || !g.dense[j + 1] || !is_packed(p.in[j].data)) return false;
  }
  return true;
}

template <class F, class T, class S, int N>
void launch_dense(const ElementwiseParams& p, const char* name) {
  DenseArgs<T, N> a;
  a.numel = p.numel;
  a.attrs = p.attrs;
  a.data[0] = p.out.data;
  for (int j = 0; j < N; ++j) {
    a.data[j + 1] = p.in[j].data;
    if (p.in[j].data != nullptr) continue;
    a.numbers |= 1u << j;
    a.value[j] = number_as<T>(p.scalars[j]);
  }
  const int64_t packs = p.numel / PackOf<S>::kSize + 1;
  launch(name, {grid_for(packs, kElementwiseThreads), kElementwiseThreads},
         dense_kernel<F, T, S, N>, a);
}

template <class F, class T, int N>
void launch_strided(const ElementwiseParams& p, const AnyGeometry& g, const char* name) {
  constexpr bool kCompares = std::is_same_v<ResultOf<F, T, N>, bool>;
  ElementwiseArgs<T, N> a;
  a.geometry = narrow<N + 1>(g);
  a.numel = p.numel;
  a.attrs = p.attrs;
  a.compute = p.compute;
  a.data[0] = p.out.data;
  a.dtype[0] = p.out.dtype;
  for (int j = 0; j < N; ++j) {
    a.data[j + 1] = p.in[j].data;
    a.dtype[j + 1] = p.in[j].dtype;
    if (p.in[j].data == nullptr) {
      a.numbers |= 1u << j;
      a.value[j] =
          kCompares ? rounded_number<T>(p.scalars[j], p.compute) : number_as<T>(p.scalars[j]);
    } else {
      a.rounds[j] = kCompares && g.single[j + 1] && p.in[j].dtype != p.compute;
    }
  }
  launch(name, {grid_for(p.numel, kElementwiseThreads), kElementwiseThreads},
         strided_kernel<F, T, N>, a);
}

template <class F, class T, int N>
void run_row(const ElementwiseParams& p, const void* name_of_row) {
  if (p.numel == 0) return;
  const auto* name = static_cast<const char*>(name_of_row);
  AnyGeometry g;
  simplify(p, &g);
  if constexpr (std::is_floating_point_v<T> && std::is_same_v<ResultOf<F, T, N>, T> &&
                reads_packs<F>()) {
    if (all_dense(p, g, dtype_of<T>)) return launch_dense<F, T, T, N>(p, name);
    if constexpr (std::is_same_v<T, float>) {
      if (all_dense(p, g, DType::Float16)) return launch_dense<F, T, Half, N>(p, name);
      if (all_dense(p, g, DType::BFloat16)) return launch_dense<F, T, BFloat16, N>(p, name);
    }
  }
  launch_strided<F, T, N>(p, g, name);
}

template <class F, class T, int N, RowRule R, uint16_t Set, bool InPart>
void add_row(const CudaHost& host, OpId op, const char* name) {
  constexpr DTypeSet kSet(Set);
  if constexpr (!InPart) {
    return;
  } else if constexpr (R == RowRule::Logical) {
    if constexpr (std::is_same_v<T, bool>) {
      for (int d = 0; d < kNumDTypes; ++d) {
        if (kSet.has(static_cast<DType>(d))) {
          set_kernel<ElementwiseParams>(host, op, static_cast<DType>(d), run_row<F, T, N>, name);
        }
      }
    }
  } else if constexpr (kSet.has(dtype_of<T>)) {
    set_kernel<ElementwiseParams>(host, op, dtype_of<T>, run_row<F, T, N>, name);
    if constexpr (std::is_same_v<T, float>) {
      for (DType half : {DType::Float16, DType::BFloat16}) {
        if (kSet.has(half)) set_kernel<ElementwiseParams>(host, op, half, run_row<F, T, N>, name);
      }
    }
  }
}

template <class T, RowPart Part>
void add_rows(const CudaHost& host) {
  using namespace dtypes;
#define AG_BLOCK(row, functor, arity, rule, set)                                             \
  add_row<math::functor, T, arity, RowRule::rule, (set).bits(), part_of(OpId::row) == Part>( \
      host, OpId::row, #row);
#define AG_UNARY(name, functor, rule, set, ...) AG_BLOCK(name, functor, 1, rule, set)
#define AG_UNARY_ATTR(name, schema, functor, rule, set, ...) AG_BLOCK(name, functor, 1, rule, set)
#define AG_BINARY(name, functor, rule, set, ...) AG_BLOCK(name, functor, 2, rule, set)
#define AG_BINARY_ATTR(name, schema, functor, rule, set, ...) AG_BLOCK(name, functor, 2, rule, set)
#define AG_TERNARY(name, schema, functor, rule, set, ...) AG_BLOCK(name, functor, 3, rule, set)
#define AG_ROW(name, ...)
#include "ops/table/elementwise.def"
#undef AG_UNARY
#undef AG_UNARY_ATTR
#undef AG_BINARY
#undef AG_BINARY_ATTR
#undef AG_TERNARY
#undef AG_ROW
#undef AG_BLOCK
}

// All parts in one unit: for types whose kernels compile quickly.
template <class T>
void add_all_rows(const CudaHost& host) {
#define AG_ADD(part) add_rows<T, RowPart::part>(host);
  AG_FOR_EACH_ROW_PART(AG_ADD)
#undef AG_ADD
}

}  // namespace ampgrad::cuda
