// Device memory for the time of a few launches. Freed as soon as they are queued: the next user of
// the block comes after them on the same stream.
#pragma once

#include "backend/cuda/context.h"
#include "core/error.h"

namespace ampgrad::cuda {

class Scratch {
 public:
  explicit Scratch(size_t bytes)
      : device_(current_context().index),
        bytes_(bytes),
        data_(bytes == 0 ? nullptr : allocate_or_throw(bytes)) {}
  ~Scratch() {
    if (data_ != nullptr) device_context(device_).allocator->release(data_, bytes_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  static void* allocate_or_throw(size_t bytes) {
    void* data = current_context().allocator->allocate(bytes);
    AG_CHECK(data != nullptr, OutOfMemory, "out of memory on cuda:", current_context().index,
             ": a kernel needs ", static_cast<int64_t>(bytes), " bytes of working memory");
    return data;
  }

  int device_;
  size_t bytes_;
  void* data_;
};

}  // namespace ampgrad::cuda
