#include "actors/list_watch.h"

#include <string.h>

#include "actors/alarms.h"
#include "actors/auth_view.h"
#include "auth/decide.h"
#include "auth/statement.h"
#include "crypto/certificate.h"

/* False: whose list it is cannot be said, or the tenant has another authority. */
static bool
is_of_authority(const struct membership *ms, const struct step *st, struct bytes tenant,
                const struct revocations *list)
{
    const struct auth_record *record = auth_view_get(
        ms->records, tenant, bytes_of_text(auth_kind_name(AUTH_KIND_CLIENT_AUTHORITY)),
        bytes_of_text("ca"));
    struct client_authority *authority = arena_alloc(st->arena, sizeof(*authority));
    uint8_t mark[HASH_BYTES];
    struct bytes subject;

    return record && authority &&
           client_authority_decode(buf_bytes(&record->value), authority) == OK &&
           certificate_authority_of(authority->certificate, &subject, mark) == OK &&
           memcmp(mark, list->authority, HASH_BYTES) == 0;
}

static uint64_t
ahead_ms(const struct revocations *list)
{
    uint64_t tenth_ms = (list->next_update_ms - list->this_update_ms) / 10;
    uint64_t most_ms = LIST_WATCH_AHEAD_S_MAX * UINT64_C(1000);

    return tenth_ms < most_ms ? tenth_ms : most_ms;
}

static void
tell(const struct step *st, struct auth_record *record, enum list_told what, uint64_t left_ms)
{
    if (record->list_told >= (uint8_t)what)
        return;
    record->list_told = (uint8_t)what;
    if (what == LIST_TOLD_OVERDUE) {
        metrics_count(st->metrics, METRIC_alarms);
        log_event(st->log, LOG_ERROR, "alarms", "alarm_revocations_overdue",
                  log_token("tenant", record->link.path.tenant));
    } else {
        log_event(st->log, LOG_WARN, "alarms", "revocations_due_soon",
                  log_token("tenant", record->link.path.tenant),
                  log_u64("due_in_s", left_ms / 1000));
    }
}

static void
look(const struct membership *ms, const struct step *st, struct auth_record *record,
     struct list_counts *counts)
{
    struct revocations list;

    if (!record->chosen || record->value.size == 0 ||
        revocations_decode(buf_bytes(&record->value), &list) != OK)
        return;
    uint64_t left_ms = list.next_update_ms > st->wall_ms ? list.next_update_ms - st->wall_ms : 0;
    if (left_ms > ahead_ms(&list) || !is_of_authority(ms, st, record->link.path.tenant, &list))
        return;
    counts->due++;
    counts->overdue += left_ms == 0;
    tell(st, record, left_ms == 0 ? LIST_TOLD_OVERDUE : LIST_TOLD_SOON, left_ms);
}

void
list_watch_tick(struct membership *ms, const struct step *st)
{
    struct list_watch *watch = ms->alarms ? &ms->alarms->lists : NULL;
    struct auth_record *record;
    size_t at_once = LIST_WATCH_AT_ONCE;

    if (!watch || (watch->at == 0 && watch->once &&
                   instant_since(st->now, watch->began).ns <
                       duration_ms(LIST_WATCH_INTERVAL_S * UINT64_C(1000)).ns))
        return;
    if (watch->at == 0) {
        watch->began = st->now;
        watch->once = true;
        watch->finding = (struct list_counts){0};
    }
    record = ms->records->lists;
    for (size_t i = 0; record && i < watch->at; i++)
        record = record->list_next;
    for (; record && at_once > 0; at_once--, record = record->list_next) {
        look(ms, st, record, &watch->finding);
        watch->at++;
    }
    if (record)
        return;
    watch->at = 0;
    watch->found = watch->finding;
}
