// Puts the matrix product into the cells of the ops that are one: mm, bmm, linear and those with an
// added term.
#include "backend/cpu/gemm.h"
#include "backend/cpu/register.h"
#include "ops/kernels.h"

namespace ampgrad::cpu {

namespace {
void gemm_cell(const GemmParams& params, const void*) { gemm(params); }
}  // namespace

void register_gemm() {
  for (OpId op : {OpId::mm, OpId::bmm, OpId::linear, OpId::mv, OpId::dot, OpId::addmm, OpId::addmv,
                  OpId::addr, OpId::baddbmm}) {
    for (int i = 0; i < kNumDTypes; ++i) {
      const auto dtype = static_cast<DType>(i);
      if (dtypes::kNumeric.has(dtype)) {
        KernelTable::set<GemmParams>(op, DeviceType::Cpu, dtype, gemm_cell);
      }
    }
  }
  for (DType dtype : {DType::Float16, DType::BFloat16, DType::Float32, DType::Float64}) {
    KernelTable::set<GemmParams>(OpId::nativeFeedForward, DeviceType::Cpu, dtype, gemm_cell);
  }
}

}  // namespace ampgrad::cpu
