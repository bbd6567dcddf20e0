// Casts of weights that the calls of a region share. An entry belongs to one state of one tensor:
// the same handle, on the same memory, at the same version, cast to the same dtype. A weight that
// was modified, or a region of another dtype, therefore never meets an old cast.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "core/tensor.h"

namespace ampgrad {

class CastCache {
 public:
  // Of this thread.
  static CastCache& get();

  // Undefined when there is none, or it is of another time.
  Tensor find(const Tensor& source, DType dtype);
  void insert(const Tensor& source, const Tensor& cast);
  void clear();

  size_t size() const { return entries_.size(); }
  int64_t bytes() const;

 private:
  struct Key {
    const TensorImpl* source;
    DType dtype;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& k) const {
      return std::hash<const void*>()(k.source) ^ static_cast<size_t>(k.dtype);
    }
  };
  // Holds its source, so that no other tensor can take its address.
  struct Entry {
    Tensor source;
    StoragePtr storage;
    uint32_t version;
    int64_t offset;
    Dims sizes;
    Dims strides;
    Tensor cast;
    uint32_t cast_version;

    bool fresh() const;
  };

  std::unordered_map<Key, Entry, KeyHash> entries_;
};

}  // namespace ampgrad
