// The device side of the CUDA language: thread indices, barriers, warp collectives, atomics and
// intrinsics, for kernels compiled by the host compiler. Collectives know the line that calls
// them: a default argument carries it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "simt/executor.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

inline constexpr int warpSize = 32;

#define SIMT_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()
#define SIMT_HERE \
  ::simt::Site { file, line }

inline void __syncthreads(SIMT_SITE) {
  simt::executor().barrier(simt::BarrierKind::Sync, 0, SIMT_HERE);
}
inline int __syncthreads_count(int predicate, SIMT_SITE) {
  return simt::executor().barrier(simt::BarrierKind::Count, predicate, SIMT_HERE);
}
inline int __syncthreads_and(int predicate, SIMT_SITE) {
  return simt::executor().barrier(simt::BarrierKind::And, predicate, SIMT_HERE);
}
inline int __syncthreads_or(int predicate, SIMT_SITE) {
  return simt::executor().barrier(simt::BarrierKind::Or, predicate, SIMT_HERE);
}

namespace simt {

template <class T>
uint64_t to_bits(T value) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof(T));
  return bits;
}

template <class T>
T from_bits(uint64_t bits) {
  T value;
  memcpy(&value, &bits, sizeof(T));
  return value;
}

inline uint64_t warp_call(WarpOp op, unsigned mask, uint64_t value, Site site, int param = 0,
                          int width = 32, int* second = nullptr) {
  return executor().warp({op, mask, value, param, width, site, nullptr}, second);
}

}  // namespace simt

#define SIMT_SHUFFLE(name, op, type)                                                        \
  template <class T>                                                                        \
  T name(unsigned mask, T value, type param, int width = 32, SIMT_SITE) {                   \
    return simt::from_bits<T>(simt::warp_call(simt::WarpOp::op, mask, simt::to_bits(value), \
                                              SIMT_HERE, static_cast<int>(param), width));  \
  }
SIMT_SHUFFLE(__shfl_sync, ShflIdx, int)
SIMT_SHUFFLE(__shfl_up_sync, ShflUp, unsigned)
SIMT_SHUFFLE(__shfl_down_sync, ShflDown, unsigned)
SIMT_SHUFFLE(__shfl_xor_sync, ShflXor, int)
#undef SIMT_SHUFFLE

inline void __syncwarp(unsigned mask = 0xffffffffu, SIMT_SITE) {
  simt::warp_call(simt::WarpOp::Sync, mask, 0, SIMT_HERE);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, SIMT_SITE) {
  return static_cast<unsigned>(
      simt::warp_call(simt::WarpOp::Ballot, mask, predicate != 0 ? 1 : 0, SIMT_HERE));
}
inline int __any_sync(unsigned mask, int predicate, SIMT_SITE) {
  return static_cast<int>(
      simt::warp_call(simt::WarpOp::Any, mask, predicate != 0 ? 1 : 0, SIMT_HERE));
}
inline int __all_sync(unsigned mask, int predicate, SIMT_SITE) {
  return static_cast<int>(
      simt::warp_call(simt::WarpOp::All, mask, predicate != 0 ? 1 : 0, SIMT_HERE));
}
template <class T>
unsigned __match_any_sync(unsigned mask, T value, SIMT_SITE) {
  return static_cast<unsigned>(
      simt::warp_call(simt::WarpOp::MatchAny, mask, simt::to_bits(value), SIMT_HERE));
}
template <class T>
unsigned __match_all_sync(unsigned mask, T value, int* same, SIMT_SITE) {
  return static_cast<unsigned>(
      simt::warp_call(simt::WarpOp::MatchAll, mask, simt::to_bits(value), SIMT_HERE, 0, 32, same));
}
#define SIMT_REDUCE(name, op, type)                                                        \
  inline type name(unsigned mask, type value, SIMT_SITE) {                                 \
    return static_cast<type>(                                                              \
        simt::warp_call(simt::WarpOp::op, mask, static_cast<uint32_t>(value), SIMT_HERE)); \
  }
SIMT_REDUCE(__reduce_add_sync, AddU, unsigned)
SIMT_REDUCE(__reduce_min_sync, MinU, unsigned)
SIMT_REDUCE(__reduce_max_sync, MaxU, unsigned)
SIMT_REDUCE(__reduce_add_sync, AddS, int)
SIMT_REDUCE(__reduce_min_sync, MinS, int)
SIMT_REDUCE(__reduce_max_sync, MaxS, int)
SIMT_REDUCE(__reduce_and_sync, AndB, unsigned)
SIMT_REDUCE(__reduce_or_sync, OrB, unsigned)
SIMT_REDUCE(__reduce_xor_sync, XorB, unsigned)
#undef SIMT_REDUCE
inline unsigned __activemask() { return simt::executor().active_mask(); }

// Memory order needs nothing here: one thread of the host runs all threads of the device.
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}

// Shared arrays. A block-scoped array would be one per thread here, so that declarations go
// through macros (backend/cuda/device/shared.h).
namespace simt {
template <class T>
T* shared_array(const SharedSite& site, size_t count) {
  return static_cast<T*>(site.get(sizeof(T) * count));
}
}  // namespace simt

// Atomics. Blocks and threads take turns, so that a plain read-modify-write is one step.
namespace simt {
template <class T, class F>
T atomic_update(T* address, F update) {
  if (reinterpret_cast<uintptr_t>(address) % sizeof(T) != 0) {
    executor().fail("misaligned address of an atomic operation");
  }
  const T old = *address;
  *address = update(old);
  return old;
}
}  // namespace simt

template <class T, class V>
T atomicAdd(T* address, V value) {
  return simt::atomic_update(address, [&](T old) { return static_cast<T>(old + T(value)); });
}
template <class T, class V>
T atomicSub(T* address, V value) {
  return simt::atomic_update(address, [&](T old) { return static_cast<T>(old - T(value)); });
}
template <class T, class V>
T atomicExch(T* address, V value) {
  return simt::atomic_update(address, [&](T) { return T(value); });
}
template <class T, class V>
T atomicMin(T* address, V value) {
  return simt::atomic_update(address, [&](T old) { return T(value) < old ? T(value) : old; });
}
template <class T, class V>
T atomicMax(T* address, V value) {
  return simt::atomic_update(address, [&](T old) { return old < T(value) ? T(value) : old; });
}
template <class T, class V>
T atomicAnd(T* address, V value) {
  return simt::atomic_update(address, [&](T old) { return static_cast<T>(old & T(value)); });
}
template <class T, class V>
T atomicOr(T* address, V value) {
  return simt::atomic_update(address, [&](T old) { return static_cast<T>(old | T(value)); });
}
template <class T, class V>
T atomicXor(T* address, V value) {
  return simt::atomic_update(address, [&](T old) { return static_cast<T>(old ^ T(value)); });
}
template <class T, class C, class V>
T atomicCAS(T* address, C compare, V value) {
  static_assert(std::is_integral_v<T> && (sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8));
  return simt::atomic_update(address, [&](T old) { return old == T(compare) ? T(value) : old; });
}
inline unsigned atomicInc(unsigned* address, unsigned limit) {
  return simt::atomic_update(address, [&](unsigned old) { return old >= limit ? 0 : old + 1; });
}
inline unsigned atomicDec(unsigned* address, unsigned limit) {
  return simt::atomic_update(
      address, [&](unsigned old) { return old == 0 || old > limit ? limit : old - 1; });
}

// Integer and floating-point intrinsics.
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __clzll(long long x) {
  return x == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(x));
}
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(uint64_t{a} * b >> 32);
}
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>(static_cast<unsigned __int128>(a) * b >> 64);
}
inline unsigned __float_as_uint(float x) { return simt::from_bits<unsigned>(simt::to_bits(x)); }
inline float __uint_as_float(unsigned x) { return simt::from_bits<float>(simt::to_bits(x)); }
inline int __float_as_int(float x) { return simt::from_bits<int>(simt::to_bits(x)); }
inline float __int_as_float(int x) { return simt::from_bits<float>(simt::to_bits(x)); }
inline long long __double_as_longlong(double x) {
  return simt::from_bits<long long>(simt::to_bits(x));
}
inline double __longlong_as_double(long long x) {
  return simt::from_bits<double>(simt::to_bits(x));
}
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f; }

template <class T>
T __ldg(const T* address) {
  return *address;
}
template <class T>
T __ldcs(const T* address) {
  return *address;
}
template <class T>
void __stcs(T* address, T value) {
  *address = value;
}
