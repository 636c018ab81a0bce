/* See tags.h. */
#include "coll/tags.h"

static int collectives; /* made by this process, or by others who have made more */

int coll_tags_propose(void)
{
    return collectives + 1;
}

int coll_tags_take(int greatest)
{
    collectives = greatest;
    return (int)((unsigned)collectives % COLL_TAG_SETS) * COLL_TAGS;
}
