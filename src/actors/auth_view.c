#include "actors/auth_view.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "actors/sweep.h"
#include "auth/decide.h"
#include "base/big_endian.h"

enum vault_err
auth_view_init(struct auth_view *view, uint64_t seed)
{
    *view = (struct auth_view){0};
    return path_map_init(&view->records, 1024, seed);
}

static void
close_value(struct auth_record *record)
{
    buf_close(&record->value);
    free(record->index);
    record->index = NULL;
}

/* Without one, which it may be that there is no memory for, the policy is read rule by rule. */
static void
make_index(struct auth_record *record)
{
    struct bytes kind, key;
    record_path_split(record->link.path, &kind, &key);
    if (!bytes_equal(kind, bytes_of_text(auth_kind_name(AUTH_KIND_POLICY))) ||
        policy_index_make(buf_bytes(&record->value), &record->index) != OK)
        record->index = NULL;
}

void
auth_view_close(struct auth_view *view)
{
    while (view->records.oldest) {
        struct auth_record *record = (struct auth_record *)view->records.oldest;
        path_map_remove(&view->records, &record->link);
        close_value(record);
        free(record);
    }
    path_map_close(&view->records);
    view->lists = NULL;
    known_tickets_free(view->tickets);
    view->tickets = NULL;
    bytes_wipe(&view->admin, sizeof(view->admin));
}

/* ---- digests ---- */

/* Which group a path belongs to, and what it adds to the digest. */
static unsigned
element_of(struct path path, const uint8_t id[static ID_BYTES], uint64_t out[static 2])
{
    struct bytes of_path[] = {bytes_of_text("ostraka record group 1"), path.tenant, path.name};
    struct bytes of_head[] = {path.tenant, path.name, bytes_of(id, ID_BYTES)};
    uint8_t group[HASH_BYTES], hash[HASH_BYTES];
    hash_parts(of_path, 3, group);
    hash_parts(of_head, 3, hash);
    memcpy(out, hash, 2 * sizeof(out[0]));
    return group[0] % RECORD_GROUPS;
}

static void
write_digest(const uint64_t sums[static 2], uint8_t out[static RECORD_DIGEST_BYTES])
{
    big_endian_put(out, sums[0]);
    big_endian_put(out + BIG_ENDIAN_BYTES, sums[1]);
}

static void
add_accepted(struct auth_view *view, const struct auth_record *record, bool add)
{
    uint64_t by[2];
    unsigned at = element_of(record->link.path, record->accepted_id, by);
    struct record_group *group = &view->groups[at];
    bool settled = record->state == STATE_CHOSEN;
    for (unsigned i = 0; i < 2; i++)
        group->accepted[i] += add ? by[i] : 0 - by[i];
    if (!settled)
        group->unsettled += add ? 1 : UINT64_MAX;
}

static void
add_chosen(struct auth_view *view, const struct auth_record *record, bool add)
{
    uint64_t by[2];
    unsigned at = element_of(record->link.path, record->chosen_id, by);
    for (unsigned i = 0; i < 2; i++)
        view->groups[at].chosen[i] += add ? by[i] : 0 - by[i];
}

/* Before the chosen heads of a group change. */
static void
keep_digest(struct auth_view *view, const struct auth_record *record)
{
    uint64_t unused[2];
    struct record_group *group =
        &view->groups[element_of(record->link.path, record->chosen_id, unused)];
    memmove(group->before + 1, group->before, sizeof(group->before) - sizeof(group->before[0]));
    write_digest(group->chosen, group->before[0].bytes);
}

void
auth_view_digests(const struct auth_view *view, uint8_t out[static RECORD_DIGESTS_BYTES])
{
    for (unsigned i = 0; i < RECORD_GROUPS; i++)
        write_digest(view->groups[i].accepted, out + (size_t)i * RECORD_DIGEST_BYTES);
}

bool
auth_view_covers(const struct auth_view *view, unsigned group,
                 const uint8_t digest[static RECORD_DIGEST_BYTES])
{
    const struct record_group *g = &view->groups[group];
    uint8_t now[RECORD_DIGEST_BYTES];
    if (g->unsettled > 0)
        return false;
    write_digest(g->chosen, now);
    bool covered = memcmp(now, digest, RECORD_DIGEST_BYTES) == 0;
    for (unsigned i = 0; i < GROUP_DIGESTS_KEPT; i++)
        covered = covered || memcmp(g->before[i].bytes, digest, RECORD_DIGEST_BYTES) == 0;
    return covered;
}

/* ---- records ---- */

/* There are few lists of revoked certificates, so they have a list of their own. */
static bool
is_revocations(struct path path)
{
    struct bytes kind, key;
    record_path_split(path, &kind, &key);
    return bytes_equal(kind, bytes_of_text(auth_kind_name(AUTH_KIND_CLIENT_AUTHORITY))) &&
           bytes_equal(key, bytes_of_text("crl"));
}

static void
remove_record(struct auth_view *view, struct auth_record *record)
{
    struct auth_record **at = &view->lists;
    if (is_revocations(record->link.path)) {
        while (*at != record)
            at = &(*at)->list_next;
        *at = record->list_next;
    }
    path_map_remove(&view->records, &record->link);
    close_value(record);
    free(record);
}

static struct auth_record *
record_of(struct auth_view *view, struct path path)
{
    struct auth_record *record = (struct auth_record *)path_map_find(&view->records, path);
    if (record)
        return record;
    record = view->records.count < AUTH_RECORDS_MAX ? calloc(1, sizeof(*record)) : NULL;
    if (record && path_map_insert(&view->records, path, &record->link) == OK) {
        if (is_revocations(path)) {
            record->list_next = view->lists;
            view->lists = record;
        }
        return record;
    }
    free(record);
    view->broken = true;
    return NULL;
}

/* Heads that are chosen only ever go forward. */
static void
take_chosen(struct auth_view *view, struct auth_record *record, const struct path_row *row,
            const struct head *head)
{
    struct buf value = {0};
    if (record->chosen && head->generation <= record->generation)
        return;
    size_t bytes = view->value_bytes - record->value.size + head->value.size;
    if (bytes > AUTH_BYTES_MAX || buf_append(&value, head->value) != OK) {
        view->broken = true;
        return;
    }
    keep_digest(view, record);
    if (record->chosen)
        add_chosen(view, record, false);
    close_value(record);
    record->value = value;
    make_index(record);
    view->value_bytes = bytes;
    record->chosen = true;
    record_id(row->head, record->chosen_id);
    record->generation = head->generation;
    record->version = head->version;
    record->changed_at_ms = head->changed_at_ms;
    record->list_told = LIST_TOLD_NOTHING;
    add_chosen(view, record, true);
}

static void
mark_forgotten(struct auth_view *view, struct auth_record *record, bool forgotten)
{
    view->forgotten_count += (size_t)forgotten - (size_t)record->forgotten;
    record->forgotten = forgotten;
    if (!forgotten)
        record->dropping = false;
}

/* Nothing is left of it but that its row has to go. */
static void
forget(struct auth_view *view, struct auth_record *record)
{
    if (record->state != STATE_ABSENT)
        add_accepted(view, record, false);
    if (record->chosen)
        add_chosen(view, record, false);
    view->value_bytes -= record->value.size;
    close_value(record);
    record->state = STATE_ABSENT;
    record->chosen = false;
    record->generation = record->version = record->changed_at_ms = 0;
    mark_forgotten(view, record, true);
}

static bool
is_due(const struct auth_record *record, uint64_t before_ms)
{
    return record->forget_after_ms != 0 && record->forget_after_ms < before_ms;
}

void
auth_view_set(struct auth_view *view, struct path path, const struct path_row *row)
{
    struct auth_record *record = record_of(view, path);
    struct head head;
    if (!record || row->state == STATE_ABSENT)
        return;
    if (head_decode(row->head, &head) != OK) {
        view->broken = true;
        return;
    }
    record->ballot = row->ballot;
    record->forget_after_ms = sweep_forget_after(&head);
    if (is_due(record, view->forgotten_ms)) {
        forget(view, record);
        return;
    }
    mark_forgotten(view, record, false);
    if (record->state != STATE_ABSENT)
        add_accepted(view, record, false);
    record_id(row->head, record->accepted_id);
    record->state = row->state;
    add_accepted(view, record, true);
    if (row->state == STATE_CHOSEN)
        take_chosen(view, record, row, &head);
}

void
auth_view_load(struct auth_view *view, struct path path, const struct path_row *row)
{
    struct auth_record *record = (struct auth_record *)path_map_find(&view->records, path);
    struct head head;
    if (!record)
        auth_view_set(view, path, row);
    else if (row->state == STATE_CHOSEN && !record->forgotten &&
             head_decode(row->head, &head) == OK)
        take_chosen(view, record, row, &head);
}

const struct auth_record *
auth_view_find(const struct auth_view *view, struct path path)
{
    const struct auth_record *record =
        (const struct auth_record *)path_map_find(&view->records, path);
    return record && record->chosen && record->value.size > 0 ? record : NULL;
}

const struct auth_record *
auth_view_get(const struct auth_view *view, struct bytes tenant, struct bytes kind,
              struct bytes key)
{
    uint8_t memory[RECORD_NAME_BYTES_MAX];
    struct path path;
    if (record_path_make(tenant, kind, key, memory, &path) != OK)
        return NULL;
    return auth_view_find(view, path);
}

bool
auth_view_was_deleted(const struct auth_view *view, struct bytes tenant, struct bytes kind,
                      struct bytes key)
{
    uint8_t memory[RECORD_NAME_BYTES_MAX];
    struct path path;
    return record_path_make(tenant, kind, key, memory, &path) == OK &&
           auth_view_was_deleted_at(view, path);
}

bool
auth_view_was_deleted_at(const struct auth_view *view, struct path path)
{
    const struct auth_record *record =
        (const struct auth_record *)path_map_find(&view->records, path);
    return record && record->chosen && record->value.size == 0;
}

bool
auth_view_has_room(const struct auth_view *view, size_t value_size)
{
    return view->records.count + AUTH_RECORDS_RESERVE < AUTH_RECORDS_MAX &&
           view->value_bytes + value_size + AUTH_BYTES_RESERVE < AUTH_BYTES_MAX;
}

bool
auth_view_has_room_for_login(const struct auth_view *view)
{
    return view->records.count - view->forgotten_count < AUTH_LOGIN_RECORDS_MAX;
}

/* ---- forgetting ---- */

/* Once for each group: what it was before all of this is what others may still have. */
static void
keep_all_digests(struct auth_view *view)
{
    for (unsigned i = 0; i < RECORD_GROUPS; i++) {
        struct record_group *group = &view->groups[i];
        memmove(group->before + 1, group->before, sizeof(group->before) - sizeof(group->before[0]));
        write_digest(group->chosen, group->before[0].bytes);
    }
}

size_t
auth_view_forget(struct auth_view *view, uint64_t before_ms, const struct auth_forget_tell *tell)
{
    size_t count = 0;
    if (before_ms <= view->forgotten_ms)
        return 0;
    view->forgotten_ms = before_ms;
    keep_all_digests(view);
    for (struct path_link *link = view->records.oldest; link; link = link->newer) {
        struct auth_record *record = (struct auth_record *)link;
        if (record->forgotten || !is_due(record, before_ms))
            continue;
        if (tell)
            tell->forgotten(tell->context, record);
        forget(view, record);
        count++;
    }
    return count;
}

/* The largest of the earliest `count` times is at the top. */
static void
sift(uint64_t *times, size_t count, size_t at)
{
    for (;;) {
        size_t most = at, left = 2 * at + 1;
        for (size_t child = left; child < left + 2 && child < count; child++)
            most = times[child] > times[most] ? child : most;
        if (most == at)
            return;
        uint64_t moved = times[at];
        times[at] = times[most];
        times[most] = moved;
        at = most;
    }
}

static void
keep_earliest(uint64_t *times, size_t *count, size_t max, uint64_t time_ms)
{
    if (*count < max) {
        size_t at = (*count)++;
        times[at] = time_ms;
        for (; at > 0 && times[(at - 1) / 2] < times[at]; at = (at - 1) / 2) {
            uint64_t moved = times[at];
            times[at] = times[(at - 1) / 2];
            times[(at - 1) / 2] = moved;
        }
    } else if (time_ms < times[0]) {
        times[0] = time_ms;
        sift(times, *count, 0);
    }
}

uint64_t
auth_view_forgettable(const struct auth_view *view, uint64_t limit_ms, size_t max, size_t *count)
{
    uint64_t earliest[AUTH_FORGET_MAX];
    assert(max > 0);
    assert(max <= AUTH_FORGET_MAX);
    *count = 0;
    for (const struct path_link *link = view->records.oldest; link; link = link->newer) {
        const struct auth_record *record = (const struct auth_record *)link;
        if (!record->forgotten && is_due(record, limit_ms))
            keep_earliest(earliest, count, max, record->forget_after_ms);
    }
    return *count > 0 ? earliest[0] + 1 : 0;
}

size_t
auth_view_forgotten(const struct auth_view *view, struct auth_record **out, size_t max)
{
    size_t count = 0;
    if (view->forgotten_count == 0)
        return 0;
    for (struct path_link *link = view->records.oldest; link && count < max; link = link->newer) {
        struct auth_record *record = (struct auth_record *)link;
        if (record->forgotten && !record->dropping)
            out[count++] = record;
    }
    return count;
}

void
auth_view_dropped(struct auth_view *view, struct path path, bool gone)
{
    struct auth_record *record = (struct auth_record *)path_map_find(&view->records, path);
    if (!record || !record->dropping)
        return;
    record->dropping = false;
    if (!gone)
        return;
    mark_forgotten(view, record, false);
    remove_record(view, record);
}

bool
auth_view_is_dropping(const struct auth_view *view, struct path path)
{
    const struct auth_record *record =
        (const struct auth_record *)path_map_find(&view->records, path);
    return record && record->dropping;
}

/* ---- lists ---- */

static bool
is_of_list(const struct auth_record *record, struct bytes tenant, struct bytes kind,
           struct bytes after)
{
    struct bytes own_kind, key;
    if (!record->chosen || record->value.size == 0 ||
        !bytes_equal(record->link.path.tenant, tenant))
        return false;
    record_path_split(record->link.path, &own_kind, &key);
    return bytes_equal(own_kind, kind) && bytes_compare(key, after) > 0;
}

/* Names of one tenant and kind are in the order of their keys. */
static bool
comes_before(const struct auth_record *a, const struct auth_record *b)
{
    return bytes_compare(a->link.path.name, b->link.path.name) < 0;
}

/* How many of them come before it. */
static size_t
place_of(const struct auth_record *record, const struct auth_record **in, size_t count)
{
    size_t low = 0;
    for (size_t high = count; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (comes_before(in[middle], record))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t
auth_view_list(const struct auth_view *view, struct bytes tenant, struct bytes kind,
               struct bytes after, const struct auth_record **out, size_t max, bool *more)
{
    size_t count = 0;
    *more = false;
    for (const struct path_link *link = view->records.oldest; link; link = link->newer) {
        const struct auth_record *record = (const struct auth_record *)link;
        if (!is_of_list(record, tenant, kind, after))
            continue;
        size_t at = place_of(record, out, count);
        if (count == max)
            *more = true;
        if (at == max)
            continue;
        size_t moved = (count == max ? max - 1 : count) - at;
        memmove(out + at + 1, out + at, moved * sizeof(*out));
        out[at] = record;
        count += count < max;
    }
    return count;
}
