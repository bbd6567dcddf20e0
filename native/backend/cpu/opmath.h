// Runs of a storage type S seen as the type T that arithmetic is done in: in place when the two are
// the same, through a caller's buffer otherwise. For kernels that are written once over T.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

#include "backend/cpu/convert.h"

namespace ampgrad::cpu {

template <class S>
using OpMath = std::conditional_t<std::is_same_v<S, double>, double, float>;

template <class S>
class OpMathIo {
 public:
  using T = OpMath<S>;
  static constexpr bool kDirect = std::is_same_v<S, T>;

  OpMathIo()
      : load_(kDirect ? nullptr : convert_fn(dtype_of<S>, dtype_of<T>)),
        store_(kDirect ? nullptr : convert_fn(dtype_of<T>, dtype_of<S>)) {}

  // n elements of T for callers of load and target; null when S needs none.
  static std::unique_ptr<T[]> buffer(int64_t n) {
    return std::unique_ptr<T[]>(kDirect ? nullptr : new T[static_cast<size_t>(n)]);
  }

  const T* load(const S* from, int64_t n, T* buffer) const {
    if constexpr (kDirect) {
      return from;
    } else {
      load_(from, buffer, static_cast<size_t>(n));
      return buffer;
    }
  }
  // Where to compute what `store` then writes to `to`.
  static T* target(S* to, T* buffer) {
    if constexpr (kDirect) {
      return to;
    } else {
      return buffer;
    }
  }
  void store(const T* from, S* to, int64_t n) const {
    if constexpr (!kDirect) store_(from, to, static_cast<size_t>(n));
  }

 private:
  ConvertFn load_;
  ConvertFn store_;
};

// A parameter vector of any dtype, read once as T. Empty (null) stays null.
template <class T>
class OpMathVector {
 public:
  OpMathVector(const void* data, DType dtype, int64_t n) : data_(static_cast<const T*>(data)) {
    if (data == nullptr || dtype == dtype_of<T>) return;
    copy_.reset(new T[static_cast<size_t>(n)]);
    convert_fn(dtype, dtype_of<T>)(data, copy_.get(), static_cast<size_t>(n));
    data_ = copy_.get();
  }
  const T* data() const { return data_; }
  T at(int64_t i, T otherwise) const { return data_ == nullptr ? otherwise : data_[i]; }

 private:
  const T* data_;
  std::unique_ptr<T[]> copy_;
};

}  // namespace ampgrad::cpu
