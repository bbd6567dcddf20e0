// Whether operations are recorded: thread-local, so per JavaScript environment.
#pragma once

namespace ampgrad {

class GradMode {
 public:
  static bool enabled() { return enabled_; }
  static void set_enabled(bool value) { enabled_ = value; }

 private:
  static inline thread_local bool enabled_ = true;
};

class GradModeGuard {
 public:
  explicit GradModeGuard(bool value) : previous_(GradMode::enabled()) {
    GradMode::set_enabled(value);
  }
  ~GradModeGuard() { GradMode::set_enabled(previous_); }
  GradModeGuard(const GradModeGuard&) = delete;
  GradModeGuard& operator=(const GradModeGuard&) = delete;

 private:
  bool previous_;
};

}  // namespace ampgrad
