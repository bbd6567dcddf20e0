// Work that a thread has put off because it need not be done at once, such as a collection: the
// next loop that runs on several threads does it first, while its helpers have begun, and then
// takes what they have left. On two threads half of its time is saved.
#pragma once

namespace ampgrad {

// Of this thread; replaces what was put off before. nullptr: nothing.
void defer_work(void (*work)());
void run_deferred_work();

}  // namespace ampgrad
