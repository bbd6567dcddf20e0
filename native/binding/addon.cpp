// The addon's entry point. Every environment that loads it gets its own EnvState; the op registry,
// the kernels, the allocator and the thread pool are shared by the process.
#include "backend/cpu/register.h"
#include "backend/cuda/register.h"
#include "binding/call.h"
#include "binding/function.h"
#include "core/device_backend.h"
#include "core/system_block.h"

NAPI_MODULE_INIT(/* napi_env env, napi_value exports */) {
  using namespace ampgrad::binding;
  try {
    ampgrad::keep_small_memory();
    ampgrad::register_cpu_backend();
    ampgrad::set_cuda_finder(&ampgrad::register_cuda_backend);
    auto* state = new EnvState();
    state->env = env;
    check_status(env, napi_set_instance_data(env, state, close_env, nullptr));
    export_op_functions(env, exports);
    export_tensor_functions(env, exports);
    export_data_functions(env, exports);
    export_pixel_functions(env, exports);
    export_autograd_functions(env, exports);
    export_runtime_functions(env, exports);
    export_amp_functions(env, exports);
    export_cuda_functions(env, exports);
  } catch (...) {
    failure(env);
    return nullptr;
  }
  return exports;
}
