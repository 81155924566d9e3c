#include "cli/bulk.h"

#include <stdlib.h>

#include "cli/cli.h"
#include "cli/secret_common.h"

void
bulk_close(struct bulk *bulk)
{
    for (size_t i = 0; i < bulk->count; i++) {
        buf_close(&bulk->items[i].name);
        buf_close(&bulk->items[i].value);
        buf_close(&bulk->items[i].secret);
    }
    free(bulk->items);
    *bulk = (struct bulk){0};
}

int
bulk_add(struct bulk *bulk, struct bytes name, struct bytes value)
{
    struct bulk_item item = {0};

    if (bulk->count == bulk->capacity) {
        size_t capacity = 2 * bulk->capacity + 64;
        struct bulk_item *more = realloc(bulk->items, capacity * sizeof *more);

        if (!more)
            return secret_out_of_memory();
        bulk->items = more;
        bulk->capacity = capacity;
    }
    if (buf_append(&item.name, name) != OK || buf_append(&item.value, value) != OK) {
        buf_close(&item.name);
        buf_close(&item.value);
        return secret_out_of_memory();
    }
    bulk->items[bulk->count++] = item;
    return EXIT_OK;
}

static int
by_name(const void *a, const void *b)
{
    const struct bulk_item *x = a, *y = b;

    return bytes_compare(buf_bytes(&x->name), buf_bytes(&y->name));
}

void
bulk_sort(struct bulk *bulk)
{
    if (bulk->count > 1)
        qsort(bulk->items, bulk->count, sizeof *bulk->items, by_name);
}
