// Indexed reads and writes (ops/indexing_params.h): which way each is run. Writes are split into
// lines, along which points may meet, and fold each in the order of the iteration space: walked by
// a thread each when there are enough of them, otherwise sorted by target first.
#include "backend/cuda/indexing.cuh"

#include <algorithm>
#include <bit>

#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/families.h"
#include "backend/cuda/radix.h"
#include "backend/cuda/scratch.h"

namespace ampgrad::cuda {

namespace {

constexpr int64_t kShortLine = 32;       // points that a thread walks in any case
constexpr int64_t kManyLines = 1 << 15;  // enough threads for longer lines
constexpr int64_t kRunsFrom = 1024;      // sorted points worth folding by tile first

void check_dims(const IndexedParams& p) {
  AG_CHECK(p.sizes.size() <= kMaxKernelDims && p.indices.size() <= kMaxKernelDims, Shape, p.op,
           ": an index over more than ", kMaxKernelDims,
           " dimensions that cannot be joined is too complex for a CUDA kernel");
}

// The dimensions for which `takes` is true, innermost first.
template <int K, class Takes>
IndexedArgs<K> args_of(const IndexedParams& p, const Takes& takes) {
  IndexedArgs<K> a;
  Geometry<2 + K>& g = a.geometry;
  a.numel = 1;
  for (size_t d = p.sizes.size(); d-- > 0;) {
    if (!takes(d)) continue;
    g.sizes[g.ndim] = p.sizes[d];
    g.strides[0][g.ndim] = p.data_strides[d];
    g.strides[1][g.ndim] = p.other_strides[d];
    for (size_t k = 0; k < K; ++k) {
      g.strides[2 + k][g.ndim] = k < p.indices.size() ? p.indices[k].strides[d] : 0;
    }
    a.numel *= p.sizes[d];
    ++g.ndim;
  }
  g.wide = a.numel > INT32_MAX;
  a.data = p.data;
  a.other = p.other;
  a.count = static_cast<int>(p.indices.size());
  for (size_t k = 0; k < p.indices.size(); ++k) {
    const IndexArg& from = p.indices[k];
    a.index[k] = {from.data, from.size, from.stride, static_cast<int>(from.dim)};
  }
  a.negative = p.negative;
  a.fault = current_context().fault;
  a.op = p.op;
  return a;
}

// Calls body(number) with the smallest number of indices that kernels are made for.
template <class Body>
void with_count(size_t count, const Body& body) {
  if (count <= 1) return body(std::integral_constant<int, 1>());
  if (count <= 4) return body(std::integral_constant<int, 4>());
  body(std::integral_constant<int, kMaxKernelDims>());
}

bool varies(const IndexedParams& p, size_t d) {
  return std::any_of(p.indices.begin(), p.indices.end(),
                     [&](const IndexArg& a) { return a.strides[d] != 0; });
}

// Rows that are read whole are read in pieces of up to 16 bytes: turns the innermost dimension's
// elements into such pieces. Returns the size of an element.
size_t widen(IndexedParams* p) {
  const size_t size = dtype_size(p->dtype);
  const size_t last = p->sizes.size() - 1;
  if (p->data_strides[last] != 1 || p->other_strides[last] != 1 || varies(*p, last)) return size;
  auto per = static_cast<int64_t>(16 / size);
  const auto fits = [&](int64_t n) {
    const auto bytes = static_cast<uintptr_t>(n) * size;
    bool ok = p->sizes[last] % n == 0 && reinterpret_cast<uintptr_t>(p->data) % bytes == 0 &&
              reinterpret_cast<uintptr_t>(p->other) % bytes == 0;
    for (size_t d = 0; d < last; ++d) {
      ok = ok && p->data_strides[d] % n == 0 && p->other_strides[d] % n == 0;
    }
    for (const IndexArg& a : p->indices) ok = ok && a.stride % n == 0;
    return ok;
  };
  while (per > 1 && !fits(per)) per /= 2;
  p->sizes[last] /= per;
  for (size_t d = 0; d < last; ++d) {
    p->data_strides[d] /= per;
    p->other_strides[d] /= per;
  }
  for (IndexArg& a : p->indices) a.stride /= per;
  return size * static_cast<size_t>(per);
}

template <class E>
void launch_read(const IndexedParams& p) {
  with_count(p.indices.size(), [&](auto number) {
    constexpr int kCount = decltype(number)::value;
    const IndexedArgs<kCount> a = args_of<kCount>(p, [](size_t) { return true; });
    launch(p.op, {grid_for(a.numel, kIndexThreads), kIndexThreads}, index_read_kernel<E, kCount>,
           a);
  });
}

void read(const IndexedParams& params, const void*) {
  IndexedParams p = params;
  check_dims(p);
  switch (widen(&p)) {
    case 1:
      return launch_read<uint8_t>(p);
    case 2:
      return launch_read<int16_t>(p);
    case 4:
      return launch_read<int32_t>(p);
    case 8:
      return launch_read<int64_t>(p);
    default:
      return launch_read<longlong2>(p);
  }
}

// How the iteration space of a write is taken apart. Targets stand for the points of the dimensions
// in `listed`; where they are sorted by themselves, lines and points are as in WriteArgs.
struct Split {
  uint64_t listed = 0;
  uint64_t points = 0;
  bool sorts = false;
};

bool in(uint64_t set, size_t d) { return (set >> d & 1u) != 0; }

int64_t count_of(const IndexedParams& p, uint64_t set) {
  int64_t n = 1;
  for (size_t d = 0; d < p.sizes.size(); ++d) {
    if (in(set, d)) n *= p.sizes[d];
  }
  return n;
}

Split split_of(const IndexedParams& p) {
  Split s;
  const uint64_t all = (uint64_t{1} << p.sizes.size()) - 1;
  bool slices = true;  // every line has the same targets
  for (size_t d = 0; d < p.sizes.size(); ++d) {
    if (p.data_strides[d] == 0) s.points |= uint64_t{1} << d;
    if (varies(p, d)) s.listed |= uint64_t{1} << d;
    slices = slices && (p.data_strides[d] == 0 || !varies(p, d));
  }
  const int64_t total = count_of(p, all);
  const int64_t points = count_of(p, s.points);
  s.sorts = points > kShortLine && total / points < kManyLines && points <= INT32_MAX;
  if (!s.sorts) return s;
  if (!slices) {
    // One line of everything, if positions in it are few enough to sort.
    if (total > INT32_MAX) {
      s.sorts = false;
      return s;
    }
    s.points = all;
  }
  s.listed = s.points;
  return s;
}

// Dimensions of `set` as operands data, other, targets; the targets are dense over `listed`.
Geometry<3> geometry_of(const IndexedParams& p, uint64_t set, uint64_t listed, bool has_data) {
  Geometry<3> g;
  int64_t stride = 1;
  for (size_t d = p.sizes.size(); d-- > 0;) {
    if (in(set, d)) {
      g.sizes[g.ndim] = p.sizes[d];
      g.strides[0][g.ndim] = has_data ? p.data_strides[d] : 0;
      g.strides[1][g.ndim] = p.other_strides[d];
      g.strides[2][g.ndim] = in(listed, d) ? stride : 0;
      ++g.ndim;
    }
    if (in(listed, d)) stride *= p.sizes[d];
  }
  g.wide = count_of(p, set) > INT32_MAX;
  return g;
}

// One more than the largest offset of a target; negative where strides may be.
int64_t span_of(const IndexedParams& p, uint64_t listed, bool has_data) {
  int64_t span = 1;
  bool negative = false;
  for (const IndexArg& a : p.indices) {
    span += (a.size - 1) * a.stride;
    negative = negative || a.stride < 0;
  }
  for (size_t d = 0; has_data && d < p.sizes.size(); ++d) {
    if (!in(listed, d)) continue;
    span += (p.sizes[d] - 1) * p.data_strides[d];
    negative = negative || p.data_strides[d] < 0;
  }
  return negative ? -1 : span;
}

// A list of targets over the dimensions of the split; `has_data`: with data's own strides in it.
void list_targets(const IndexedParams& p, const Split& s, bool has_data, int64_t outside,
                  int64_t* targets) {
  IndexedParams listed = p;
  if (!has_data) std::fill(listed.data_strides.begin(), listed.data_strides.end(), 0);
  with_count(p.indices.size(), [&](auto number) {
    constexpr int kCount = decltype(number)::value;
    const IndexedArgs<kCount> a =
        args_of<kCount>(listed, [&](size_t d) { return in(s.listed, d); });
    launch(p.op, {grid_for(a.numel, kIndexThreads), kIndexThreads}, index_targets_kernel<kCount>, a,
           outside, targets);
  });
}

template <class T>
void write_sorted(const IndexedParams& p, WriteArgs* a, int64_t* targets, int bits) {
  const auto n = static_cast<size_t>(a->num_points);
  const Scratch scratch(n * (sizeof(uint64_t) + 2 * sizeof(uint32_t)));
  RadixBuffers<uint64_t> b;
  b.keys = reinterpret_cast<uint64_t*>(targets);
  b.keys2 = scratch.as<uint64_t>();
  b.order = reinterpret_cast<uint32_t*>(b.keys2 + n);
  b.order2 = b.order + n;
  radix_sort(p.op, &b, 1, a->num_points, bits);
  SortedPoints sorted{b.keys, b.order, nullptr};
  const bool runs = a->num_points >= kRunsFrom;
  const Scratch partial(runs ? n * static_cast<size_t>(a->num_lines) * sizeof(T) : 0);
  if (runs) {
    sorted.runs = partial.as<void>();
    const int64_t tiles = (a->num_points + kRunTile - 1) / kRunTile;
    launch(p.op, {grid_for(tiles * a->num_lines, kIndexThreads), kIndexThreads},
           write_runs_kernel<T>, *a, sorted);
  }
  launch(p.op, {grid_for(a->num_points * a->num_lines, kIndexThreads), kIndexThreads},
         write_sorted_kernel<T>, *a, sorted);
}

template <class T>
void write_as(const IndexedParams& p) {
  const Split s = split_of(p);
  const uint64_t all = (uint64_t{1} << p.sizes.size()) - 1;
  const bool one_line = s.points == all && s.sorts;
  const int64_t span = span_of(p, s.listed, one_line);
  WriteArgs a;
  a.num_points = count_of(p, s.points);
  a.num_lines = count_of(p, all & ~s.points);
  a.lines = geometry_of(p, all & ~s.points, s.listed, true);
  a.points = geometry_of(p, s.points, s.listed, false);
  a.mode = p.mode;
  a.data = p.data;
  a.other = p.other;
  a.outside = span < 0 ? INT64_MIN : span;
  const Scratch scratch(static_cast<size_t>(count_of(p, s.listed)) * sizeof(int64_t));
  auto* targets = scratch.as<int64_t>();
  list_targets(p, s, one_line, a.outside, targets);
  a.targets = targets;
  if (s.sorts) {
    const int bits = span < 0 ? 64 : std::bit_width(static_cast<uint64_t>(span));
    return write_sorted<T>(p, &a, targets, bits);
  }
  launch(p.op, {grid_for(a.num_lines, kIndexThreads), kIndexThreads}, write_lines_kernel<T>, a);
}

template <class T>
void write(const IndexedParams& p, const void*) {
  check_dims(p);
  if (p.mode != IndexMode::Assign) return write_as<T>(p);
  // Moving needs to know only the size.
  switch (sizeof(T)) {
    case 1:
      return write_as<int8_t>(p);
    case 2:
      return write_as<int16_t>(p);
    case 4:
      return write_as<int32_t>(p);
    default:
      return write_as<int64_t>(p);
  }
}

}  // namespace

void register_indexing(const CudaHost& host) {
#define AG_SET(name, type, text)                                   \
  set_kernel<IndexedParams>(host, OpId::index, DType::name, read); \
  set_kernel<IndexedParams>(host, OpId::indexPut, DType::name, write<type>);
  AG_FOR_EACH_DTYPE(AG_SET)
#undef AG_SET
}

}  // namespace ampgrad::cuda
