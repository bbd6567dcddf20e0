// Row normalisations (layer, RMS, group, instance): two passes for the statistics, one for the
// result, a row at a time while it is in a cache. The gradients of the parameters are summed over
// fixed chunks of rows, which are then added up in order, so that they do not depend on threads.
#include <algorithm>
#include <cmath>
#include <vector>

#include "backend/cpu/norm_loops.h"
#include "backend/cpu/opmath.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/reduce_loops.h"
#include "backend/cpu/register.h"
#include "backend/cpu/stream.h"
#include "ops/kernels.h"
#include "ops/norm_params.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kGrain = 1 << 13;  // elements a thread should get at least
constexpr int64_t kMaxChunks = 64;   // partial sums of the parameters' gradients
constexpr int64_t kFlushRows = 64;   // rows summed in float before they join a double

template <class S>
class RowNorm {
 public:
  using T = OpMath<S>;

  explicit RowNorm(const RowNormParams& p)
      : p_(p),
        size_(p.channels * p.spatial),
        streamed_(std::is_same_v<S, T> && p.spatial == 1 &&
                  streams_rows(p.out, p.rows, size_ * static_cast<int64_t>(sizeof(S)))),
        weight_(p.weight, p.param_dtype, p.groups * p.channels),
        bias_(p.bias, p.param_dtype, p.groups * p.channels) {}

  void forward() const {
    parallel_for(p_.rows, grain(), [&](int64_t begin, int64_t end) {
      const auto in = OpMathIo<S>::buffer(size_);
      const auto out = OpMathIo<S>::buffer(size_);
      for (int64_t r = begin; r < end; ++r) forward_row(r, in.get(), out.get());
      if (streamed_) end_stream();
    });
  }

  void backward() const {
    const bool params = p_.grad_weight != nullptr || p_.grad_bias != nullptr;
    const int64_t chunk_rows =
        params ? std::max<int64_t>((p_.rows + kMaxChunks - 1) / kMaxChunks, 8) : 1;
    const int64_t chunks = (p_.rows + chunk_rows - 1) / chunk_rows;
    const int64_t width = p_.groups * p_.channels;
    std::vector<double> sums(params ? static_cast<size_t>(2 * chunks * width) : 0);
    const int64_t chunk_grain = std::max<int64_t>(1, grain() / chunk_rows);
    parallel_for(chunks, chunk_grain, [&](int64_t begin, int64_t end) {
      Scratch scratch(size_, params ? width : 0);
      for (int64_t c = begin; c < end; ++c) {
        double* dw = params ? sums.data() + 2 * c * width : nullptr;
        backward_chunk(c * chunk_rows, std::min(p_.rows, (c + 1) * chunk_rows), &scratch, dw);
      }
      if (streamed_) end_stream();
    });
    if (params) write_param_grads(sums, chunks, width);
  }

 private:
  struct Scratch {
    Scratch(int64_t size, int64_t width)
        : in(OpMathIo<S>::buffer(size)),
          grad(OpMathIo<S>::buffer(size)),
          out(OpMathIo<S>::buffer(size)),
          dw(static_cast<size_t>(width)),
          db(static_cast<size_t>(width)) {}
    std::unique_ptr<T[]> in, grad, out;
    std::vector<T> dw, db;
  };

  int64_t grain() const { return std::max<int64_t>(1, kGrain / std::max<int64_t>(size_, 1)); }

  const S* row(const void* base, int64_t r) const {
    return static_cast<const S*>(base) + r * size_;
  }

  // Mean and reciprocal deviation (or root mean square) of a row.
  void statistics(const T* x, T* mean, T* rstd) const {
    double center = 0;
    if (p_.mean != nullptr) {
      for (int64_t i = 0; i < size_; i += kReduceBlock) {
        center += sum_run(x + i, std::min(kReduceBlock, size_ - i));
      }
      center /= static_cast<double>(size_);
    }
    double squares = 0;
    for (int64_t i = 0; i < size_; i += kReduceBlock) {
      squares += sum_squares_run(x + i, std::min(kReduceBlock, size_ - i), center);
    }
    *mean = static_cast<T>(center);
    *rstd = static_cast<T>(1 / std::sqrt(squares / static_cast<double>(size_) + p_.eps));
  }

  void forward_row(int64_t r, T* in_buffer, T* out_buffer) const {
    const T* x = io_.load(row(p_.in, r), size_, in_buffer);
    S* to = const_cast<S*>(row(p_.out, r));
    T* y = OpMathIo<S>::target(to, out_buffer);
    T mean;
    T rstd;
    statistics(x, &mean, &rstd);
    if (p_.mean != nullptr) static_cast<T*>(p_.mean)[r] = mean;
    static_cast<T*>(p_.rstd)[r] = rstd;
    const int64_t first = r % p_.groups * p_.channels;
    const T* w = weight_.data() == nullptr ? nullptr : weight_.data() + first;
    const T* b = bias_.data() == nullptr ? nullptr : bias_.data() + first;
    if (p_.spatial == 1) {
      normalize_run(x, w, b, y, size_, mean, rstd, streamed_);
    } else {
      for (int64_t c = 0; c < p_.channels; ++c) {
        const T scale = w == nullptr ? rstd : rstd * w[c];
        affine_run(x + c * p_.spatial, y + c * p_.spatial, p_.spatial, mean, scale,
                   b == nullptr ? T{0} : b[c]);
      }
    }
    io_.store(y, to, size_);
  }

  // Rows [begin, end): their gradients, and their share of the parameters' gradients in dw[width]
  // and, after it, db[width].
  void backward_chunk(int64_t begin, int64_t end, Scratch* s, double* dw) const {
    const int64_t width = p_.groups * p_.channels;
    for (int64_t r = begin; r < end; ++r) {
      backward_row(r, s, dw);
      const bool flush = (r - begin) % kFlushRows == kFlushRows - 1 || r == end - 1;
      if (dw == nullptr || p_.spatial != 1 || !flush) continue;
      for (int64_t i = 0; i < width; ++i) {
        dw[i] += s->dw[static_cast<size_t>(i)];
        dw[width + i] += s->db[static_cast<size_t>(i)];
      }
      std::fill(s->dw.begin(), s->dw.end(), T{0});
      std::fill(s->db.begin(), s->db.end(), T{0});
    }
  }

  void backward_row(int64_t r, Scratch* s, double* dw) const {
    const T* x = io_.load(row(p_.in, r), size_, s->in.get());
    const T* g = io_.load(row(p_.grad, r), size_, s->grad.get());
    const T mean = p_.mean == nullptr ? T{0} : static_cast<const T*>(p_.mean)[r];
    const T rstd = static_cast<const T*>(p_.rstd)[r];
    const int64_t first = r % p_.groups * p_.channels;
    const T* w = weight_.data() == nullptr ? nullptr : weight_.data() + first;
    const PairSum sums = row_moments(g, x, w, mean, rstd, first, dw);
    const double n = static_cast<double>(size_);
    const double scale = static_cast<double>(rstd);
    S* to = p_.out == nullptr ? nullptr : const_cast<S*>(row(p_.out, r));
    NormGradRun<T> run{g, x, w, to == nullptr ? nullptr : OpMathIo<S>::target(to, s->out.get())};
    run.n = size_;
    run.center = mean;
    run.rstd = run.a = rstd;
    run.b = static_cast<T>(-scale * scale * scale * sums.second / n);
    run.c = p_.mean == nullptr ? T{0} : static_cast<T>(-scale * sums.first / n);
    if (p_.spatial == 1) {
      if (dw != nullptr) {
        run.dw = s->dw.data() + first;
        run.db = s->db.data() + first;
      }
      norm_grad_run(run, streamed_);
    } else if (to != nullptr) {
      channel_grads(run);
    }
    if (to != nullptr) io_.store(run.out, to, size_);
  }

  // The gradient of a row of channels, each with one weight.
  void channel_grads(const NormGradRun<T>& row) const {
    for (int64_t c = 0; c < p_.channels; ++c) {
      NormGradRun<T> run = row;
      run.g += c * p_.spatial;
      run.x += c * p_.spatial;
      run.out += c * p_.spatial;
      run.n = p_.spatial;
      run.w = nullptr;
      if (row.w != nullptr) run.a *= row.w[c];
      norm_grad_run(run, false);
    }
  }

  // Sums of g w and g w (x - mean) over a row. Those of its channels are, with spatial dimensions,
  // also its share of the parameters' gradients: into dw and, after it, db.
  PairSum row_moments(const T* g, const T* x, const T* w, T mean, T rstd, int64_t first,
                      double* dw) const {
    PairSum total;
    if (p_.spatial == 1) {
      if (p_.out == nullptr) return total;
      for (int64_t i = 0; i < size_; i += kReduceBlock) {
        const int64_t m = std::min(kReduceBlock, size_ - i);
        const T* weights = w == nullptr ? nullptr : w + i;
        const PairSum part = grad_moments_run(g + i, x + i, weights, m, mean);
        total.first += part.first;
        total.second += part.second;
      }
      return total;
    }
    const int64_t width = p_.groups * p_.channels;
    for (int64_t c = 0; c < p_.channels; ++c) {
      PairSum channel;
      for (int64_t i = 0; i < p_.spatial; i += kReduceBlock) {
        const int64_t at = c * p_.spatial + i;
        const PairSum part = grad_moments_run(g + at, x + at, static_cast<const T*>(nullptr),
                                              std::min(kReduceBlock, p_.spatial - i), mean);
        channel.first += part.first;
        channel.second += part.second;
      }
      if (dw != nullptr) {
        dw[first + c] += channel.second * static_cast<double>(rstd);
        dw[width + first + c] += channel.first;
      }
      const double scale = w == nullptr ? 1 : static_cast<double>(w[c]);
      total.first += channel.first * scale;
      total.second += channel.second * scale;
    }
    return total;
  }

  void write_param_grads(const std::vector<double>& sums, int64_t chunks, int64_t width) const {
    const ConvertFn convert = convert_fn(DType::Float64, p_.param_dtype);
    std::vector<double> total(static_cast<size_t>(2 * width));
    for (int64_t c = 0; c < chunks; ++c) {
      for (int64_t i = 0; i < 2 * width; ++i) {
        total[static_cast<size_t>(i)] += sums[static_cast<size_t>(2 * c * width + i)];
      }
    }
    const auto n = static_cast<size_t>(width);
    if (p_.grad_weight != nullptr) convert(total.data(), p_.grad_weight, n);
    if (p_.grad_bias != nullptr) convert(total.data() + width, p_.grad_bias, n);
  }

  const RowNormParams& p_;
  const int64_t size_;
  const bool streamed_;
  OpMathIo<S> io_;
  OpMathVector<T> weight_;
  OpMathVector<T> bias_;
};

template <class S>
void forward_cell(const RowNormParams& p, const void*) {
  RowNorm<S>(p).forward();
}
template <class S>
void backward_cell(const RowNormParams& p, const void*) {
  RowNorm<S>(p).backward();
}

}  // namespace

void register_norm() {
  const auto set = [](OpId op, DType dtype, KernelFn<RowNormParams> fn) {
    KernelTable::set<RowNormParams>(op, DeviceType::Cpu, dtype, fn);
  };
  for (OpId op : {OpId::nativeLayerNorm, OpId::nativeRmsNorm, OpId::nativeGroupNorm}) {
    set(op, DType::Float16, forward_cell<Half>);
    set(op, DType::BFloat16, forward_cell<BFloat16>);
    set(op, DType::Float32, forward_cell<float>);
    set(op, DType::Float64, forward_cell<double>);
  }
  for (OpId op : {OpId::layerNormBackward, OpId::rmsNormBackward, OpId::groupNormBackward}) {
    set(op, DType::Float16, backward_cell<Half>);
    set(op, DType::BFloat16, backward_cell<BFloat16>);
    set(op, DType::Float32, backward_cell<float>);
    set(op, DType::Float64, backward_cell<double>);
  }
}

}  // namespace ampgrad::cpu
