// See strided.h.
#include "backend/cpu/strided.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace ampgrad::cpu {

namespace {

void sort_by_output_stride(StridedSpace* s) {
  for (int d = 1; d < s->ndim; ++d) {
    for (int e = d; e > 0 && s->strides[0][e - 1] < s->strides[0][e]; --e) {
      std::swap(s->sizes[e - 1], s->sizes[e]);
      for (int j = 0; j < s->num_operands; ++j) {
        std::swap(s->strides[j][e - 1], s->strides[j][e]);
      }
    }
  }
}

bool can_merge(const StridedSpace& s, int outer, int inner) {
  for (int j = 0; j < s.num_operands; ++j) {
    if (s.strides[j][outer] != s.strides[j][inner] * s.sizes[inner]) return false;
  }
  return true;
}

void merge_neighbours(StridedSpace* s) {
  int last = 0;
  for (int d = 1; d < s->ndim; ++d) {
    if (can_merge(*s, last, d)) {
      s->sizes[last] *= s->sizes[d];
    } else {
      s->sizes[++last] = s->sizes[d];
    }
    for (int j = 0; j < s->num_operands; ++j) s->strides[j][last] = s->strides[j][d];
  }
  s->ndim = last + 1;
}

// Strided run <-> contiguous run of one element type.
template <class T, bool kGather>
void move_run(T* strided, int64_t stride, T* packed, int64_t n) {
  if (stride == 1) {
    if (kGather) {
      std::memcpy(packed, strided, static_cast<size_t>(n) * sizeof(T));
    } else {
      std::memcpy(strided, packed, static_cast<size_t>(n) * sizeof(T));
    }
  } else if (kGather && stride == 0) {
    std::fill_n(packed, n, *strided);
  } else {
    for (int64_t i = 0; i < n; ++i) {
      if (kGather) {
        packed[i] = strided[i * stride];
      } else {
        strided[i * stride] = packed[i];
      }
    }
  }
}

template <class T, bool kGather>
void move_elements(const StridedSpace& space, int operand, void* base, int64_t begin, int64_t count,
                   void* buffer) {
  T* strided = static_cast<T*>(base);
  T* packed = static_cast<T*>(buffer);
  const int64_t stride = space.inner_stride(operand);
  StridedCursor at(space, operand, begin);
  while (count > 0) {
    const int64_t run = std::min(at.run(), count);
    move_run<T, kGather>(strided + at.offset, stride, packed, run);
    packed += run;
    count -= run;
    if (count > 0) at.advance(run);
  }
}

template <bool kGather>
void move_sized(const StridedSpace& space, int operand, void* base, size_t element_size,
                int64_t begin, int64_t count, void* buffer) {
  switch (element_size) {
    case 1:
      return move_elements<uint8_t, kGather>(space, operand, base, begin, count, buffer);
    case 2:
      return move_elements<uint16_t, kGather>(space, operand, base, begin, count, buffer);
    case 4:
      return move_elements<uint32_t, kGather>(space, operand, base, begin, count, buffer);
    default:
      return move_elements<uint64_t, kGather>(space, operand, base, begin, count, buffer);
  }
}

}  // namespace

bool StridedSpace::is_single(int operand) const {
  for (int d = 0; d < ndim; ++d) {
    if (strides[operand][d] != 0) return false;
  }
  return true;
}

void simplify(const ElementwiseParams& params, StridedSpace* space) {
  StridedSpace& s = *space;
  s.num_operands = params.num_inputs + 1;
  s.numel = params.numel;
  s.ndim = 0;
  for (int d = 0; d < params.ndim; ++d) {
    if (params.sizes[d] == 1) continue;
    s.sizes[s.ndim] = params.sizes[d];
    s.strides[0][s.ndim] = params.out.strides[d];
    for (int j = 0; j < params.num_inputs; ++j) {
      const int64_t* strides = params.in[j].strides;
      s.strides[j + 1][s.ndim] = strides != nullptr ? strides[d] : 0;
    }
    ++s.ndim;
  }
  if (s.ndim == 0) {
    s.ndim = 1;
    s.sizes[0] = 1;
    for (int j = 0; j < s.num_operands; ++j) s.strides[j][0] = 0;
    return;
  }
  sort_by_output_stride(&s);
  merge_neighbours(&s);
}

StridedCursor::StridedCursor(const StridedSpace& s, int which, int64_t begin)
    : space(s), operand(which), offset(0) {
  for (int d = s.ndim - 1; d > 0; --d) {
    const int64_t rest = begin / s.sizes[d];
    index[d] = begin - rest * s.sizes[d];
    offset += index[d] * s.strides[which][d];
    begin = rest;
  }
  index[0] = begin;
  offset += begin * s.strides[which][0];
}

void StridedCursor::advance(int64_t count) {
  const int64_t* strides = space.strides[operand];
  int d = space.ndim - 1;
  index[d] += count;
  offset += count * strides[d];
  while (d > 0 && index[d] == space.sizes[d]) {
    offset += strides[d - 1] - index[d] * strides[d];
    index[d] = 0;
    ++index[--d];
  }
}

void gather(const StridedSpace& space, int operand, const void* base, size_t element_size,
            int64_t begin, int64_t count, void* buffer) {
  move_sized<true>(space, operand, const_cast<void*>(base), element_size, begin, count, buffer);
}

void scatter(const StridedSpace& space, int operand, void* base, size_t element_size, int64_t begin,
             int64_t count, const void* buffer) {
  move_sized<false>(space, operand, base, element_size, begin, count, const_cast<void*>(buffer));
}

}  // namespace ampgrad::cpu
