// Reads of the same columns of every row.
#pragma once

#include "ops/indexing_params.h"

namespace ampgrad::cpu {

// Does it if `p` is such a read; false where it is not.
template <class T>
bool read_columns(const IndexedParams& p);

}  // namespace ampgrad::cpu
