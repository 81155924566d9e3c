#include "sim/sites.h"

#include "sim/world.h"

enum { SITE_PER_MILLE_MAX = 400 };

const char *
site_name(enum maybe_site site)
{
    static const char *const names[] = {
#define X(name, text) #name,
        MAYBE_SITES(X)
#undef X
    };
    return names[site];
}

const char *
site_text(enum maybe_site site)
{
    static const char *const texts[] = {
#define X(name, text) text,
        MAYBE_SITES(X)
#undef X
    };
    return texts[site];
}

static bool
strikes(void *context, enum maybe_site site)
{
    struct world *world = context;
    struct sites *s = &world->sites;
    if (world->phase != PHASE_FAULTS || s->per_mille[site] == 0 ||
        !prng_chance(&s->prng, s->per_mille[site]))
        return false;
    s->struck[site]++;
    trace_line(&world->trace, world->now_ns, "maybe %s (%u)", site_name(site), world->current);
    return true;
}

void
sites_draw(struct world *world)
{
    struct sites *s = &world->sites;
    s->prng = prng_fork(&world->prng);
    world->maybe = (struct maybe){.context = world, .strikes = strikes};
    unsigned share = world->options.calm ? 0 : (unsigned)prng_between(&s->prng, 0, 5) * 100;
    for (unsigned i = 0; i < MAYBE_SITE_COUNT; i++) {
        unsigned rate = (unsigned)prng_skewed(&s->prng, 1, SITE_PER_MILLE_MAX);
        s->per_mille[i] = prng_chance(&s->prng, share) ? rate : 0;
    }
}
