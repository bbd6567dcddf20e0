// See columns.h. Positions are worked out once, and one pass over them serves two rows. Picks wait
// for memory, which is fetched faster in two places far apart than in one.
#include "backend/cpu/columns.h"

#include <limits>
#include <vector>

#include "backend/cpu/parallel.h"
#include "backend/cpu/pick.h"

namespace ampgrad::cpu {

namespace {

constexpr int64_t kGrain = 1 << 14;    // elements a thread should get at least
constexpr int64_t kMinPicks = 16;      // in a row; fewer are not worth the preparation
constexpr int64_t kMinRows = 32;       // fewer would not do for many threads
constexpr int64_t kCached = 32 << 10;  // bytes of the first-level cache

template <class T, class Index>
class Columns {
 public:
  explicit Columns(const IndexedParams& p)
      : data_(static_cast<const T*>(p.data)),
        out_(static_cast<T*>(p.other)),
        data_step_(p.data_strides[0]),
        out_step_(p.other_strides[0]),
        rows_(p.sizes[0]),
        at_(static_cast<size_t>(p.sizes[1])) {
    const IndexArg& a = p.indices[0];
    for (size_t j = 0; j < at_.size(); ++j) {
      at_[j] = static_cast<Index>(position(p, a, a.data[static_cast<int64_t>(j) * a.strides[1]]));
    }
    if (a.stride != 1) return;
    const int64_t bytes = a.size * static_cast<int64_t>(sizeof(T));
    ahead_ = Ahead::over(bytes, picks());
    // Two rows, those that follow, and what is picked from each.
    const int64_t needed = 4 * (bytes + picks() * static_cast<int64_t>(sizeof(T)));
    way_ = needed <= kCached ? Way::Apart : Way::Single;
  }

  void rows(int64_t begin, int64_t end) const {
    switch (way_) {
      case Way::Apart: {
        // The one in the middle of an odd number is read in both places.
        const int64_t half = (end - begin + 1) / 2;
        for (int64_t i = 0; i < half; ++i) read_rows({row(begin + i), row(end - half + i)});
        break;
      }
      case Way::Neighbours:
        for (; begin + 1 < end; begin += 2) read_rows({row(begin), row(begin + 1)});
        [[fallthrough]];
      case Way::Single:
        for (; begin < end; ++begin) read_rows({row(begin)});
        break;
    }
  }

  int64_t rows() const { return rows_; }
  int64_t picks() const { return static_cast<int64_t>(at_.size()); }

 private:
  // Rows that share lines, because their elements lie apart, are read together.
  enum class Way : uint8_t { Neighbours, Apart, Single };

  template <int kRows>
  void read_rows(const PickedRow<T> (&some)[kRows]) const {
    pick(some, at_.data(), picks(), ahead_, data_step_, out_step_);
  }
  PickedRow<T> row(int64_t r) const { return {data_ + r * data_step_, out_ + r * out_step_}; }

  const T* data_;
  T* out_;
  int64_t data_step_;
  int64_t out_step_;
  int64_t rows_;
  std::vector<Index> at_;
  Ahead ahead_;
  Way way_ = Way::Neighbours;
};

template <class T, class Index>
void read(const IndexedParams& p) {
  const Columns<T, Index> columns(p);
  const int64_t grain = std::max<int64_t>(1, kGrain / columns.picks());
  parallel_for(columns.rows(), grain,
               [&](int64_t begin, int64_t end) { columns.rows(begin, end); });
}

}  // namespace

template <class T>
bool read_columns(const IndexedParams& p) {
  if (p.mode != IndexMode::Read || p.sizes.size() != 2 || p.indices.size() != 1) return false;
  const IndexArg& a = p.indices[0];
  if (a.strides[0] != 0 || p.data_strides[1] != 0 || p.other_strides[1] != 1) return false;
  if (p.sizes[0] < kMinRows || p.sizes[1] < kMinPicks) return false;
  if (a.size * a.stride <= std::numeric_limits<uint32_t>::max()) {
    read<T, uint32_t>(p);
  } else {
    read<T, int64_t>(p);
  }
  return true;
}

template bool read_columns<uint8_t>(const IndexedParams& p);
template bool read_columns<uint16_t>(const IndexedParams& p);
template bool read_columns<uint32_t>(const IndexedParams& p);
template bool read_columns<uint64_t>(const IndexedParams& p);

}  // namespace ampgrad::cpu
