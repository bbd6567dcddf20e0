// A vector of any movable type with inline room, for argument lists: a call must not touch the heap
// to carry a handful of values.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <new>
#include <utility>

namespace ampgrad {

template <class T, size_t N>
class InlineVector {
 public:
  using value_type = T;

  InlineVector() noexcept : data_(inline_data()) {}
  explicit InlineVector(size_t count) : InlineVector() { resize(count); }
  InlineVector(std::initializer_list<T> init) : InlineVector() {
    reserve(init.size());
    for (const T& v : init) push_back(v);
  }
  InlineVector(const InlineVector& o) : InlineVector() {
    reserve(o.size_);
    for (const T& v : o) push_back(v);
  }
  InlineVector(InlineVector&& o) noexcept : InlineVector() { take(o); }
  InlineVector& operator=(const InlineVector& o) {
    if (this != &o) *this = InlineVector(o);
    return *this;
  }
  InlineVector& operator=(InlineVector&& o) noexcept {
    if (this != &o) {
      clear();
      release();
      take(o);
    }
    return *this;
  }
  ~InlineVector() {
    clear();
    release();
  }

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

  void reserve(size_t capacity) {
    if (capacity > capacity_) grow(capacity);
  }
  void resize(size_t count) {
    reserve(count);
    while (size_ < count) std::construct_at(data_ + size_++);
    while (size_ > count) std::destroy_at(data_ + --size_);
  }
  void clear() { resize(0); }
  template <class... A>
  T& emplace_back(A&&... args) {
    if (size_ == capacity_) {
      // The arguments may live in this vector.
      T value(std::forward<A>(args)...);
      grow(2 * capacity_);
      return *std::construct_at(data_ + size_++, std::move(value));
    }
    return *std::construct_at(data_ + size_++, std::forward<A>(args)...);
  }
  void push_back(const T& v) { emplace_back(v); }
  void push_back(T&& v) { emplace_back(std::move(v)); }

 private:
  T* inline_data() { return reinterpret_cast<T*>(room_); }
  bool is_inline() const { return reinterpret_cast<const std::byte*>(data_) == room_; }

  void grow(size_t capacity) {
    T* data = static_cast<T*>(::operator new(capacity * sizeof(T)));
    std::uninitialized_move_n(data_, size_, data);
    std::destroy_n(data_, size_);
    release();
    data_ = data;
    capacity_ = capacity;
  }
  void release() {
    if (!is_inline()) ::operator delete(data_);
    data_ = inline_data();
    capacity_ = N;
  }
  // This vector is empty and inline.
  void take(InlineVector& o) noexcept {
    if (o.is_inline()) {
      std::uninitialized_move_n(o.data_, o.size_, data_);
      size_ = o.size_;
      o.clear();
    } else {
      data_ = std::exchange(o.data_, o.inline_data());
      capacity_ = std::exchange(o.capacity_, N);
      size_ = std::exchange(o.size_, 0);
    }
  }

  T* data_;
  size_t size_ = 0;
  size_t capacity_ = N;
  alignas(T) std::byte room_[N * sizeof(T)];
};

}  // namespace ampgrad
