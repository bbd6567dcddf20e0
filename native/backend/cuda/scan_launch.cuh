// Which way a running fold is run.
#pragma once

#include <algorithm>

#include "backend/cuda/check.h"
#include "backend/cuda/context.h"
#include "backend/cuda/scan.cuh"
#include "backend/cuda/scratch.h"

namespace ampgrad::cuda {

inline constexpr int64_t kShortScan = 32;
inline constexpr int64_t kShortColumn = 512;  // where neighbouring threads read neighbours
inline constexpr int64_t kSplitScan = 16384;  // worth several blocks
inline constexpr int64_t kScanPart = 8192;
inline constexpr int64_t kMaxScanParts = 256;

template <class S, class Step>
void run_scan(const ScanParams& p, const void* name_of_row) {
  const int64_t lines = p.outer * p.inner;
  if (lines == 0 || p.size == 0) return;
  const auto* name = static_cast<const char*>(name_of_row);
  const int64_t processors = current_context().properties.multiProcessorCount;
  const bool columns = p.inner >= 32 && p.size <= kShortColumn;
  if (p.size <= kShortScan || columns || lines >= processors * kBlockThreads || lines > INT32_MAX) {
    launch(name, {grid_for(lines, kBlockThreads), kBlockThreads}, scan_lines_kernel<S, Step>, p);
    return;
  }
  int64_t parts = 1;
  if (p.size >= kSplitScan && lines < processors) {
    parts = std::min(kMaxScanParts, (p.size + kScanPart - 1) / kScanPart);
  }
  const int64_t part_size = (p.size + parts - 1) / parts;
  const LaunchShape shape{dim3(static_cast<unsigned>(lines), static_cast<unsigned>(parts)),
                          kBlockThreads};
  using Acc = typename Step::Acc;
  const Scratch scratch(parts > 1 ? static_cast<size_t>(lines * parts) * sizeof(Acc) : 0);
  if (parts > 1) launch(name, shape, scan_parts_kernel<S, Step>, p, part_size, scratch.as<Acc>());
  launch(name, shape, scan_block_kernel<S, Step>, p, part_size, scratch.as<Acc>());
}

}  // namespace ampgrad::cuda
