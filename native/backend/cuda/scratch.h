// Device memory for the time of a few launches. Freed as soon as they are queued: the next user of
// the block comes after them on the same stream.
#pragma once

#include "backend/cuda/context.h"

namespace ampgrad::cuda {

class Scratch {
 public:
  explicit Scratch(size_t bytes)
      : device_(current_context().index),
        bytes_(bytes),
        data_(bytes == 0 ? nullptr : host().allocate(device_, bytes)) {}
  ~Scratch() {
    if (data_ != nullptr) release_memory(device_, data_, bytes_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  int device_;
  size_t bytes_;
  void* data_;
};

}  // namespace ampgrad::cuda
