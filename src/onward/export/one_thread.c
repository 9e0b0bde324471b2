/* Replaces the thread pool of layers/kernels/team.c in WebAssembly, which has one thread. */

#include "team.h"

void share_out(void (*work)(void *argument, int64_t i), void *argument, int64_t count, int64_t threads)
{
    (void)threads;
    for (int64_t i = 0; i < count; i++)
        work(argument, i);
}
