/*
 * Records of answers that no actor has noted: health, status and metrics, whatever was refused
 * before it came to the gateway, and what is wrong with the result of a .env text. They are written
 * between steps, and the answer does not wait for them, so that health can be asked for while the
 * trail cannot be written.
 *
 * Anybody may ask for health, and be told to come again later, as often as they like; what an
 * address is answered in the same way within a minute is one record with a number, after the first
 * one of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "actors/authority.h"
#include "auth/address.h"
#include "runtime/reactor_internal.h"

enum {
    NOTES_MAX = 4096, /* waiting for the end of a turn; what goes beyond is counted */
    PROBES_MAX = 64,
    PROBE_WINDOW_MS = 60000,
    NOTE_BYTES = REQUEST_ID_BYTES_MAX + ADDRESS_TEXT_BYTES_MAX + TENANT_BYTES_MAX + NAME_BYTES_MAX,
};

struct answer_note {
    struct answer_note *next;
    struct audit_record record; /* views into memory, or static */
    size_t used;
    uint8_t memory[NOTE_BYTES];
    char caller[CALLER_BYTES];
};

struct probe {
    struct instant since; /* of its window */
    struct audit_record record;
    uint64_t more; /* after the first one, in this window */
    uint8_t address[ADDRESS_TEXT_BYTES_MAX];
};

struct answer_notes {
    struct answer_note *first, *last;
    size_t count;
    struct probe probes[PROBES_MAX];
    size_t probe_count;
};

enum vault_err
reactor_notes_new(struct answer_notes **out)
{
    *out = calloc(1, sizeof(**out));
    return *out ? OK : ERR_NOMEM;
}

void
reactor_notes_free(struct answer_notes *notes)
{
    while (notes && notes->first) {
        struct answer_note *next = notes->first->next;
        free(notes->first);
        notes->first = next;
    }
    free(notes);
}

/* What is too long is left out. */
static struct bytes
keep(struct answer_note *note, struct bytes text, size_t most)
{
    uint8_t *at = note->memory + note->used;
    if (text.size == 0 || text.size > most)
        return (struct bytes){0};
    memcpy(at, text.data, text.size);
    note->used += text.size;
    return bytes_of(at, text.size);
}

static void
push(struct reactor *r, const struct audit_record *record)
{
    struct answer_notes *notes = r->notes;
    struct answer_note *note = notes->count < NOTES_MAX ? calloc(1, sizeof(*note)) : NULL;
    if (!note) {
        metrics_count(&r->metrics, METRIC_audit_refused);
        return;
    }
    note->record = *record;
    note->record.request_id = keep(note, record->request_id, REQUEST_ID_BYTES_MAX);
    note->record.address = keep(note, record->address, ADDRESS_TEXT_BYTES_MAX);
    note->record.tenant = keep(note, record->tenant, TENANT_BYTES_MAX);
    note->record.name = keep(note, record->name, NAME_BYTES_MAX);
    note->record.caller = (struct bytes){0};
    if (record->caller.size > 0 && record->caller.size < sizeof(note->caller)) {
        memcpy(note->caller, record->caller.data, record->caller.size);
        note->record.caller = bytes_of(note->caller, record->caller.size);
    }
    if (notes->last)
        notes->last->next = note;
    else
        notes->first = note;
    notes->last = note;
    notes->count++;
}

/* ---- probes ---- */

static void
remember(struct probe *probe, const struct audit_record *record, struct instant now)
{
    struct bytes address = record->address;
    *probe = (struct probe){.since = now, .record = *record};
    probe->record.request_id = probe->record.address = (struct bytes){0};
    if (address.size == 0 || address.size > sizeof(probe->address))
        return;
    memcpy(probe->address, address.data, address.size);
    probe->record.address = bytes_of(probe->address, address.size);
}

/* The window is over: those after the first are one record. */
static void
tell(struct reactor *r, struct probe *probe)
{
    struct audit_record record = probe->record;
    if (probe->more == 0)
        return;
    record.op = probe->more;
    push(r, &record);
}

static bool
is_same(const struct probe *probe, const struct audit_record *record)
{
    return bytes_equal(probe->record.address, record->address) &&
           bytes_equal(probe->record.operation, record->operation) &&
           bytes_equal(probe->record.outcome, record->outcome);
}

static void
note_probe(struct reactor *r, const struct audit_record *record)
{
    struct answer_notes *notes = r->notes;
    size_t oldest = 0;
    for (size_t i = 0; i < notes->probe_count; i++) {
        if (is_same(&notes->probes[i], record)) {
            notes->probes[i].more++;
            return;
        }
        if (instant_before(notes->probes[i].since, notes->probes[oldest].since))
            oldest = i;
    }
    size_t at = oldest;
    if (notes->probe_count < PROBES_MAX) {
        at = notes->probe_count++;
        notes->probes[at].more = 0; /* whatever it was before has been told of */
    }
    tell(r, &notes->probes[at]);
    remember(&notes->probes[at], record, reactor_now());
    push(r, record);
}

static void
end_windows(struct reactor *r, bool all)
{
    struct answer_notes *notes = r->notes;
    struct instant now = reactor_now();
    for (size_t i = 0; i < notes->probe_count;) {
        struct probe *probe = &notes->probes[i];
        bool over = instant_since(now, probe->since).ns >= duration_ms(PROBE_WINDOW_MS).ns;
        if (!over && !all) {
            i++;
            continue;
        }
        tell(r, probe);
        if (probe->more > 0) {
            probe->more = 0;
            probe->since = now;
            i++;
        } else {
            const struct probe last = notes->probes[--notes->probe_count];
            remember(probe, &last.record, last.since);
            probe->more = last.more;
        }
    }
}

/* ---- */

void
reactor_note_answer(struct reactor *r, const struct pending *p, const char *operation,
                    enum vault_err err)
{
    const struct request *request = &p->request;
    const struct membership *ms = node_membership(r->node);
    char caller[CALLER_BYTES];
    struct audit_record record = {.kind = AUDIT_request,
                                  .node = ms->self,
                                  .request_id = request->id,
                                  .address = request->address,
                                  .operation = bytes_of_text(operation),
                                  .outcome = bytes_of_text(vault_err_name(err))};
    bool probe = err == ERR_RATE_LIMITED || (request->routed && request->kind == REQUEST_HEALTH);
    if (probe) {
        note_probe(r, &record);
        return;
    }
    if (tenant_name_valid(request->tenant))
        record.tenant = request->tenant;
    record.name = request->name;
    if (!request_is_login(request))
        record.caller = authority_caller(ms, (struct path){request->tenant, request->name},
                                         request->credential, caller);
    push(r, &record);
}

void
reactor_write_notes(struct reactor *r, bool at_end)
{
    struct answer_notes *notes = r->notes;
    if (notes->probe_count > 0)
        end_windows(r, at_end);
    while (notes->first) {
        struct answer_note *note = notes->first;
        struct step st;
        notes->first = note->next;
        notes->count--;
        if (!notes->first)
            notes->last = NULL;
        reactor_step(r, &st);
        node_note(r->node, &st, &r->executor, &note->record);
        reactor_step_done(r);
        free(note);
    }
}
