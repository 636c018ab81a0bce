/* XXH3 through libxxhash; see digest.h. */
#include "base/digest.h"

#include <stdio.h>
#include <string.h>
#include <xxhash.h>
#ifdef REEVE_XXHASH_DISPATCH
#define XXH_DISPATCH_DISABLE_REPLACE
#include <xxh_x86dispatch.h> /* the same digests, at twice the speed where the processor has AVX2 or AVX-512 */
#else
#define XXH3_64bits_withSeed_dispatch XXH3_64bits_withSeed
#define XXH3_128bits_dispatch XXH3_128bits
#define XXH3_128bits_update_dispatch XXH3_128bits_update
#endif

#define LONG_BYTES 1024 /* from here on it pays to ask what the processor has: a record of the journal has 64 */

static struct reeve_digest canonical(XXH128_hash_t hash)
{
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, hash);
    struct reeve_digest d;
    memcpy(d.bytes, c.digest, sizeof(d.bytes));
    return d;
}

reeve_digester *reeve_digester_create(void)
{
    XXH3_state_t *state = XXH3_createState();
    if (state != NULL) (void)XXH3_128bits_reset(state);
    return (reeve_digester *)state;
}

void reeve_digester_update(reeve_digester *d, const void *bytes, size_t n)
{
    (void)XXH3_128bits_update_dispatch((XXH3_state_t *)d, bytes, n);
}

struct reeve_digest reeve_digester_finish(const reeve_digester *d)
{
    return canonical(XXH3_128bits_digest((const XXH3_state_t *)d));
}

void reeve_digester_destroy(reeve_digester *d)
{
    (void)XXH3_freeState((XXH3_state_t *)d);
}

struct reeve_digest reeve_digest_of(const void *bytes, size_t n)
{
    return canonical(n < LONG_BYTES ? XXH3_128bits(bytes, n) : XXH3_128bits_dispatch(bytes, n));
}

uint64_t reeve_digest64(const void *bytes, size_t n, uint64_t seed)
{
    return n < LONG_BYTES ? XXH3_64bits_withSeed(bytes, n, seed) : XXH3_64bits_withSeed_dispatch(bytes, n, seed);
}

bool reeve_digest_equal(struct reeve_digest a, struct reeve_digest b)
{
    return memcmp(a.bytes, b.bytes, sizeof(a.bytes)) == 0;
}

void reeve_digest_hex(struct reeve_digest d, char hex[REEVE_DIGEST_HEX_BYTES])
{
    for (int i = 0; i < 16; i++) (void)snprintf(hex + 2 * i, 3, "%02x", d.bytes[i]);
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

bool reeve_digest_parse(const char *hex, struct reeve_digest *out)
{
    struct reeve_digest d;
    for (int i = 0; i < 16; i++) {
        int high = hex_value(hex[2 * i]);
        int low = high < 0 ? -1 : hex_value(hex[2 * i + 1]);
        if (low < 0) return false;
        d.bytes[i] = (uint8_t)(high << 4 | low);
    }
    if (hex[32] != '\0') return false;
    *out = d;
    return true;
}
