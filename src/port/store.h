/* Seam 3: the journal as the master sees it. Implementations: store/journal, and the simulator's. */
#ifndef REEVE_PORT_STORE_H
#define REEVE_PORT_STORE_H

#include "core/event.h"
#include "reeve/status.h"

typedef struct reeve_journal_port reeve_journal_port;

struct reeve_journal_ops {
    /* Add a record behind the last; the journal sets ev->lsn and ev->sum. In memory or in the page cache until sync.
     * OK | STORE_WRITE. After an error nothing more may be appended. */
    reeve_status (*append)(reeve_journal_port *j, struct reeve_event *ev, struct reeve_error *err);
    /* Everything appended so far survives a power cut when it returns OK. A failed sync is never retried. */
    reeve_status (*sync)(reeve_journal_port *j, struct reeve_error *err);
};

struct reeve_journal_port { const struct reeve_journal_ops *ops; };

#endif
