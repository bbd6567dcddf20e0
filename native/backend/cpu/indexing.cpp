// Indexed reads and writes on the CPU, and nonzero. One loop nest serves them all: rows of the
// innermost dimension, whole where the index does not change along them. Writes are split over a
// dimension in which no two points can meet, so that the order of a sum never depends on the
// threads.
#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "backend/cpu/columns.h"
#include "backend/cpu/opmath.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/pick.h"
#include "backend/cpu/register.h"
#include "backend/cpu/stream.h"
#include "core/error.h"
#include "ops/indexing_params.h"
#include "ops/kernels.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kGrain = 1 << 14;  // elements a thread should get at least
constexpr int64_t kBlock = 1024;     // positions worked out at once

// Checks every value of an index once (it may be read at many points).
void check_index(const IndexedParams& p, const IndexArg& a, size_t dim, const int64_t* at) {
  const int64_t stride = a.strides[dim];
  const int64_t n = stride == 0 ? 1 : p.sizes[dim];
  if (dim + 1 == p.sizes.size()) {
    for (int64_t i = 0; i < n; ++i) position(p, a, at[i * stride]);
    return;
  }
  for (int64_t i = 0; i < n; ++i) check_index(p, a, dim + 1, at + i * stride);
}

// Arithmetic of one element; halves compute in float, integers wrap.
template <IndexMode M, class T>
AG_INLINE T combine_plain(T a, T b) {
  if constexpr (M == IndexMode::Amin || M == IndexMode::Amax) {
    if constexpr (std::is_floating_point_v<T>) {
      if (a != a) return a;
      if (b != b) return b;
    }
    return M == IndexMode::Amin ? std::min(a, b) : std::max(a, b);
  } else if constexpr (std::is_same_v<T, bool>) {
    return M == IndexMode::Add ? a || b : a && b;
  } else if constexpr (std::is_integral_v<T>) {
    const auto x = static_cast<uint64_t>(a);
    const auto y = static_cast<uint64_t>(b);
    return static_cast<T>(M == IndexMode::Add ? x + y : x * y);
  } else {
    return M == IndexMode::Add ? a + b : a * b;
  }
}

template <IndexMode M, class T>
AG_INLINE void apply(T* data, T* other) {
  if constexpr (M == IndexMode::Read) {
    *other = *data;
  } else if constexpr (M == IndexMode::Assign) {
    *data = *other;
  } else if constexpr (std::is_same_v<T, Half>) {
    *data = to_half(combine_plain<M>(to_float(*data), to_float(*other)));
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    *data = to_bfloat16(combine_plain<M>(to_float(*data), to_float(*other)));
  } else {
    *data = combine_plain<M>(*data, *other);
  }
}

template <class T, IndexMode M>
class Box {
 public:
  // streamed: rows that are read whole go past the caches.
  Box(const IndexedParams& p, bool streamed)
      : p_(p),
        last_(p.sizes.size() - 1),
        at_(last_, 0),
        data_(static_cast<T*>(p.data)),
        other_(static_cast<T*>(p.other)),
        streamed_(streamed) {
    for (const IndexArg& a : p.indices) {
      starts_.push_back(a.data);
      if (a.strides[last_] != 0) varies_ = true;
    }
  }

  void run() {
    do {
      if (varies_) {
        scattered_row();
      } else {
        whole_row();
      }
    } while (advance());
    if (streamed_) end_stream();
  }

 private:
  void whole_row() {
    T* data = data_;
    for (size_t k = 0; k < starts_.size(); ++k) data += position(p_, p_.indices[k], *starts_[k]);
    const int64_t n = p_.sizes[last_];
    const int64_t ds = p_.data_strides[last_];
    const int64_t os = p_.other_strides[last_];
    if (ds == 1 && os == 1) {
      if constexpr (M == IndexMode::Read) {
        const auto bytes = static_cast<size_t>(n) * sizeof(T);
        streamed_ ? stream_copy(other_, data, bytes)
                  : static_cast<void>(std::memcpy(static_cast<void*>(other_), data, bytes));
      } else if constexpr (M == IndexMode::Assign) {
        std::memcpy(static_cast<void*>(data), other_, static_cast<size_t>(n) * sizeof(T));
      } else {
        T* other = other_;
        for (int64_t j = 0; j < n; ++j) apply<M>(data + j, other + j);
      }
      return;
    }
    for (int64_t j = 0; j < n; ++j) apply<M>(data + j * ds, other_ + j * os);
  }

  void scattered_row() {
    const int64_t n = p_.sizes[last_];
    const int64_t ds = p_.data_strides[last_];
    const int64_t os = p_.other_strides[last_];
    if (starts_.size() == 1) {
      const IndexArg& a = p_.indices[0];
      const int64_t step = a.strides[last_];
      const int64_t* index = starts_[0];
      if constexpr (M == IndexMode::Read) {
        if (step == 1 && ds == 0 && os == 1) return read_row(a, index, n);
      }
      for (int64_t j = 0; j < n; ++j) {
        apply<M>(data_ + j * ds + position(p_, a, index[j * step]), other_ + j * os);
      }
      return;
    }
    for (int64_t j = 0; j < n; ++j) {
      T* data = data_ + j * ds;
      for (size_t k = 0; k < starts_.size(); ++k) {
        const IndexArg& a = p_.indices[k];
        data += position(p_, a, starts_[k][j * a.strides[last_]]);
      }
      apply<M>(data, other_ + j * os);
    }
  }

  // Picks from one row of the data. Positions are worked out ahead of the loop that moves elements,
  // a block at a time.
  void read_row(const IndexArg& a, const int64_t* index, int64_t n) {
    int64_t at[kBlock];
    for (int64_t first = 0; first < n; first += kBlock) {
      const int64_t count = std::min(kBlock, n - first);
      for (int64_t j = 0; j < count; ++j) at[j] = position(p_, a, index[first + j]);
      const PickedRow<T> row[] = {{data_, other_ + first}};
      const bool fetches = first == 0 && a.stride == 1 && last_ > 0;
      pick(row, at, count,
           fetches ? Ahead::over(a.size * static_cast<int64_t>(sizeof(T)), count) : Ahead(),
           fetches ? p_.data_strides[last_ - 1] : 0, 0);
    }
  }

  void move(size_t dim, int64_t steps) {
    data_ += steps * p_.data_strides[dim];
    other_ += steps * p_.other_strides[dim];
    for (size_t k = 0; k < starts_.size(); ++k) starts_[k] += steps * p_.indices[k].strides[dim];
  }

  bool advance() {
    for (size_t d = last_; d-- > 0;) {
      if (++at_[d] < p_.sizes[d]) {
        move(d, 1);
        return true;
      }
      move(d, 1 - p_.sizes[d]);
      at_[d] = 0;
    }
    return false;
  }

  const IndexedParams& p_;
  size_t last_;
  Dims at_;
  T* data_;
  T* other_;
  SmallVector<const int64_t*, 6> starts_;
  bool streamed_;
  bool varies_ = false;
};

// The dimension to share out, or -1.
int split_dim(const IndexedParams& p) {
  int best = -1;
  for (size_t d = 0; d < p.sizes.size(); ++d) {
    if (p.mode != IndexMode::Read && p.data_strides[d] == 0) continue;
    if (best < 0 || p.sizes[d] > p.sizes[static_cast<size_t>(best)]) best = static_cast<int>(d);
  }
  return best;
}

template <class T>
IndexedParams part_of(const IndexedParams& p, size_t dim, int64_t begin, int64_t end) {
  IndexedParams part = p;
  part.sizes[dim] = end - begin;
  part.data = static_cast<T*>(p.data) + begin * p.data_strides[dim];
  part.other = static_cast<T*>(p.other) + begin * p.other_strides[dim];
  for (IndexArg& a : part.indices) a.data += begin * a.strides[dim];
  return part;
}

template <class T, IndexMode M>
void run_mode(const IndexedParams& p) {
  if constexpr (M == IndexMode::Read) {
    if (read_columns<T>(p)) return;
  }
  const int64_t total = element_count(p.sizes);
  const bool streamed =
      M == IndexMode::Read && total * static_cast<int64_t>(sizeof(T)) >= kStreamBytes;
  const int dim = total < 2 * kGrain ? -1 : split_dim(p);
  if (dim < 0) {
    Box<T, M>(p, streamed).run();
    return;
  }
  const int64_t n = p.sizes[static_cast<size_t>(dim)];
  parallel_for(n, std::max<int64_t>(1, kGrain / (total / n)), [&](int64_t begin, int64_t end) {
    Box<T, M>(part_of<T>(p, static_cast<size_t>(dim), begin, end), streamed).run();
  });
}

// Moving elements needs to know only their size.
template <IndexMode M>
void move_elements(const IndexedParams& p) {
  switch (dtype_size(p.dtype)) {
    case 1:
      return run_mode<uint8_t, M>(p);
    case 2:
      return run_mode<uint16_t, M>(p);
    case 4:
      return run_mode<uint32_t, M>(p);
    default:
      return run_mode<uint64_t, M>(p);
  }
}

void read_kernel(const IndexedParams& p, const void*) { move_elements<IndexMode::Read>(p); }

// Slices sorted by where they go: those of row r are order[first[r]] to order[first[r + 1]].
struct SortedSlices {
  explicit SortedSlices(const IndexedParams& p)
      : first(static_cast<size_t>(p.indices[0].size) + 1, 0),
        order(static_cast<size_t>(p.sizes[0])) {
    const IndexArg& a = p.indices[0];
    const auto row = [&](int64_t i) {
      const int64_t r = a.data[i * a.strides[0]];
      if (AG_UNLIKELY(static_cast<uint64_t>(r) >= static_cast<uint64_t>(a.size))) {
        fail_position(p, a, r);
      }
      return static_cast<size_t>(r);
    };
    for (int64_t i = 0; i < p.sizes[0]; ++i) ++first[row(i)];
    int64_t end = 0;
    for (int64_t& f : first) f = end += f;
    for (int64_t i = p.sizes[0] - 1; i >= 0; --i) order[static_cast<size_t>(--first[row(i)])] = i;
  }
  std::vector<int64_t> first;
  std::vector<int64_t> order;
};

// Rows of sums are worked out in a buffer and written once, as are runs of zeros; large results go
// past the caches. Halves are summed in float.
template <class S>
class SliceSums {
 public:
  explicit SliceSums(const IndexedParams& p)
      : slices_(p),
        values_(static_cast<const S*>(p.other)),
        out_(static_cast<S*>(p.data)),
        rows_(p.indices[0].size),
        size_(p.sizes[1]),
        streamed_(rows_ * size_ * static_cast<int64_t>(sizeof(S)) >= kStreamBytes) {}

  void run() const {
    const int64_t grain = std::max<int64_t>(1, kGrain / size_);
    parallel_for(rows_, grain, [&](int64_t begin, int64_t end) { rows(begin, end); });
  }

 private:
  using Io = OpMathIo<S>;
  using T = typename Io::T;

  int64_t first(int64_t row) const { return slices_.first[static_cast<size_t>(row)]; }
  const S* slice(int64_t i) const {
    return values_ + slices_.order[static_cast<size_t>(i)] * size_;
  }

  void rows(int64_t begin, int64_t end) const {
    const std::unique_ptr<T[]> sum(new T[static_cast<size_t>(size_)]);
    const std::unique_ptr<T[]> loaded = Io::buffer(size_);
    const std::unique_ptr<S[]> narrowed(Io::kDirect ? nullptr : new S[static_cast<size_t>(size_)]);
    for (int64_t r = begin; r < end;) {
      const int64_t count = first(r + 1) - first(r);
      if (count > 0) {
        if (count == 1) {
          write(slice(first(r)), r);
        } else {
          add_up(r, sum.get(), loaded.get());
          write(finished(sum.get(), narrowed.get()), r);
        }
        ++r;
        continue;
      }
      int64_t next = r + 1;
      while (next < end && first(next + 1) == first(r)) ++next;
      write_zeros(r, next);
      r = next;
    }
    if (streamed_) end_stream();
  }

  void add_up(int64_t row, T* sum, T* loaded) const {
    std::fill_n(sum, size_, T{0});
    for (int64_t i = first(row); i < first(row + 1); ++i) {
      const T* value = io_.load(slice(i), size_, loaded);
      for (int64_t j = 0; j < size_; ++j) sum[j] += value[j];
    }
  }

  const S* finished(const T* sum, S* narrowed) const {
    if constexpr (Io::kDirect) {
      return sum;
    } else {
      io_.store(sum, narrowed, size_);
      return narrowed;
    }
  }

  void write(const S* from, int64_t row) const {
    const auto bytes = static_cast<size_t>(size_) * sizeof(S);
    S* to = out_ + row * size_;
    streamed_ ? stream_copy(to, from, bytes) : static_cast<void>(std::memcpy(to, from, bytes));
  }

  void write_zeros(int64_t begin, int64_t end) const {
    static constexpr size_t kRun = 4096;
    alignas(64) static constexpr char kZeros[kRun] = {};
    auto* to = reinterpret_cast<char*>(out_ + begin * size_);
    const auto bytes = static_cast<size_t>((end - begin) * size_) * sizeof(S);
    if (!streamed_) {
      std::memset(to, 0, bytes);
      return;
    }
    for (size_t i = 0; i < bytes; i += kRun) stream_copy(to + i, kZeros, std::min(kRun, bytes - i));
  }

  const SortedSlices slices_;
  const Io io_;
  const S* values_;
  S* out_;
  const int64_t rows_;
  const int64_t size_;
  const bool streamed_;
};

template <class T>
void write_kernel(const IndexedParams& p, const void*) {
  if constexpr (is_floating(dtype_of<T>)) {
    if (p.fresh) return SliceSums<T>(p).run();
  }
  AG_ASSERT(!p.fresh);
  for (const IndexArg& a : p.indices) check_index(p, a, 0, a.data);
  switch (p.mode) {
    case IndexMode::Add:
      return run_mode<T, IndexMode::Add>(p);
    case IndexMode::Multiply:
      return run_mode<T, IndexMode::Multiply>(p);
    case IndexMode::Amin:
      return run_mode<T, IndexMode::Amin>(p);
    case IndexMode::Amax:
      return run_mode<T, IndexMode::Amax>(p);
    default:
      return move_elements<IndexMode::Assign>(p);
  }
}

template <class T>
AG_INLINE bool is_nonzero(T v) {
  if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return (v.bits & 0x7fffu) != 0;
  } else {
    return v != T{0};
  }
}

template <class T>
void nonzero_kernel(const NonzeroParams& p, const void*) {
  const T* in = static_cast<const T*>(p.in);
  if (p.out == nullptr) {
    int64_t count = 0;
    for (int64_t i = 0; i < p.numel; ++i) count += is_nonzero(in[i]) ? 1 : 0;
    *p.count = count;
    return;
  }
  const size_t ndim = p.sizes.size();
  if (ndim == 0 || p.numel == 0) return;
  const int64_t row = p.sizes[ndim - 1];
  Dims at(ndim, 0);
  int64_t* out = p.out;
  for (int64_t start = 0; start < p.numel; start += row) {
    for (int64_t j = 0; j < row; ++j) {
      if (!is_nonzero(in[start + j])) continue;
      for (size_t d = 0; d + 1 < ndim; ++d) *out++ = at[d];
      *out++ = j;
    }
    for (size_t d = ndim - 1; d-- > 0;) {
      if (++at[d] < p.sizes[d]) break;
      at[d] = 0;
    }
  }
}

}  // namespace

void fail_position(const IndexedParams& p, const IndexArg& a, int64_t value) {
  AG_FAIL(Range, p.op, ": index ", value, " is out of bounds for dimension ", a.dim, " with size ",
          a.size);
}

void register_indexing() {
#define AG_SET(name, type, text)                                                           \
  KernelTable::set<IndexedParams>(OpId::index, DeviceType::Cpu, DType::name, read_kernel); \
  KernelTable::set<IndexedParams>(OpId::indexPut, DeviceType::Cpu, DType::name,            \
                                  write_kernel<type>);                                     \
  KernelTable::set<NonzeroParams>(OpId::nonzero, DeviceType::Cpu, DType::name,             \
                                  nonzero_kernel<type>);
  AG_FOR_EACH_DTYPE(AG_SET)
#undef AG_SET
}

}  // namespace ampgrad::cpu
