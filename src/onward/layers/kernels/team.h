/* A few threads that help the one that calls, and sleep in between. */

#ifndef ONWARD_TEAM_H
#define ONWARD_TEAM_H

#include <stdint.h>

/* Calls work(argument, i) for every i below count, in up to so many threads, and returns after the last call.
 * The caller works as well, on all that no helper has begun; where a team is at work already, or threads
 * cannot be had, on everything. */
void share_out(void (*work)(void *argument, int64_t i), void *argument, int64_t count, int64_t threads);

#endif
