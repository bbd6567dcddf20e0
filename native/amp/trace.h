// A record of what autocast did to the calls of a region, for reports. Off unless somebody asks.
#pragma once

#include <string>
#include <vector>

#include "ops/op.h"

namespace ampgrad {

struct TracedCall {
  const OpDef* op = nullptr;
  Cast policy = Cast::None;
  std::vector<std::string> inputs;  // "float32[64, 784]", as the caller gave them
  std::vector<Dims> shapes;
  std::string result;
  int casts = 0;           // made for this call
  int64_t cast_bytes = 0;  // of the results of these casts
  int cached = 0;          // casts found in the cache
};

class AutocastTrace {
 public:
  // The record of this thread, or nullptr.
  static AutocastTrace* current() { return current_; }
  static void start();
  static std::vector<TracedCall> stop();

  void begin(const OpDef& op, const Values& args);
  void policy(Cast policy) { open_.policy = policy; }
  void cast(const Tensor& result, bool cached);
  void end(const Values& results);

 private:
  static inline thread_local AutocastTrace* current_ = nullptr;
  TracedCall open_;
  std::vector<TracedCall> calls_;
};

}  // namespace ampgrad
