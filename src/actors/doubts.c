#include "actors/doubts.h"

#include "proto/record_path.h"

void
doubts_close(struct doubts *d)
{
    for (unsigned i = 0; i < DOUBTS_MAX; i++)
        buf_close(&d->of[i].name);
    *d = (struct doubts){0};
}

struct path
doubt_path(const struct doubt *doubt)
{
    struct bytes both = buf_bytes(&doubt->name);
    return (struct path){bytes_of(both.data, doubt->tenant_size),
                         bytes_of(both.data + doubt->tenant_size, both.size - doubt->tenant_size)};
}

struct doubt *
doubts_find(struct doubts *d, struct path path)
{
    for (unsigned i = 0; i < DOUBTS_MAX && d->count > 0; i++) {
        if (d->of[i].used && path_equal(doubt_path(&d->of[i]), path))
            return &d->of[i];
    }
    return NULL;
}

struct doubt *
doubts_add(struct doubts *d, struct path path, struct instant now)
{
    struct doubt *doubt = doubts_find(d, path);
    if (doubt)
        return doubt;
    for (unsigned i = 0; i < DOUBTS_MAX; i++) {
        doubt = &d->of[i];
        if (doubt->used)
            continue;
        if (buf_append(&doubt->name, path.tenant) != OK ||
            buf_append(&doubt->name, path.name) != OK) {
            buf_close(&doubt->name);
            return NULL;
        }
        doubt->used = true;
        doubt->tenant_size = path.tenant.size;
        doubt->noticed = now;
        d->count++;
        return doubt;
    }
    d->too_many = true;
    return NULL;
}

void
doubts_remove(struct doubts *d, struct doubt *doubt)
{
    buf_close(&doubt->name);
    *doubt = (struct doubt){0};
    d->count--;
}

bool
doubts_to_be_mended(const struct doubts *d, struct instant now)
{
    if (!d->known)
        return false;
    for (unsigned i = 0; i < DOUBTS_MAX && d->count > 0; i++) {
        const struct doubt *doubt = &d->of[i];
        if (doubt->used && doubt->damaged && !doubt->durable &&
            instant_since(now, doubt->noticed).ns >= duration_ms(DAMAGE_GATHER_MS).ns)
            return true;
    }
    return d->too_many;
}

bool
doubt_is_settled(const struct doubt *doubt, const struct cluster *cluster)
{
    unsigned told = 0;
    bool all = record_path_is(doubt_path(doubt));
    unsigned count = all ? cluster->node_count : cluster->share_count;
    unsigned majority = all ? cluster_node_majority(cluster) : cluster_majority(cluster);
    for (unsigned i = 0; i < NODES_MAX; i++)
        told += (unsigned)(doubt->told >> i) & 1;
    return told + majority > count;
}
