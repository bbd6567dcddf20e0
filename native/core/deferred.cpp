#include "core/deferred.h"

#include <utility>

namespace ampgrad {

namespace {

thread_local void (*deferred)() = nullptr;

}  // namespace

void defer_work(void (*work)()) { deferred = work; }

void run_deferred_work() {
  if (deferred != nullptr) std::exchange(deferred, nullptr)();
}

}  // namespace ampgrad
