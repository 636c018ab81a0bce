/* The tags of this folder's messages on the workers' communicator, which nobody else uses. */
#ifndef REEVE_COLL_TAGS_H
#define REEVE_COLL_TAGS_H

#define COLL_TAG_READY 1
#define COLL_TAG_START 2
#define COLL_TAG_RING 3

#endif
