// Attention without the rows x keys matrix: blocks of scores are made by the matrix product, turned
// into probabilities with a running maximum and sum (Milakov and Gimelshein, "Online normalizer
// calculation for softmax", 2018; Dao et al., "FlashAttention", 2022) and used at once. The
// backward makes them again from the saved sums.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "backend/cpu/gemm_kernels.h"
#include "backend/cpu/opmath.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/reduce_loops.h"
#include "backend/cpu/register.h"
#include "backend/cpu/softmax_loops.h"
#include "ops/attention_params.h"
#include "ops/kernels.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kRows = 64;
constexpr int64_t kKeys = 256;
constexpr int64_t kBackwardRows = 128;
constexpr int64_t kBackwardKeys = 128;

template <class T>
constexpr T kNothing = -std::numeric_limits<T>::infinity();

// C (+)= alpha A B on the calling thread; strides of A and B as in GemmParams.
template <class T>
void multiply(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_row, int64_t a_col, const T* b,
              int64_t b_row, int64_t b_col, T* c, int64_t c_row, double alpha, double beta) {
  if (m == 0 || n == 0) return;
  if (k == 0) {
    for (int64_t i = 0; beta == 0 && i < m; ++i) std::fill_n(c + i * c_row, n, T{0});
    return;
  }
  static const GemmKernels kernels =
      std::is_same_v<T, double> ? gemm_kernels_f64() : gemm_kernels_f32();
  GemmParams p;
  p.dtype = dtype_of<T>;
  p.m = m;
  p.n = n;
  p.k = k;
  p.a = a;
  p.a_row = a_row;
  p.a_col = a_col;
  p.b = b;
  p.b_row = b_row;
  p.b_col = b_col;
  p.c = c;
  p.c_row = c_row;
  p.alpha = alpha;
  p.beta = beta;
  kernels.tile(p);
}

template <class S>
class Attention {
 public:
  using T = OpMath<S>;

  explicit Attention(const AttentionParams& p) : p_(p) {}

  void forward() const {
    const int64_t blocks = (p_.rows + kRows - 1) / kRows;
    // A pair's keys and values are converted once where there are pairs enough for all threads.
    const int64_t parts =
        p_.batch >= 2 * num_threads() ? 1 : std::min<int64_t>(blocks, 2 * num_threads());
    parallel_for(p_.batch * parts, grain(), [&](int64_t begin, int64_t end) {
      ForwardBuffers buffers(p_);
      for (int64_t i = begin; i < end; ++i) {
        const int64_t b = i / parts;
        const T* k = io_.load(at(p_.k, b, p_.keys * p_.width), p_.keys * p_.width, buffers.k.get());
        const T* v = io_.load(at(p_.v, b, p_.keys * p_.value_width), p_.keys * p_.value_width,
                              buffers.v.get());
        const int64_t first = i % parts * blocks / parts;
        const int64_t last = (i % parts + 1) * blocks / parts;
        for (int64_t block = first; block < last; ++block) {
          forward_block(b, block * kRows, std::min(kRows, p_.rows - block * kRows), k, v, &buffers);
        }
      }
    });
  }

  void backward() const {
    parallel_for(p_.batch, 1, [&](int64_t begin, int64_t end) {
      BackwardBuffers buffers(p_);
      for (int64_t b = begin; b < end; ++b) backward_pair(b, &buffers);
    });
  }

 private:
  struct ForwardBuffers {
    explicit ForwardBuffers(const AttentionParams& p)
        : q(OpMathIo<S>::buffer(kRows * p.width)),
          k(OpMathIo<S>::buffer(p.keys * p.width)),
          v(OpMathIo<S>::buffer(p.keys * p.value_width)),
          scores(static_cast<size_t>(kRows * kKeys)),
          sums(static_cast<size_t>(kRows * p.value_width)),
          top(static_cast<size_t>(kRows)),
          total(static_cast<size_t>(kRows)) {}
    std::unique_ptr<T[]> q, k, v;
    std::vector<T> scores, sums, top;
    std::vector<double> total;
  };

  struct BackwardBuffers {
    explicit BackwardBuffers(const AttentionParams& p)
        : q(OpMathIo<S>::buffer(p.rows * p.width)),
          k(OpMathIo<S>::buffer(p.keys * p.width)),
          v(OpMathIo<S>::buffer(p.keys * p.value_width)),
          out(OpMathIo<S>::buffer(p.rows * p.value_width)),
          grad(OpMathIo<S>::buffer(p.rows * p.value_width)),
          dq(OpMathIo<S>::buffer(p.rows * p.width)),
          dk(OpMathIo<S>::buffer(p.keys * p.width)),
          dv(OpMathIo<S>::buffer(p.keys * p.value_width)),
          probabilities(static_cast<size_t>(kBackwardRows * kBackwardKeys)),
          slopes(static_cast<size_t>(kBackwardRows * kBackwardKeys)),
          dots(static_cast<size_t>(p.rows)) {}
    std::unique_ptr<T[]> q, k, v, out, grad, dq, dk, dv;
    std::vector<T> probabilities, slopes, dots;
  };

  static const S* at(const void* base, int64_t pair, int64_t size) {
    return static_cast<const S*>(base) + pair * size;
  }

  int64_t grain() const {
    const int64_t work = p_.rows * p_.keys * (p_.width + p_.value_width);
    return std::max<int64_t>(1, 200'000 / std::max<int64_t>(work, 1));
  }

  // Keys that row i may look at.
  int64_t visible(int64_t i) const { return p_.causal ? std::min(p_.keys, i + 1) : p_.keys; }

  // Scores of rows [i, i + m) and keys [j, j + n), masked.
  void make_scores(int64_t b, const T* q, const T* k, int64_t i, int64_t m, int64_t j, int64_t n,
                   T* scores, int64_t ld) const {
    multiply<T>(m, n, p_.width, q, p_.width, 1, k + j * p_.width, 1, p_.width, scores, ld, p_.scale,
                0);
    if (p_.mask != nullptr) {
      const T* mask = static_cast<const T*>(p_.mask) + p_.mask_offsets[b];
      for (int64_t r = 0; r < m; ++r) {
        const T* from = mask + (i + r) * p_.mask_row + j * p_.mask_col;
        T* to = scores + r * ld;
        if (p_.mask_col == 1) {
          for (int64_t c = 0; c < n; ++c) to[c] += from[c];
        } else {
          for (int64_t c = 0; c < n; ++c) to[c] += from[c * p_.mask_col];
        }
      }
    }
    for (int64_t r = 0; p_.causal && r < m; ++r) {
      const int64_t end = std::clamp<int64_t>(visible(i + r) - j, 0, n);
      std::fill(scores + r * ld + end, scores + r * ld + n, kNothing<T>);
    }
  }

  void forward_block(int64_t b, int64_t i, int64_t m, const T* k, const T* v,
                     ForwardBuffers* s) const {
    const int64_t w = p_.value_width;
    const T* q = io_.load(at(p_.q, b, p_.rows * p_.width) + i * p_.width, m * p_.width, s->q.get());
    std::fill(s->sums.begin(), s->sums.end(), T{0});
    std::fill(s->top.begin(), s->top.end(), kNothing<T>);
    std::fill(s->total.begin(), s->total.end(), 0.0);
    const int64_t reach = visible(i + m - 1);
    for (int64_t j = 0; j < reach; j += kKeys) {
      const int64_t n = std::min(kKeys, reach - j);
      T* scores = s->scores.data();
      make_scores(b, q, k, i, m, j, n, scores, n);
      for (int64_t r = 0; r < m; ++r) add_row(scores + r * n, n, r, s);
      multiply<T>(m, w, n, scores, n, 1, v + j * w, w, 1, s->sums.data(), w, 1, 1);
    }
    for (int64_t r = 0; r < m; ++r) {
      const auto row = static_cast<size_t>(r);
      const double total = s->total[row];
      // A row that sees nothing gives zeros.
      const T scale = total == 0 ? T{0} : static_cast<T>(1 / total);
      T* sums = s->sums.data() + r * w;
      for (int64_t c = 0; c < w; ++c) sums[c] *= scale;
      static_cast<T*>(p_.lse)[b * p_.rows + i + r] =
          total == 0 ? kNothing<T>
                     : static_cast<T>(static_cast<double>(s->top[row]) + std::log(total));
    }
    S* to = static_cast<S*>(p_.out) + (b * p_.rows + i) * w;
    if constexpr (OpMathIo<S>::kDirect) {
      std::copy_n(s->sums.data(), m * w, to);
    } else {
      io_.store(s->sums.data(), to, m * w);
    }
  }

  // Turns a row of scores into exponentials relative to the new maximum and rescales what the row
  // has summed so far.
  void add_row(T* scores, int64_t n, int64_t r, ForwardBuffers* s) const {
    const auto row = static_cast<size_t>(r);
    const T before = s->top[row];
    const T here = max_run(scores, n);
    const T top = here > before || here != here ? here : before;
    if (top == kNothing<T>) {
      std::fill_n(scores, n, T{0});
      return;
    }
    scaled_softmax_row(scores, scores, n, static_cast<double>(top), 1);
    const double factor = std::exp(static_cast<double>(before) - static_cast<double>(top));
    if (factor != 1) {
      T* sums = s->sums.data() + r * p_.value_width;
      for (int64_t c = 0; c < p_.value_width; ++c) sums[c] *= static_cast<T>(factor);
    }
    s->total[row] = s->total[row] * factor + sum_run(scores, n);
    s->top[row] = top;
  }

  void backward_pair(int64_t b, BackwardBuffers* s) const {
    const int64_t rows = p_.rows;
    const int64_t e = p_.width;
    const int64_t w = p_.value_width;
    const T* q = io_.load(at(p_.q, b, rows * e), rows * e, s->q.get());
    const T* k = io_.load(at(p_.k, b, p_.keys * e), p_.keys * e, s->k.get());
    const T* v = io_.load(at(p_.v, b, p_.keys * w), p_.keys * w, s->v.get());
    const T* out = io_.load(at(p_.out, b, rows * w), rows * w, s->out.get());
    const T* g = io_.load(at(p_.grad, b, rows * w), rows * w, s->grad.get());
    S* dq_to = static_cast<S*>(p_.grad_q) + b * rows * e;
    S* dk_to = static_cast<S*>(p_.grad_k) + b * p_.keys * e;
    S* dv_to = static_cast<S*>(p_.grad_v) + b * p_.keys * w;
    T* dq = OpMathIo<S>::target(dq_to, s->dq.get());
    T* dk = OpMathIo<S>::target(dk_to, s->dk.get());
    T* dv = OpMathIo<S>::target(dv_to, s->dv.get());
    std::fill_n(dq, rows * e, T{0});
    std::fill_n(dk, p_.keys * e, T{0});
    std::fill_n(dv, p_.keys * w, T{0});
    for (int64_t i = 0; i < rows; ++i) {
      double dot = 0;
      for (int64_t c = 0; c < w; ++c) dot += static_cast<double>(out[i * w + c]) * g[i * w + c];
      s->dots[static_cast<size_t>(i)] = static_cast<T>(dot);
    }
    for (int64_t i = 0; i < rows; i += kBackwardRows) {
      const int64_t m = std::min(kBackwardRows, rows - i);
      const int64_t reach = visible(i + m - 1);
      for (int64_t j = 0; j < reach; j += kBackwardKeys) {
        const int64_t n = std::min(kBackwardKeys, reach - j);
        backward_block(b, i, m, j, n, q, k, v, g, s, dq, dk, dv);
      }
    }
    io_.store(dq, dq_to, rows * e);
    io_.store(dk, dk_to, p_.keys * e);
    io_.store(dv, dv_to, p_.keys * w);
  }

  void backward_block(int64_t b, int64_t i, int64_t m, int64_t j, int64_t n, const T* q, const T* k,
                      const T* v, const T* g, BackwardBuffers* s, T* dq, T* dk, T* dv) const {
    const int64_t e = p_.width;
    const int64_t w = p_.value_width;
    T* probabilities = s->probabilities.data();
    T* slopes = s->slopes.data();
    make_scores(b, q + i * e, k, i, m, j, n, probabilities, n);
    for (int64_t r = 0; r < m; ++r) {
      T* row = probabilities + r * n;
      const T lse = static_cast<const T*>(p_.lse)[b * p_.rows + i + r];
      if (lse == kNothing<T>) {
        std::fill_n(row, n, T{0});
      } else {
        scaled_softmax_row(row, row, n, static_cast<double>(lse), 1);
      }
    }
    multiply<T>(n, w, m, probabilities, 1, n, g + i * w, w, 1, dv + j * w, w, 1, 1);
    multiply<T>(m, n, w, g + i * w, w, 1, v + j * w, 1, w, slopes, n, 1, 0);
    // A block that holds a row's every key knows the sum that the output, rounded to S, only
    // approximates.
    const bool whole = j == 0 && n == visible(i + m - 1);
    for (int64_t r = 0; r < m; ++r) {
      T* to = slopes + r * n;
      const T* from = probabilities + r * n;
      T dot = s->dots[static_cast<size_t>(i + r)];
      if (whole) {
        double sum = 0;
        for (int64_t c = 0; c < n; ++c) sum += static_cast<double>(from[c]) * to[c];
        dot = static_cast<T>(sum);
      }
      for (int64_t c = 0; c < n; ++c) to[c] = from[c] * (to[c] - dot);
    }
    multiply<T>(m, e, n, slopes, n, 1, k + j * e, e, 1, dq + i * e, e, p_.scale, 1);
    multiply<T>(n, e, m, slopes, 1, n, q + i * e, e, 1, dk + j * e, e, p_.scale, 1);
  }

  const AttentionParams& p_;
  OpMathIo<S> io_;
};

template <class S>
void forward_cell(const AttentionParams& p, const void*) {
  Attention<S>(p).forward();
}
template <class S>
void backward_cell(const AttentionParams& p, const void*) {
  Attention<S>(p).backward();
}

template <class S>
void set() {
  KernelTable::set<AttentionParams>(OpId::nativeAttention, DeviceType::Cpu, dtype_of<S>,
                                    forward_cell<S>);
  KernelTable::set<AttentionParams>(OpId::attentionBackward, DeviceType::Cpu, dtype_of<S>,
                                    backward_cell<S>);
}

}  // namespace

void register_attention() {
  set<Half>();
  set<BFloat16>();
  set<float>();
  set<double>();
}

}  // namespace ampgrad::cpu
