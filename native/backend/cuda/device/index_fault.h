// What a kernel leaves for the host about an index out of range. In pinned memory, which host and
// device share.
#pragma once

namespace ampgrad::cuda {

struct IndexFault {
  unsigned claimed = 0;  // by the thread that fills in the rest
  int dim = 0;
  long long value = 0;
  long long size = 0;
  const char* op = nullptr;  // a string of the host's
};

}  // namespace ampgrad::cuda
