// A vector of trivially copyable elements with inline room, for sizes and strides: almost every
// tensor has at most six dimensions, and an op must not touch the heap to describe its result.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <new>
#include <type_traits>

#include "core/span.h"

namespace ampgrad {

template <class T, size_t N>
class SmallVector {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  using value_type = T;

  SmallVector() noexcept : data_(inline_), size_(0), capacity_(N) {}
  explicit SmallVector(size_t count, T value = T()) : SmallVector() { resize(count, value); }
  SmallVector(std::initializer_list<T> init) : SmallVector() { assign(init.begin(), init.size()); }
  SmallVector(Span<T> view) : SmallVector() { assign(view.data(), view.size()); }
  template <class It>
  SmallVector(It first, It last) : SmallVector() {
    for (; first != last; ++first) push_back(static_cast<T>(*first));
  }
  SmallVector(const SmallVector& o) : SmallVector() { assign(o.data_, o.size_); }
  SmallVector(SmallVector&& o) noexcept : SmallVector() { steal(o); }
  SmallVector& operator=(const SmallVector& o) {
    if (this != &o) assign(o.data_, o.size_);
    return *this;
  }
  SmallVector& operator=(SmallVector&& o) noexcept {
    if (this != &o) {
      release();
      steal(o);
    }
    return *this;
  }
  ~SmallVector() { release(); }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  T& back() { return data_[size_ - 1]; }
  const T& back() const { return data_[size_ - 1]; }
  T& front() { return data_[0]; }
  const T& front() const { return data_[0]; }

  void clear() { size_ = 0; }
  void reserve(size_t capacity) {
    if (capacity > capacity_) grow(capacity);
  }
  void resize(size_t count, T value = T()) {
    reserve(count);
    for (size_t i = size_; i < count; ++i) data_[i] = value;
    size_ = static_cast<uint32_t>(count);
  }
  void push_back(T value) {
    if (size_ == capacity_) grow(2 * static_cast<size_t>(capacity_));
    data_[size_++] = value;
  }
  void pop_back() { --size_; }
  void insert(size_t position, T value) {
    push_back(value);
    for (size_t i = size_ - 1; i > position; --i) data_[i] = data_[i - 1];
    data_[position] = value;
  }
  void erase(size_t position) {
    for (size_t i = position; i + 1 < size_; ++i) data_[i] = data_[i + 1];
    --size_;
  }
  void assign(const T* values, size_t count) {
    reserve(count);
    if (count != 0) std::memmove(data_, values, count * sizeof(T));
    size_ = static_cast<uint32_t>(count);
  }

  operator Span<T>() const { return Span<T>(data_, size_); }
  friend bool operator==(const SmallVector& a, const SmallVector& b) {
    return Span<T>(a) == Span<T>(b);
  }

 private:
  void grow(size_t capacity) {
    T* data = static_cast<T*>(::operator new(capacity * sizeof(T)));
    std::memcpy(data, data_, size_ * sizeof(T));
    release();
    data_ = data;
    capacity_ = static_cast<uint32_t>(capacity);
  }
  void release() {
    if (data_ != inline_) ::operator delete(data_);
    data_ = inline_;
    capacity_ = N;
  }
  void steal(SmallVector& o) {
    if (o.data_ == o.inline_) {
      std::memcpy(inline_, o.inline_, o.size_ * sizeof(T));
      data_ = inline_;
      capacity_ = N;
    } else {
      data_ = o.data_;
      capacity_ = o.capacity_;
      o.data_ = o.inline_;
      o.capacity_ = N;
    }
    size_ = o.size_;
    o.size_ = 0;
  }

  T* data_;
  uint32_t size_;
  uint32_t capacity_;
  T inline_[N];
};

}  // namespace ampgrad
