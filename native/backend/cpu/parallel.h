// The one thread pool of the process. parallel_for splits [0, n) into ranges of at least `grain`
// and runs them on the pool and on the calling thread. Small work stays on the caller. Safe when
// several JavaScript threads call at once (one of them gets the pool, the others run serially)
// and when called from inside a pool task (runs serially).
#pragma once

#include <cstdint>
#include <type_traits>

namespace ampgrad::cpu {

// A non-owning callable reference: no allocation per call.
class RangeFn {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, RangeFn>) RangeFn(const F& f)
      : context_(&f), call_([](const void* context, int64_t begin, int64_t end) {
          (*static_cast<const F*>(context))(begin, end);
        }) {}
  void operator()(int64_t begin, int64_t end) const { call_(context_, begin, end); }

 private:
  const void* context_;
  void (*call_)(const void*, int64_t, int64_t);
};

// fn(begin, end) is called for disjoint ranges that cover [0, n). Exceptions reach the caller.
void parallel_for(int64_t n, int64_t grain, RangeFn fn);

// Number of threads that compute, the caller included. Default: AMPGRAD_NUM_THREADS, otherwise the
// hardware threads this process may run on. Takes effect with the next parallel_for.
int num_threads();
void set_num_threads(int n);

// True where parallel_for runs serially because a range of another one is being worked on.
bool in_parallel_region();

}  // namespace ampgrad::cpu
