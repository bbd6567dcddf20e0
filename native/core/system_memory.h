// What the operating system says about memory: how much there is and how much a new allocation may
// take. Containers count: a control group's limit is the machine's size for those inside.
#pragma once

#include <cstdint>

namespace ampgrad {

// Bytes this process could ever have: physical memory, or less under a control group's limit. 0
// when the system does not say.
uint64_t system_memory_total();

// Bytes that can be allocated now without swapping or being killed; UINT64_MAX when the system does
// not say.
uint64_t system_memory_available();

}  // namespace ampgrad
