// A reference-counted block of device memory, shared by all views of a tensor, together with the
// version counter that in-place operations bump.
#pragma once

#include <cstdint>
#include <string>

#include "core/allocator.h"
#include "core/intrusive_ptr.h"
#include "core/pool.h"

namespace ampgrad {

class Storage final : public RefCounted, public Pooled<Storage> {
 public:
  Storage(Device device, size_t bytes);
  // Adopts foreign memory; `deleter(context)` runs once when the last view is gone.
  Storage(Device device, void* data, size_t bytes, void (*deleter)(void*), void* context);
  ~Storage() override;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  // Memory that someone else owns, and may write to unseen.
  bool adopted() const { return deleter_ != nullptr; }

  uint32_t version() const { return version_; }
  void bump_version() { ++version_; }

  // Number of storages alive in the process, for leak tests.
  static int64_t live_count();
  // "2 x 512 MiB, 1 x 64 MiB": the largest storages alive on `device`, by size, for the message of
  // an allocation that failed. Empty when none holds 1 MiB or more.
  static std::string largest_holders(Device device);

 private:
  void* data_ = nullptr;
  size_t bytes_;
  Device device_;
  uint32_t version_ = 0;
  void (*deleter_)(void*) = nullptr;
  void* context_ = nullptr;
  IntrusivePtr<MemoryAccount> account_;
};

using StoragePtr = IntrusivePtr<Storage>;

}  // namespace ampgrad
