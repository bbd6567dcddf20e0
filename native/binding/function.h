// Helpers for the hand-written exports (everything that is not an op): one entry wrapper that turns
// C++ exceptions into failures, and readers for arguments.
#pragma once

#include "binding/env.h"

namespace ampgrad::binding {

inline constexpr size_t kMaxFunctionArgs = 10;

struct Call {
  napi_env env;
  EnvState* state;
  size_t argc;
  napi_value argv[kMaxFunctionArgs];

  const Tensor& tensor(size_t i, const char* where) const {
    return tensor_argument(env, argv[i], where);
  }
  bool is_absent(size_t i) const;
  bool boolean(size_t i) const;
  int64_t integer(size_t i, const char* where) const;
  std::string string(size_t i) const { return string_of(env, argv[i]); }
  Dims dims(size_t i, const char* where) const;
  DType dtype(size_t i, const char* where) const;
  // null and undefined elements become undefined tensors.
  TensorList tensors(size_t i, const char* where) const;

  napi_value undefined() const;
  napi_value null() const;
  napi_value boolean_value(bool b) const;
  napi_value number(double d) const;
  napi_value text(std::string_view s) const;
  napi_value ints(DimsView values) const;
  napi_value wrap(const Tensor& t) const;  // null when undefined
  napi_value wrap_list(const TensorList& list) const;
};

using Function = napi_value (*)(const Call&);

template <Function F>
napi_value entry(napi_env env, napi_callback_info info) {
  Call call{};
  call.env = env;
  call.argc = kMaxFunctionArgs;
  // Arguments beyond those given are filled with undefined.
  if (napi_get_cb_info(env, info, &call.argc, call.argv, nullptr, nullptr) != napi_ok)
    return nullptr;
  call.state = env_state(env);
  try {
    return F(call);
  } catch (...) {
    return failure(env);
  }
}

struct Export {
  const char* name;
  napi_callback callback;
};

void export_functions(napi_env env, napi_value exports, const Export* list, size_t count);

// Each file's exports.
void export_tensor_functions(napi_env env, napi_value exports);
void export_data_functions(napi_env env, napi_value exports);
void export_pixel_functions(napi_env env, napi_value exports);
void export_autograd_functions(napi_env env, napi_value exports);
void export_runtime_functions(napi_env env, napi_value exports);
void export_amp_functions(napi_env env, napi_value exports);
void export_cuda_functions(napi_env env, napi_value exports);

}  // namespace ampgrad::binding
