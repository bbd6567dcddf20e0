// Adafactor on the CPU. A matrix keeps mean squares of its rows and of its columns only; the step
// is a few passes over it (row and column means, size of the update, update), each split by rows
// (or columns) over the threads. Vectors keep all mean squares and are one row with factor 1.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "backend/cpu/convert.h"
#include "backend/cpu/optim_loops.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/reduce_loops.h"
#include "backend/cpu/register.h"
#include "ops/kernels.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kBlock = kReduceBlock;
constexpr int64_t kGrain = 1 << 15;  // elements a thread should get at least

double epsilon_of(DType dtype) {
  switch (dtype) {
    case DType::Float16:
      return 0x1p-10;
    case DType::BFloat16:
      return 0x1p-7;
    case DType::Float32:
      return 0x1p-23;
    default:
      return 0x1p-52;
  }
}

// Reads runs as T, in place where possible.
template <class T>
class Reader {
 public:
  Reader() : buffer_(new T[kBlock]) {}
  const T* read(const void* base, DType dtype, int64_t at, int64_t n, double factor) {
    const char* from =
        static_cast<const char*>(base) + at * static_cast<int64_t>(dtype_size(dtype));
    if (dtype == dtype_of<T> && factor == 1) return reinterpret_cast<const T*>(from);
    convert_fn(dtype, dtype_of<T>)(from, buffer_.get(), static_cast<size_t>(n));
    if (factor != 1) {
      const T f = static_cast<T>(factor);
      for (int64_t i = 0; i < n; ++i) buffer_[i] *= f;
    }
    return buffer_.get();
  }
  T* writable(const void* base, DType dtype, int64_t at, int64_t n) {
    return const_cast<T*>(read(base, dtype, at, n, 1));
  }

 private:
  std::unique_ptr<T[]> buffer_;
};

template <class T>
class FactoredStep {
 public:
  FactoredStep(const OptimParams& p, const OptimTensor& t) : p_(p), t_(t) {
    factored_ = t.states[0] != nullptr;
    cols_ = factored_ ? t.cols : kBlock;
    rows_ = t.numel == 0 ? 0 : (t.numel + cols_ - 1) / cols_;
    grad_factor_ = p.maximize ? -1.0 : 1.0;
    if (p.grad_scale != nullptr) grad_factor_ /= static_cast<double>(*p.grad_scale);
    eps1_ = p.default_eps ? epsilon_of(p.dtype) : p.eps;
  }

  void run() {
    *t_.scalars[0] += 1.0f;
    if (t_.numel == 0) return;
    const double step = static_cast<double>(*t_.scalars[0]);
    const double take = std::pow(step, p_.beta2_decay);
    const double rho = std::min(p_.lr, 1 / std::sqrt(step));
    const double n = static_cast<double>(t_.numel);
    const double size = std::sqrt(
        sum_over_rows([this](int64_t r, Reader<T>* reader) { return param_squares(r, reader); }) /
        n);
    if (factored_) {
      average_rows(take);
      average_columns(take);
      prepare_row_factors();
    } else {
      average_elements(take);
    }
    const double update = std::sqrt(
        sum_over_rows([this](int64_t r, Reader<T>* reader) { return update_squares(r, reader); }) /
        n);
    const double alpha = std::max(p_.eps2, size) * rho;
    apply(-alpha / std::max(1.0, update / p_.clip));
  }

 private:
  int64_t row_length(int64_t r) const { return std::min(cols_, t_.numel - r * cols_); }

  const T* grad(int64_t r, int64_t at, int64_t n, Reader<T>* reader) const {
    return reader->read(t_.grad, t_.grad_dtype, r * cols_ + at, n, grad_factor_);
  }

  template <class Body>
  void over_rows(Body body) const {
    parallel_for(rows_, std::max<int64_t>(1, kGrain / cols_), [&](int64_t begin, int64_t end) {
      Reader<T> first;
      Reader<T> second;
      for (int64_t r = begin; r < end; ++r) body(r, &first, &second);
    });
  }

  // Partial sums by row, added up in order.
  template <class Body>
  double sum_over_rows(Body body) const {
    std::vector<double> sums(static_cast<size_t>(rows_));
    over_rows([&](int64_t r, Reader<T>* reader, Reader<T>*) {
      sums[static_cast<size_t>(r)] = body(r, reader);
    });
    double total = 0;
    for (double s : sums) total += s;
    return total;
  }

  template <class Body>
  void over_blocks(int64_t r, Body body) const {
    const int64_t n = row_length(r);
    for (int64_t at = 0; at < n; at += kBlock) body(at, std::min(kBlock, n - at));
  }

  double param_squares(int64_t r, Reader<T>* reader) const {
    double total = 0;
    over_blocks(r, [&](int64_t at, int64_t n) {
      total += sum_squares_run(reader->read(t_.param, p_.dtype, r * cols_ + at, n, 1), n, 0.0);
    });
    return total;
  }

  static void blend(T* old, double mean, double take) {
    *old = static_cast<T>(static_cast<double>(*old) + take * (mean - static_cast<double>(*old)));
  }

  void average_rows(double take) const {
    over_rows([&](int64_t r, Reader<T>* reader, Reader<T>*) {
      double total = 0;
      over_blocks(r, [&](int64_t at, int64_t n) {
        total += sum_squares_run(grad(r, at, n, reader), n, 0.0);
      });
      blend(static_cast<T*>(t_.states[0]) + r, total / static_cast<double>(cols_), take);
    });
  }

  void average_columns(double take) const {
    constexpr int64_t kWidth = 256;
    const int64_t strips = (cols_ + kWidth - 1) / kWidth;
    const int64_t batch = rows_ / t_.rows;
    const int64_t grain = std::max<int64_t>(1, kGrain / (t_.rows * kWidth));
    parallel_for(batch * strips, grain, [&](int64_t begin, int64_t end) {
      Reader<T> reader;
      for (int64_t i = begin; i < end; ++i) {
        const int64_t at = i % strips * kWidth;
        const int64_t width = std::min(kWidth, cols_ - at);
        double sums[kWidth] = {};
        for (int64_t r = i / strips * t_.rows; r < (i / strips + 1) * t_.rows; ++r) {
          const T* g = grad(r, at, width, &reader);
          for (int64_t c = 0; c < width; ++c) {
            sums[c] += static_cast<double>(g[c]) * static_cast<double>(g[c]);
          }
        }
        T* col = static_cast<T*>(t_.states[1]) + i / strips * cols_ + at;
        for (int64_t c = 0; c < width; ++c) {
          blend(col + c, sums[c] / static_cast<double>(t_.rows), take);
        }
      }
    });
  }

  // Row means over the mean of the matrix's row means.
  void prepare_row_factors() {
    const T* row = static_cast<const T*>(t_.states[0]);
    row_factors_.resize(static_cast<size_t>(rows_));
    for (int64_t first = 0; first < rows_; first += t_.rows) {
      double mean = 0;
      for (int64_t r = 0; r < t_.rows; ++r) mean += static_cast<double>(row[first + r]);
      mean /= static_cast<double>(t_.rows);
      if (mean < eps1_) mean = eps1_;  // NaN stays
      for (int64_t r = first; r < first + t_.rows; ++r) {
        row_factors_[static_cast<size_t>(r)] = static_cast<T>(static_cast<double>(row[r]) / mean);
      }
    }
  }

  void average_elements(double take) const {
    T* variance = static_cast<T*>(t_.states[2]);
    over_rows([&](int64_t r, Reader<T>* reader, Reader<T>*) {
      over_blocks(r, [&](int64_t at, int64_t n) {
        const T* g = grad(r, at, n, reader);
        T* v = variance + r * cols_ + at;
        const T weight = static_cast<T>(take);
        for (int64_t i = 0; i < n; ++i) v[i] += weight * (g[i] * g[i] - v[i]);
      });
    });
  }

  FactoredRun<T> run_of(int64_t r, int64_t at, int64_t n, Reader<T>* reader) const {
    FactoredRun<T> run;
    run.grad = grad(r, at, n, reader);
    run.n = n;
    run.floor = static_cast<T>(eps1_ * eps1_);
    if (factored_) {
      run.col = static_cast<const T*>(t_.states[1]) + r / t_.rows * cols_ + at;
      run.row = row_factors_[static_cast<size_t>(r)];
    } else {
      run.col = static_cast<const T*>(t_.states[2]) + r * cols_ + at;
    }
    return run;
  }

  double update_squares(int64_t r, Reader<T>* reader) const {
    alignas(64) T update[kBlock];
    double total = 0;
    over_blocks(r, [&](int64_t at, int64_t n) {
      optim_loops_of<T>().factored_update(run_of(r, at, n, reader), update);
      total += sum_squares_run(update, n, 0.0);
    });
    return total;
  }

  void apply(double rate) const {
    const T keep = static_cast<T>(1 - p_.lr * p_.weight_decay);
    over_rows([&](int64_t r, Reader<T>* reader, Reader<T>* params) {
      over_blocks(r, [&](int64_t at, int64_t n) {
        const int64_t begin = r * cols_ + at;
        const size_t count = static_cast<size_t>(n);
        T* p = params->writable(t_.param, p_.dtype, begin, n);
        optim_loops_of<T>().factored_apply(run_of(r, at, n, reader), p, keep, static_cast<T>(rate));
        char* param =
            static_cast<char*>(t_.param) + begin * static_cast<int64_t>(dtype_size(p_.dtype));
        if (p_.dtype != dtype_of<T>) convert_fn(dtype_of<T>, p_.dtype)(p, param, count);
        if (t_.model == nullptr) return;
        char* model =
            static_cast<char*>(t_.model) + begin * static_cast<int64_t>(dtype_size(t_.model_dtype));
        convert_fn(p_.dtype, t_.model_dtype)(param, model, count);
      });
    });
  }

  const OptimParams& p_;
  const OptimTensor& t_;
  bool factored_;
  int64_t cols_;
  int64_t rows_;  // of all matrices
  double grad_factor_;
  double eps1_;
  std::vector<T> row_factors_;
};

void adafactor_kernel(const OptimParams& p, const void*) {
  if (p.found_inf != nullptr && *p.found_inf != 0) return;
  for (int64_t i = 0; i < p.num_tensors; ++i) {
    if (p.dtype == DType::Float64) {
      FactoredStep<double>(p, p.tensors[i]).run();
    } else {
      FactoredStep<float>(p, p.tensors[i]).run();
    }
  }
}

}  // namespace

void register_optim_factored() {
  for (DType dtype : {DType::Float16, DType::BFloat16, DType::Float32, DType::Float64}) {
    KernelTable::set<OptimParams>(OpId::adafactorStep_, DeviceType::Cpu, dtype, adafactor_kernel);
  }
}

}  // namespace ampgrad::cpu
