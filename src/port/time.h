/* Seam 4: time. The real one is base/clock; the simulator's is an integer. */
#ifndef REEVE_PORT_TIME_H
#define REEVE_PORT_TIME_H

#include "reeve/ids.h"

struct reeve_time_port {
    reeve_time_ns (*now)(void *self);
    void *self;
};

#endif
