#include "binding/env.h"

#include <algorithm>
#include <cmath>
#include <new>

#include "amp/cast_cache.h"
#include "autograd/anomaly.h"
#include "backend/cpu/parallel.h"
#include "core/deferred.h"

namespace ampgrad::binding {

namespace {

thread_local EnvState* thread_state = nullptr;

constexpr int64_t kMiB = int64_t{1} << 20;
constexpr int64_t kSmallestStep = 7 * kMiB;
constexpr int64_t kLargestStep = 64 * kMiB;
constexpr int64_t kMajorFloor = 160 * kMiB;
constexpr int64_t kReportStep = 32 * kMiB;

int64_t live_bytes() { return thread_memory_account()->live_bytes.load(std::memory_order_relaxed); }

// The live bytes at which young objects are collected again. What lives through two collections is
// out of their reach, so while results outlive them, as in the forward pass of a large model, or
// are large, a quarter of what is alive may be added before the next. But where results die young
// two of them have to do: much of what is alive may be garbage that only a collection of everything
// finds.
int64_t next_minor_trigger(const EnvState* state) {
  const int64_t live = live_bytes();
  const int64_t most = state->dies_young ? 2 * state->largest : live;
  return live + std::max(state->minor_step, std::min(live / 4, most));
}

// The live handles at which they are. V8 collects young objects when they fill their space, which
// grows with what a program has kept; small tensors then leave many times a cache's size of memory
// behind between two collections, and each takes half as long again. Fewer than the pools of
// tensors keep (core/pool.h), so that these need no malloc.
int64_t next_handle_trigger(const EnvState* state) {
  constexpr int64_t kStep = 8'000;
  return state->live_handles + std::max(kStep, state->live_handles / 4);
}

// Collections that V8 makes on its own lower the watermarks too: one that follows a live set long
// gone would let garbage pile up, each result in fresh memory.
void release_handle(napi_env, void* data, void*) {
  auto* handle = static_cast<Handle*>(data);
  EnvState* state = handle->state;
  delete handle;
  if (--state->live_handles == 0 && state->closed) {
    delete state;
  } else if (!state->collecting) {
    state->minor_trigger = std::min(state->minor_trigger, next_minor_trigger(state));
    state->handle_trigger = std::min(state->handle_trigger, next_handle_trigger(state));
  }
}

using Clock = std::chrono::steady_clock;

// Where JavaScript allocates less than 1000 bytes a millisecond, V8 takes a program for idle: after
// a collection of young objects it gives half of their pages back to the system, and maps them
// again for the next. That costs more than the collection, and every core is interrupted to forget
// the pages' addresses. Handles of large tensors are that few; some garbage makes up for them.
void look_busy(EnvState* state) {
  constexpr int64_t kBytesPerMicrosecond = 4;
  constexpr int64_t kMost = int64_t{64} << 10;
  static const std::string text(kMost, ' ');
  const auto since =
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - state->last_collection);
  const int64_t bytes = std::min(since.count() * kBytesPerMicrosecond, kMost);
  napi_handle_scope scope;
  napi_value garbage;
  if (napi_open_handle_scope(state->env, &scope) != napi_ok) return;
  napi_create_string_latin1(state->env, text.data(), static_cast<size_t>(bytes), &garbage);
  napi_close_handle_scope(state->env, scope);
}

void run_collector(EnvState* state, bool major) {
  napi_handle_scope scope;
  napi_value collect;
  napi_value undefined;
  napi_value argument;
  if (napi_open_handle_scope(state->env, &scope) != napi_ok) return;
  state->collecting = true;
  if (!major) look_busy(state);
  if (napi_get_reference_value(state->env, state->collect, &collect) == napi_ok &&
      napi_get_undefined(state->env, &undefined) == napi_ok &&
      napi_get_boolean(state->env, major, &argument) == napi_ok) {
    // A worker that is being terminated refuses the call; the allocation then simply goes on.
    napi_call_function(state->env, undefined, collect, 1, &argument, nullptr);
  }
  state->collecting = false;
  ++(major ? state->major_collections : state->minor_collections);
  napi_close_handle_scope(state->env, scope);
}

// Tells V8 about memory it cannot see: what outlived a collection of everything, and what has gone
// since. Every report that grows starts a collection of V8's own, which results that come and go
// are no reason for.
void report_external(EnvState* state, bool all_collected) {
  const int64_t live = live_bytes();
  const int64_t change = live - state->reported_external;
  if (change > -kReportStep && (change < kReportStep || !all_collected)) return;
  int64_t total = 0;
  napi_adjust_external_memory(state->env, change, &total);
  state->reported_external = live;
}

// How much may be allocated before young objects are collected again. A short step lets results
// land in memory that is still in the cache: three results of 4 MB in turn are written half as fast
// again as eight. But each collection costs tens of microseconds, and objects that live through two
// of them are out of reach of the next. So the step grows when a collection took a fifth of the
// time or freed little, and shrinks when it took less than a seventh.
void adapt_step(EnvState* state, int64_t freed, Clock::duration spent, Clock::duration between) {
  if (freed < state->minor_step / 2 || between < spent * 4) {
    state->minor_step = std::min(state->minor_step / 2 * 3, kLargestStep);
  } else if (between > spent * 6) {
    state->minor_step = std::max(state->minor_step / 3 * 2, kSmallestStep);
  }
}

// `meanwhile`: helpers are at work, and this thread will take over less of it.
void collect_young(EnvState* state, bool meanwhile) {
  const auto begin = Clock::now();
  const int64_t before = live_bytes();
  run_collector(state, false);
  const auto end = Clock::now();
  const auto spent = meanwhile ? (end - begin) / 2 : end - begin;
  const int64_t freed = before - live_bytes();
  state->dies_young = freed >= (before - state->live_after) / 8 * 7;
  adapt_step(state, freed, spent, begin - state->last_collection);
  state->last_collection = end;
}

// A collection of everything moves what is alive out of reach of the next ones of young objects: a
// result of 100 MB that the loop still held is garbage soon, and would by itself be the reason for
// the next. So where such collections take a sixteenth of the time more may be alive before the
// next, up to three times of what is alive now.
void collect_all(EnvState* state) {
  constexpr int64_t kMostSlack = 4;
  const auto begin = Clock::now();
  run_collector(state, true);
  const auto end = Clock::now();
  const auto spent = end - begin;
  const auto between = begin - state->last_major;
  if (between < spent * 16) {
    state->major_slack = std::min(state->major_slack * 2, kMostSlack);
  } else if (between > spent * 64) {
    state->major_slack = std::max<int64_t>(state->major_slack / 2, 1);
  }
  state->last_major = end;
  const int64_t live = live_bytes();
  state->major_trigger = std::max(kMajorFloor, live + live / 2 * state->major_slack);
}

// A synchronous loop never returns to the event loop, so V8 has no reason to collect the small
// objects that hold large memory. When live bytes pass the watermark, collect young objects; when
// these do not suffice, everything. Both marks follow the live set.
void relieve(EnvState* state, bool failed, bool meanwhile) {
  failed ? run_collector(state, true) : collect_young(state, meanwhile);
  const bool all = live_bytes() > state->major_trigger;
  if (all) collect_all(state);
  state->minor_trigger = next_minor_trigger(state);
  state->handle_trigger = next_handle_trigger(state);
  state->live_after = live_bytes();
  state->largest = 0;
  report_external(state, all || failed);
}

// Many small tensors: how often bytes are collected does not depend on these.
void relieve_handles(EnvState* state) {
  run_collector(state, false);
  state->handle_trigger = next_handle_trigger(state);
  state->live_after = live_bytes();
}

void relieve_meanwhile() {
  EnvState* state = thread_state;
  if (state != nullptr && !state->collecting) relieve(state, false, true);
}

// Just past the watermark the collection may wait for a loop that helpers take part in, most often
// the one that fills the new block.
void on_pressure(size_t size, bool failed) {
  EnvState* state = thread_state;
  if (state == nullptr || state->collect == nullptr || state->collecting) return;
  state->largest = std::max(state->largest, static_cast<int64_t>(size));
  const int64_t over = live_bytes() - state->minor_trigger;
  if (!failed && over < 0) {
    if (state->live_handles >= state->handle_trigger) relieve_handles(state);
    return;
  }
  const bool may_wait = !failed && over < state->minor_step / 2 && cpu::num_threads() > 1;
  defer_work(may_wait ? relieve_meanwhile : nullptr);
  if (!may_wait) relieve(state, failed, false);
}

}  // namespace

void EnvState::drop_dead_refs() {
  for (napi_ref ref : dead_refs) napi_delete_reference(env, ref);
  dead_refs.clear();
}

EnvState* env_state(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  return static_cast<EnvState*>(data);
}

void close_env(napi_env, void* data, void*) {
  auto* state = static_cast<EnvState*>(data);
  // Both may hold what belongs to this environment.
  AnomalyMode::disable();
  CastCache::get().clear();
  remove_pressure_hook(state);
  state->closed = true;
  state->dead_refs.clear();
  if (state->live_handles == 0) delete state;
}

void install_pressure_hook(EnvState* state) {
  state->minor_step = kSmallestStep;
  state->minor_trigger = kSmallestStep;
  state->handle_trigger = next_handle_trigger(state);
  state->last_collection = Clock::now();
  state->last_major = state->last_collection;
  state->major_trigger = kMajorFloor;
  thread_state = state;
  set_thread_pressure_hook(on_pressure);
}

void remove_pressure_hook(EnvState* state) {
  if (thread_state != state) return;
  thread_state = nullptr;
  defer_work(nullptr);
  set_thread_pressure_hook(nullptr);
}

namespace {

// code == nullptr: `detail` is a value that JavaScript threw.
napi_value call_make_failure(napi_env env, const char* code, napi_value detail) {
  EnvState* state = env_state(env);
  napi_value make_failure;
  napi_value arguments[2];
  napi_value result;
  const auto made = [&] {
    return napi_get_reference_value(env, state->make_failure, &make_failure) == napi_ok &&
           (code == nullptr
                ? napi_get_undefined(env, &arguments[0])
                : napi_create_string_utf8(env, code, NAPI_AUTO_LENGTH, &arguments[0])) == napi_ok &&
           napi_call_function(env, make_failure, make_failure, 2, arguments, &result) == napi_ok;
  };
  arguments[1] = detail;
  if (state == nullptr || state->make_failure == nullptr || !made()) return nullptr;
  return result;
}

napi_value error_failure(napi_env env, const char* code, const std::string& message) {
  napi_value text;
  if (napi_create_string_utf8(env, message.data(), message.size(), &text) == napi_ok) {
    const napi_value result = call_make_failure(env, code, text);
    if (result != nullptr) return result;
  }
  // Before setup, or when JavaScript cannot run any more.
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (!pending) napi_throw_error(env, code, message.c_str());
  return nullptr;
}

napi_value pending_failure(napi_env env) {
  napi_value thrown;
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) != napi_ok || !pending) return nullptr;
  if (napi_get_and_clear_last_exception(env, &thrown) != napi_ok) return nullptr;
  const napi_value result = call_make_failure(env, nullptr, thrown);
  if (result == nullptr) napi_throw(env, thrown);
  return result;
}

}  // namespace

napi_value failure(napi_env env) noexcept {
  try {
    throw;
  } catch (const JsException&) {
    return pending_failure(env);
  } catch (const Error& e) {
    return error_failure(env, error_code_name(e.code()), e.message());
  } catch (const std::bad_alloc&) {
    return error_failure(env, "ERR_OOM", "out of memory on cpu: the system refused an allocation");
  } catch (const std::exception& e) {
    return error_failure(env, "ERR_INTERNAL", std::string("internal error: ") + e.what());
  } catch (...) {
    return error_failure(env, "ERR_INTERNAL", "internal error of unknown kind");
  }
}

namespace {

// What Node-API wanted, where it refused a value for its type.
const char* expected_by(napi_status status) {
  switch (status) {
    case napi_object_expected:
      return "an object";
    case napi_string_expected:
      return "a string";
    case napi_function_expected:
      return "a function";
    case napi_number_expected:
      return "a number";
    case napi_boolean_expected:
      return "a boolean";
    case napi_array_expected:
      return "an array";
    case napi_bigint_expected:
      return "a bigint";
    default:
      return nullptr;
  }
}

}  // namespace

void check_status(napi_env env, napi_status status) {
  if (AG_LIKELY(status == napi_ok)) return;
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (pending || status == napi_pending_exception || status == napi_cannot_run_js ||
      status == napi_closing) {
    throw JsException();
  }
  const char* expected = expected_by(status);
  AG_CHECK(expected == nullptr, Type, "an argument has the wrong type: expected ", expected);
  AG_FAIL(Internal, "internal error: Node-API call failed with status ",
          static_cast<int64_t>(status));
}

napi_value wrap_tensor(EnvState* state, const Tensor& t) {
  auto* handle = new Handle{{}, t, state};
  napi_value external;
  const napi_status status =
      napi_create_external(state->env, handle, release_handle, nullptr, &external);
  if (status != napi_ok) {
    delete handle;
    check_status(state->env, status);
  }
  ++state->live_handles;
  return external;
}

Handle* handle_of(napi_env env, napi_value value) {
  void* data = nullptr;
  if (napi_get_value_external(env, value, &data) != napi_ok) return nullptr;
  return static_cast<Handle*>(data);
}

const Tensor& tensor_argument(napi_env env, napi_value value, const char* where) {
  const Handle* handle = handle_of(env, value);
  AG_CHECK(handle != nullptr, Type, where, ": must be a Tensor, got ", describe_value(env, value));
  AG_CHECK(handle->tensor.defined(), Disposed, where, ": the tensor was disposed");
  return handle->tensor;
}

std::string string_of(napi_env env, napi_value value) {
  char buffer[128];
  size_t length = 0;
  check_status(env, napi_get_value_string_utf8(env, value, nullptr, 0, &length));
  if (length < sizeof(buffer)) {
    check_status(env, napi_get_value_string_utf8(env, value, buffer, sizeof(buffer), &length));
    return std::string(buffer, length);
  }
  std::string text(length + 1, '\0');
  check_status(env, napi_get_value_string_utf8(env, value, text.data(), text.size(), &length));
  text.resize(length);
  return text;
}

std::string describe_value(napi_env env, napi_value value) {
  napi_valuetype type = napi_undefined;
  check_status(env, napi_typeof(env, value, &type));
  switch (type) {
    case napi_undefined:
      return "undefined";
    case napi_null:
      return "null";
    case napi_boolean: {
      bool b = false;
      napi_get_value_bool(env, value, &b);
      return b ? "boolean true" : "boolean false";
    }
    case napi_number: {
      double d = 0;
      napi_get_value_double(env, value, &d);
      detail::MessageBuilder text;
      text << "number " << d;
      return text.take();
    }
    case napi_string: {
      std::string text = string_of(env, value);
      if (text.size() > 40) text = text.substr(0, 40) + "...";
      return "string \"" + text + "\"";
    }
    case napi_external:
      return "a Tensor";
    case napi_function:
      return "a function";
    case napi_symbol:
      return "a symbol";
    case napi_bigint:
      return "a bigint";
    case napi_object: {
      bool is_array = false;
      napi_is_array(env, value, &is_array);
      return is_array ? "an array" : "an object";
    }
  }
  return "a value of unknown kind";
}

}  // namespace ampgrad::binding
