// KernelTable[op][device][dtype] -> kernel. Backends fill cells by explicit calls at start-up; an
// empty cell is the one "not implemented" error. There is no other dtype dispatch in the engine.
#pragma once

#include "core/device.h"
#include "core/device_backend.h"
#include "core/error.h"
#include "ops/op.h"
#include "ops/params.h"

namespace ampgrad {

struct KernelCell {
  void (*fn)() = nullptr;  // a KernelFn<Params>, by family
  const void* data = nullptr;
};

class KernelTable {
 public:
  template <class Params>
  static void set(OpId op, DeviceType device, DType dtype, KernelFn<Params> fn,
                  const void* data = nullptr) {
    set_erased(op, device, dtype, {reinterpret_cast<void (*)()>(fn), data});
  }
  static void set_erased(OpId op, DeviceType device, DType dtype, KernelCell kernel) {
    cell(op, device, dtype) = kernel;
  }

  static bool has(OpId op, DeviceType device, DType dtype) {
    return cell(op, device, dtype).fn != nullptr;
  }

  // Runs the kernel of the cell or raises ERR_NOT_IMPLEMENTED naming op, dtype and device.
  template <class Params>
  static void run(OpId op, Device device, DType dtype, const Params& params) {
    const KernelCell& c = cell(op, device.type, dtype);
    AG_CHECK(c.fn != nullptr, NotImplemented, op_name(op), ": not implemented for ",
             dtype_name(dtype), " on ", device_type_name(device.type));
    if (AG_UNLIKELY(!device.is_cpu())) backend_for(device).enter(device.index);
    reinterpret_cast<KernelFn<Params>>(c.fn)(params, c.data);
  }

 private:
  static KernelCell& cell(OpId op, DeviceType device, DType dtype);
};

}  // namespace ampgrad
