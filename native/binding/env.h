// What one JavaScript environment (main thread, worker, vm context) owns: error constructors, the
// collector function, references waiting to be dropped. Lives as Node-API instance data, so the
// addon can be loaded by several environments at once and torn down with any of them.
#pragma once

#include <node_api.h>

#include <chrono>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "ops/op.h"

namespace ampgrad::binding {

struct EnvState;

// The function of an op: which one, and in whose environment.
struct OpBinding {
  const OpDef* op;
  bool in_place;
  EnvState* state;
};

struct EnvState {
  napi_env env = nullptr;
  std::deque<OpBinding> ops;        // callback data of the functions of ops, which stays in place
  napi_ref make_failure = nullptr;  // (code, detail) => Failure, from lib/native.ts
  napi_ref collect = nullptr;       // (major: boolean) => void, from lib/memory.ts
  // References released inside the collector, where Node-API must not be called.
  std::vector<napi_ref> dead_refs;
  int64_t live_handles = 0;
  std::optional<Device> default_device;  // of factories that are given none
  bool closed = false;                   // the environment is gone; the last handle deletes this
  // Watermarks of the collector, in bytes of live storages of this thread.
  int64_t minor_trigger = 0;
  int64_t minor_step = 0;
  int64_t live_after = 0;  // bytes that outlived the last collection
  bool dies_young = true;  // one for bytes freed all but an eighth of what had come since the last
  int64_t largest = 0;     // bytes of the largest allocation since the trigger was set
  int64_t handle_trigger = 0;  // in handles
  int64_t major_trigger = 0;
  int64_t major_slack = 1;  // halves of what is alive that may come before everything is collected
  int64_t minor_collections = 0;
  int64_t major_collections = 0;
  bool collecting = false;
  int64_t reported_external = 0;
  std::chrono::steady_clock::time_point last_collection;
  std::chrono::steady_clock::time_point last_major;

  void drop_dead_refs();
};

EnvState* env_state(napi_env env);

// What a JavaScript Tensor holds through a Node-API external.
struct Handle : Pooled<Handle> {
  Tensor tensor;
  EnvState* state;
};

// A pending JavaScript exception travelling through C++ frames.
struct JsException {};

// The result of a callback that failed with the C++ exception being handled: an object that says
// what lib/native.ts shall throw. Node must not find a pending exception when a callback ends:
// throwing it allocates, which can start the collector, whose finalizers would take the exception
// for their own and end the process.
napi_value failure(napi_env env) noexcept;

// Raises if a Node-API call failed because JavaScript threw, or by our mistake.
void check_status(napi_env env, napi_status status);

napi_value wrap_tensor(EnvState* state, const Tensor& t);
// The handle of an external, or nullptr if the value is something else.
Handle* handle_of(napi_env env, napi_value value);
// The tensor of an argument; raises ERR_TYPE or ERR_DISPOSED naming where.
const Tensor& tensor_argument(napi_env env, napi_value value, const char* where);

std::string string_of(napi_env env, napi_value value);
// "number 1.5", "string \"x\"", "null", for messages.
std::string describe_value(napi_env env, napi_value value);

// Instance data finalizer.
void close_env(napi_env env, void* data, void* hint);

// Makes this thread's allocator ask this environment for collections.
void install_pressure_hook(EnvState* state);
void remove_pressure_hook(EnvState* state);

}  // namespace ampgrad::binding
