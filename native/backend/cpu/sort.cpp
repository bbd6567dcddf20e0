// Order kernels of the CPU: sort, selection, most frequent value, groups of equal rows. Rows go
// through (key, position) pairs in float, double or int64; ties keep their order, NaN counts as
// largest.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "backend/cpu/convert.h"
#include "backend/cpu/parallel.h"
#include "backend/cpu/register.h"
#include "ops/kernels.h"
#include "ops/order_params.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kGrain = 1 << 12;  // elements a thread should get at least

template <class T>
struct Item {
  T key;
  int64_t at;
};

template <class T>
bool less(T a, T b) {
  return a < b || (b != b && a == a);
}

template <class T>
struct Ascending {
  bool operator()(const Item<T>& a, const Item<T>& b) const {
    return less(a.key, b.key) || (!less(b.key, a.key) && a.at < b.at);
  }
};
template <class T>
struct Descending {
  bool operator()(const Item<T>& a, const Item<T>& b) const {
    return less(b.key, a.key) || (!less(a.key, b.key) && a.at < b.at);
  }
};

// Rows of any dtype as keys of T, and keys back.
template <class T>
class RowReader {
 public:
  explicit RowReader(DType dtype)
      : size_(static_cast<int64_t>(dtype_size(dtype))),
        load_(dtype == dtype_of<T> ? nullptr : convert_fn(dtype, dtype_of<T>)),
        store_(dtype == dtype_of<T> ? nullptr : convert_fn(dtype_of<T>, dtype)) {}

  const T* load(const void* base, int64_t first, int64_t n, std::vector<T>* buffer) const {
    const char* from = static_cast<const char*>(base) + first * size_;
    if (load_ == nullptr) return reinterpret_cast<const T*>(from);
    buffer->resize(static_cast<size_t>(n));
    load_(from, buffer->data(), static_cast<size_t>(n));
    return buffer->data();
  }
  void store(const T* values, void* base, int64_t first, int64_t n) const {
    char* to = static_cast<char*>(base) + first * size_;
    if (store_ == nullptr) {
      std::memcpy(to, values, static_cast<size_t>(n) * sizeof(T));
    } else {
      store_(values, to, static_cast<size_t>(n));
    }
  }

 private:
  int64_t size_;
  ConvertFn load_;
  ConvertFn store_;
};

// For every row: pick(items, n, out items) chooses p.k items.
template <class T, class Pick>
void for_rows(const SortParams& p, const Pick& pick) {
  if (p.rows == 0 || p.k == 0) return;
  const RowReader<T> reader(p.dtype);
  const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(p.size, 1));
  parallel_for(p.rows, grain, [&](int64_t begin, int64_t end) {
    std::vector<T> buffer;
    std::vector<T> values(static_cast<size_t>(p.k));
    std::vector<Item<T>> items(static_cast<size_t>(p.size));
    for (int64_t r = begin; r < end; ++r) {
      const T* keys = reader.load(p.in, r * p.size, p.size, &buffer);
      for (int64_t i = 0; i < p.size; ++i) items[static_cast<size_t>(i)] = {keys[i], i};
      const Item<T>* chosen = pick(items);
      for (int64_t i = 0; i < p.k; ++i) {
        values[static_cast<size_t>(i)] = chosen[i].key;
        p.indices[r * p.k + i] = chosen[i].at;
      }
      if (p.values != nullptr) reader.store(values.data(), p.values, r * p.k, p.k);
    }
  });
}

template <class T>
void sort_kernel(const SortParams& p, const void*) {
  for_rows<T>(p, [&](std::vector<Item<T>>& items) {
    if (p.descending) {
      std::sort(items.begin(), items.end(), Descending<T>());
    } else {
      std::sort(items.begin(), items.end(), Ascending<T>());
    }
    return items.data();
  });
}

template <class T>
void topk_kernel(const SortParams& p, const void*) {
  for_rows<T>(p, [&](std::vector<Item<T>>& items) {
    if (p.descending) {
      std::partial_sort(items.begin(), items.begin() + p.k, items.end(), Descending<T>());
    } else {
      std::partial_sort(items.begin(), items.begin() + p.k, items.end(), Ascending<T>());
    }
    return items.data();
  });
}

template <class T>
const Item<T>* nth(std::vector<Item<T>>& items, int64_t k) {
  std::nth_element(items.begin(), items.begin() + k, items.end(), Ascending<T>());
  return items.data() + k;
}

template <class T>
void kth_kernel(const SortParams& p, const void*) {
  SortParams one = p;
  one.k = 1;
  for_rows<T>(one, [&](std::vector<Item<T>>& items) { return nth(items, p.k - 1); });
}

// The lower median. NaN if there is one, or over the numbers alone.
template <class T, bool kSkipNaN>
void median_kernel(const SortParams& p, const void*) {
  for_rows<T>(p, [&](std::vector<Item<T>>& items) -> const Item<T>* {
    int64_t numbers = 0;
    const Item<T>* nan = nullptr;
    for (const Item<T>& item : items) {
      if (item.key == item.key) {
        ++numbers;
      } else if (nan == nullptr) {
        nan = &item;
      }
    }
    if (nan != nullptr && (!kSkipNaN || numbers == 0)) return nan;
    return nth(items, (numbers - 1) / 2);
  });
}

// The smallest of the most frequent values, at its last position.
template <class T>
void mode_kernel(const SortParams& p, const void*) {
  for_rows<T>(p, [&](std::vector<Item<T>>& items) {
    std::sort(items.begin(), items.end(), Ascending<T>());
    size_t best = 0;
    size_t longest = 0;
    size_t run = 0;
    for (size_t i = 0; i < items.size(); ++i) {
      run = i > 0 && items[i].key == items[i - 1].key ? run + 1 : 1;
      if (run > longest) {
        longest = run;
        best = i;
      }
    }
    return items.data() + best;
  });
}

template <class T>
void unique_kernel(const UniqueParams& p, const void*) {
  const RowReader<T> reader(p.dtype);
  std::vector<T> buffer;
  const T* data = reader.load(p.in, 0, p.rows * p.size, &buffer);
  std::vector<int64_t> order(static_cast<size_t>(p.rows));
  std::iota(order.begin(), order.end(), int64_t{0});
  const auto row_less = [&](int64_t a, int64_t b) {
    const T* x = data + a * p.size;
    const T* y = data + b * p.size;
    for (int64_t i = 0; i < p.size; ++i) {
      if (less(x[i], y[i])) return true;
      if (less(y[i], x[i])) return false;
    }
    return a < b;
  };
  if (!p.consecutive) std::sort(order.begin(), order.end(), row_less);
  int64_t groups = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    const T* row = data + order[i] * p.size;
    if (i == 0 || !std::equal(row, row + p.size, data + order[i - 1] * p.size)) {
      p.first[groups] = order[i];
      p.counts[groups++] = 0;
    }
    p.group[order[i]] = groups - 1;
    ++p.counts[groups - 1];
  }
  *p.num_groups = groups;
}

template <class Params>
void set(OpId op, KernelFn<Params> single, KernelFn<Params> wide, KernelFn<Params> integer) {
  for (int i = 0; i < kNumDTypes; ++i) {
    const DType dtype = static_cast<DType>(i);
    KernelFn<Params> fn = integer;
    if (is_floating(dtype)) fn = dtype == DType::Float64 ? wide : single;
    KernelTable::set<Params>(op, DeviceType::Cpu, dtype, fn);
  }
}

}  // namespace

void register_sort() {
  set<SortParams>(OpId::sort, sort_kernel<float>, sort_kernel<double>, sort_kernel<int64_t>);
  set<SortParams>(OpId::topk, topk_kernel<float>, topk_kernel<double>, topk_kernel<int64_t>);
  set<SortParams>(OpId::kthvalue, kth_kernel<float>, kth_kernel<double>, kth_kernel<int64_t>);
  set<SortParams>(OpId::medianDim, median_kernel<float, false>, median_kernel<double, false>,
                  median_kernel<int64_t, false>);
  set<SortParams>(OpId::nanmedianDim, median_kernel<float, true>, median_kernel<double, true>,
                  median_kernel<int64_t, true>);
  set<SortParams>(OpId::mode, mode_kernel<float>, mode_kernel<double>, mode_kernel<int64_t>);
  set<UniqueParams>(OpId::uniqueGroups, unique_kernel<float>, unique_kernel<double>,
                    unique_kernel<int64_t>);
}

}  // namespace ampgrad::cpu
