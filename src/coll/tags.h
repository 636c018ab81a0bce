/* The tags of this folder's messages on the workers' communicator, which nobody else uses. Each collective on it has tags
 * of its own, these behind its first_tag: what one that was destroyed in the middle of a sum has left on its way is never
 * taken by the next. (A communicator each would do that too, but then a loss while it is made could leave somebody
 * waiting on one that nobody else knows how to revoke.) */
#ifndef REEVE_COLL_TAGS_H
#define REEVE_COLL_TAGS_H

#define COLL_TAG_READY 1
#define COLL_TAG_START 2
#define COLL_TAG_RING 3
#define COLL_TAG_WORD 4
#define COLL_TAG_ANSWER 5
#define COLL_TAGS 6         /* numbers that a collective takes up */
#define COLL_TAG_SETS 5000u /* so many collectives later a tag comes round again; MPI promises tags up to 32767 */

/* A new collective needs a number that no member has used; members may have made different numbers of them. Each
 * brings its own proposal; the greatest of all is taken, on each. */
int coll_tags_propose(void);
int coll_tags_take(int greatest); /* its first_tag */

#endif
