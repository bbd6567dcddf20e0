// Stands in for the toolkit's header: warp matrix fragments of 16x16x16 products with float
// accumulators. Which element a lane holds where is drawn from the launch's seed, as CUDA leaves it
// open: only code that treats all elements of a fragment alike works. All lanes of the warp must
// meet in every call, at one place of the source and with the same arguments.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "simt/fragments.h"

namespace nvcuda::wmma {

struct row_major {};
struct col_major {};
struct matrix_a {};
struct matrix_b {};
struct accumulator {};

enum layout_t { mem_row_major, mem_col_major };

template <class Use, int kM, int kN, int kK, class T, class Layout = void>
class fragment;

// Factors are held twice, as on hardware of today.
template <class Use, class T, class Layout>
class fragment<Use, 16, 16, 16, T, Layout> {
 public:
  static constexpr int num_elements = std::is_same_v<Use, accumulator> ? 8 : 16;
  using element_type = T;
  T x[num_elements];
  fragment() { memset(static_cast<void*>(x), 0xff, sizeof(x)); }
};

template <class T>
float simt_value(T v) {
  if constexpr (std::is_same_v<T, __half>) {
    return __half2float(v);
  } else if constexpr (std::is_same_v<T, __nv_bfloat16>) {
    return __bfloat162float(v);
  } else {
    return v;
  }
}

// Lanes leave pointers to what they bring; the last one does the work for all.
template <class Fragment, class P>
struct SimtTransfer {
  Fragment* fragment;
  P* memory;
  unsigned ldm;
  bool rows;

  static void check(const SimtTransfer& first, const SimtTransfer& other) {
    using T = std::remove_const_t<P>;
    if (other.memory != first.memory || other.ldm != first.ldm || other.rows != first.rows) {
      simt::executor().fail("lanes of a warp give different matrices");
    }
    if (reinterpret_cast<uintptr_t>(first.memory) % 32 != 0) {
      simt::executor().fail("misaligned address of a matrix: not a multiple of 32 bytes");
    }
    if (first.ldm * sizeof(T) % 16 != 0 || first.ldm < 16) {
      simt::executor().fail("bad leading dimension of a matrix: " + std::to_string(first.ldm));
    }
  }

  template <class F>
  static void for_elements(const uint64_t* values, const F& f) {
    const auto& first = *reinterpret_cast<const SimtTransfer*>(values[0]);
    for (int lane = 0; lane < 32; ++lane) {
      const auto& t = *reinterpret_cast<const SimtTransfer*>(values[lane]);
      check(first, t);
      for (int i = 0; i < Fragment::num_elements; ++i) {
        const int e = simt::fragment_element(lane, i, Fragment::num_elements);
        const unsigned at = t.rows ? unsigned(e / 16) * t.ldm + unsigned(e % 16)
                                   : unsigned(e % 16) * t.ldm + unsigned(e / 16);
        f(t.fragment->x[i], t.memory[at]);
      }
    }
  }
  static void load(const uint64_t* values) {
    for_elements(values, [](auto& x, const auto& m) { x = m; });
  }
  static void store(const uint64_t* values) {
    for_elements(values, [](const auto& x, auto& m) { m = x; });
  }
};

template <class Transfer>
void simt_meet(Transfer* t, void (*work)(const uint64_t*), simt::Site site) {
  simt::executor().warp(
      {simt::WarpOp::Custom, 0xffffffffu, reinterpret_cast<uint64_t>(t), 0, 32, site, work},
      nullptr);
}

template <class Use, class T, class Layout>
void load_matrix_sync(fragment<Use, 16, 16, 16, T, Layout>& to, const T* from, unsigned ldm,
                      SIMT_SITE) {
  using Fragment = fragment<Use, 16, 16, 16, T, Layout>;
  SimtTransfer<Fragment, const T> t{&to, from, ldm, std::is_same_v<Layout, row_major>};
  simt_meet(&t, &SimtTransfer<Fragment, const T>::load, SIMT_HERE);
}

inline void load_matrix_sync(fragment<accumulator, 16, 16, 16, float>& to, const float* from,
                             unsigned ldm, layout_t layout, SIMT_SITE) {
  using Fragment = fragment<accumulator, 16, 16, 16, float>;
  SimtTransfer<Fragment, const float> t{&to, from, ldm, layout == mem_row_major};
  simt_meet(&t, &SimtTransfer<Fragment, const float>::load, SIMT_HERE);
}

inline void store_matrix_sync(float* to, const fragment<accumulator, 16, 16, 16, float>& from,
                              unsigned ldm, layout_t layout, SIMT_SITE) {
  using Fragment = const fragment<accumulator, 16, 16, 16, float>;
  SimtTransfer<Fragment, float> t{&from, to, ldm, layout == mem_row_major};
  simt_meet(&t, &SimtTransfer<Fragment, float>::store, SIMT_HERE);
}

template <class Use, class T, class Layout, class V>
void fill_fragment(fragment<Use, 16, 16, 16, T, Layout>& to, const V& value, SIMT_SITE) {
  simt::warp_call(simt::WarpOp::Sync, 0xffffffffu, 0, SIMT_HERE);
  for (T& x : to.x) x = T(value);
}

template <class A, class B>
struct SimtProduct {
  const A* a;
  const B* b;
  const fragment<accumulator, 16, 16, 16, float>* c;
  fragment<accumulator, 16, 16, 16, float>* d;

  template <class Fragment, class Get>
  static void collect(const uint64_t* values, const Get& get, float (&to)[256]) {
    bool seen[256] = {};
    for (int lane = 0; lane < 32; ++lane) {
      const Fragment& f = get(*reinterpret_cast<const SimtProduct*>(values[lane]));
      for (int i = 0; i < Fragment::num_elements; ++i) {
        const int e = simt::fragment_element(lane, i, Fragment::num_elements);
        const float v = simt_value(f.x[i]);
        if (seen[e] && memcmp(&v, &to[e], sizeof(v)) != 0) {
          simt::executor().fail("the copies of an element of a fragment differ");
        }
        seen[e] = true;
        to[e] = v;
      }
    }
  }

  static void multiply(const uint64_t* values) {
    float a[256], b[256], sum[256];
    collect<A>(
        values, [](const SimtProduct& p) -> const A& { return *p.a; }, a);
    collect<B>(
        values, [](const SimtProduct& p) -> const B& { return *p.b; }, b);
    using C = fragment<accumulator, 16, 16, 16, float>;
    collect<C>(
        values, [](const SimtProduct& p) -> const C& { return *p.c; }, sum);
    for (int i = 0; i < 16; ++i) {
      for (int k = 0; k < 16; ++k) {
        for (int j = 0; j < 16; ++j) sum[i * 16 + j] += a[i * 16 + k] * b[k * 16 + j];
      }
    }
    for (int lane = 0; lane < 32; ++lane) {
      const auto& p = *reinterpret_cast<const SimtProduct*>(values[lane]);
      for (int i = 0; i < 8; ++i) p.d->x[i] = sum[simt::fragment_element(lane, i, 8)];
    }
  }
};

template <class T, class LayoutA, class LayoutB>
void mma_sync(fragment<accumulator, 16, 16, 16, float>& d,
              const fragment<matrix_a, 16, 16, 16, T, LayoutA>& a,
              const fragment<matrix_b, 16, 16, 16, T, LayoutB>& b,
              const fragment<accumulator, 16, 16, 16, float>& c, SIMT_SITE) {
  using Product = SimtProduct<fragment<matrix_a, 16, 16, 16, T, LayoutA>,
                              fragment<matrix_b, 16, 16, 16, T, LayoutB>>;
  if constexpr (std::is_same_v<T, __nv_bfloat16>) simt::require_arch(80, "bfloat16 fragments");
  Product p{&a, &b, &c, &d};
  simt_meet(&p, &Product::multiply, SIMT_HERE);
}

}  // namespace nvcuda::wmma
