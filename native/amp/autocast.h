// The state of autocast: per thread, so per JavaScript environment. A region sets it and counts as
// open until it ends; the casts of weights that regions share are dropped when the last one ends.
// Outside every region the pipeline pays one thread-local load and branch (Autocast::active).
#pragma once

#include <array>

#include "core/device.h"
#include "core/dtype.h"
#include "ops/left_casts.h"

namespace ampgrad {

struct AutocastDevice {
  bool enabled = false;
  DType dtype = DType::BFloat16;      // what the policy Lower casts to
  DeviceType list = DeviceType::Cpu;  // whose op list holds; another than its own for rehearsals
  constexpr bool operator==(const AutocastDevice&) const = default;
};

struct AutocastState {
  std::array<AutocastDevice, kNumDeviceTypes> devices{
      AutocastDevice{false, DType::BFloat16, DeviceType::Cpu},
      AutocastDevice{false, DType::Float16, DeviceType::Cuda}};
  bool cache_enabled = true;

  const AutocastDevice& on(DeviceType type) const { return devices[static_cast<size_t>(type)]; }
  bool any() const { return devices[0].enabled || devices[1].enabled; }
};

class Autocast {
 public:
  // True where calls may have to be cast: some device is enabled and no guard is in force.
  static bool active() { return active_; }
  static const AutocastState& state() { return state_; }
  static void set_state(const AutocastState& state);

  // Regions that are open in this thread.
  static int depth() { return depth_; }
  static void enter() { ++depth_; }
  // Returns true when that was the last open region.
  static bool exit() { return depth_ > 0 && --depth_ == 0; }

  // Whether any region was ever enabled in this thread: errors about dtypes then say so.
  static bool ever_used() { return ever_used_; }

 private:
  friend class AutocastOff;
  static inline thread_local bool active_ = false;
  static inline thread_local bool ever_used_ = false;
  static inline thread_local int depth_ = 0;
  static thread_local AutocastState state_;
};

// Below a listed op, in in-place ops and in backward passes nothing is cast. `casts_left`: see
// LeftCasts.
class AutocastOff {
 public:
  explicit AutocastOff(bool casts_left = false)
      : previous_(Autocast::active_), previous_left_(LeftCasts::any_) {
    Autocast::active_ = false;
    LeftCasts::any_ = casts_left;
  }
  ~AutocastOff() {
    Autocast::active_ = previous_;
    LeftCasts::any_ = previous_left_;
  }
  AutocastOff(const AutocastOff&) = delete;
  AutocastOff& operator=(const AutocastOff&) = delete;

 private:
  bool previous_;
  bool previous_left_;
};

}  // namespace ampgrad
