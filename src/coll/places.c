/* Who is where; see places.h. */
#include "coll/places.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/launch_id.h"
#include "base/log.h"
#include "coll/border.h"
#include "coll/tags.h"

#define NAME_BYTES 96

/* Every worker says which rank is its host's first; the hosts are the distinct answers in order. */
static int list_hosts(struct places *p, MPI_Comm comm, int size, int rank, int first_rank)
{
    int *all = p->first_ranks; /* room for one per worker */
    int rc = MPI_Allgather(&first_rank, 1, MPI_INT, all, 1, MPI_INT, comm);
    if (rc != MPI_SUCCESS) return rc;
    p->host_count = 0;
    for (int r = 0; r < size; r++) {
        if (all[r] != r) continue; /* not the first of its host */
        if (r == first_rank) p->host = p->host_count;
        all[p->host_count++] = r; /* host_count <= r: overwrites only what was read */
    }
    REEVE_ASSERT(rank >= first_rank && p->host < p->host_count);
    return MPI_SUCCESS;
}

static int split_hosts(MPI_Comm comm, uint32_t host_size, int rank, MPI_Comm *host)
{
    if (host_size == 0) return MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, host);
    return MPI_Comm_split(comm, rank / (int)host_size, rank, host);
}

/* The host's first worker names the segment, and makes it when all know the name; the others open it. *shared_ok: this
 * worker has it. */
static int share_memory(MPI_Comm host, int local_rank, int local_size, struct shared *shared, bool *shared_ok,
                        struct reeve_error *why)
{
    char name[NAME_BYTES] = "";
    int made = 1;
    if (local_rank == 0) {
        const char *launch = getenv(REEVE_LAUNCH_VARIABLE); /* should this process be killed now, it can be swept */
        (void)snprintf(name, sizeof(name), "/reeve-%.40s-%ld-%llx", launch != NULL ? launch : "own", (long)getpid(),
                       (unsigned long long)reeve_clock_wall_ns());
    }
    int rc = MPI_Bcast(name, NAME_BYTES, MPI_CHAR, 0, host);
    if (rc == MPI_SUCCESS && local_rank == 0)
        made = shared_make(shared, name, 0, (uint32_t)local_size, true, why) == REEVE_OK;
    if (rc == MPI_SUCCESS) rc = MPI_Bcast(&made, 1, MPI_INT, 0, host);
    *shared_ok = rc == MPI_SUCCESS && made;
    if (*shared_ok && local_rank != 0)
        *shared_ok = shared_make(shared, name, (uint32_t)local_rank, (uint32_t)local_size, false, why) == REEVE_OK;
    if (rc == MPI_SUCCESS) rc = MPI_Barrier(host);                 /* all who can have opened it have */
    if (local_rank == 0 || rc != MPI_SUCCESS) shared_unlink(name); /* whoever lives, should its maker be lost */
    return rc;
}

/* Does everybody share memory with its host, and which tags has this collective? */
static int agree_on_all(MPI_Comm comm, bool shares, bool *all_share, int *first_tag)
{
    int mine[2] = {shares, -coll_tags_propose()}, least[2] = {0, 0};
    int rc = MPI_Allreduce(mine, least, 2, MPI_INT, MPI_MIN, comm);
    if (rc != MPI_SUCCESS) return rc;
    *all_share = least[0] != 0;
    *first_tag = coll_tags_take(-least[1]);
    return rc;
}

static int find(struct places *p, MPI_Comm comm, uint32_t host_size, struct shared *shared, bool *all_ok,
                struct reeve_error *why)
{
    MPI_Comm host = MPI_COMM_NULL;
    int rank = 0, size = 0, local_rank = 0, local_size = 1, first_rank = 0;
    int rc = MPI_Comm_rank(comm, &rank);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_size(comm, &size);
    if (rc == MPI_SUCCESS) rc = split_hosts(comm, host_size, rank, &host);
    if (rc != MPI_SUCCESS) host = MPI_COMM_NULL; /* Open MPI 5.0 hands out one half made: to revoke it is a crash */
    if (rc == MPI_SUCCESS) rc = MPI_Comm_rank(host, &local_rank);
    if (rc == MPI_SUCCESS) rc = MPI_Comm_size(host, &local_size);
    first_rank = rank;
    if (rc == MPI_SUCCESS) rc = MPI_Bcast(&first_rank, 1, MPI_INT, 0, host);
    p->local_rank = (uint32_t)local_rank;
    p->local_size = (uint32_t)local_size;
    bool shared_ok = true;
    if (rc == MPI_SUCCESS && local_size > 1) rc = share_memory(host, local_rank, local_size, shared, &shared_ok, why);
    *all_ok = false;
    if (rc == MPI_SUCCESS) rc = agree_on_all(comm, shared_ok, all_ok, &p->first_tag);
    if (rc == MPI_SUCCESS) rc = list_hosts(p, comm, size, rank, first_rank);
    if (rc != MPI_SUCCESS) { /* others may wait for us in one of these */
        coll_release_others(host);
        coll_release_others(comm);
    }
    if (host != MPI_COMM_NULL) (void)MPI_Comm_free(&host);
    return rc;
}

reeve_status places_find(struct places *p, MPI_Comm comm, uint32_t host_size, struct shared *shared,
                         struct reeve_error *err)
{
    int size = 0;
    int rc = MPI_Comm_size(comm, &size);
    if (rc != MPI_SUCCESS) return coll_fail(err, rc, "find who shares a host");
    *p = (struct places){.first_ranks = malloc((size_t)size * sizeof(int))};
    if (p->first_ranks == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "sum over %d workers: out of memory", size);
    struct reeve_error why = {.status = REEVE_OK};
    bool all_ok = false;
    rc = find(p, comm, host_size, shared, &all_ok, &why);
    if (rc == MPI_SUCCESS && !all_ok) {
        shared_fini(shared);
        if (why.status != REEVE_OK)
            reeve_log(REEVE_LOG_WARN, "workers of one host cannot share memory, so sums are slower: %s", why.text);
        rc = find(p, comm, 1, shared, &all_ok, &why);
    }
    return rc == MPI_SUCCESS ? REEVE_OK : coll_fail(err, rc, "find who shares a host");
}

void places_fini(struct places *p)
{
    free(p->first_ranks);
    p->first_ranks = NULL;
}
