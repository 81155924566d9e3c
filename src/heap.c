/*
 * How the program's heap behaves. The heap is that of jemalloc, which reads this text before main()
 * and takes the place of the C library's for the program and all its libraries. Builds with
 * sanitizers, tests and the simulator are without it.
 *
 * Two arenas, however many processors there are: the storage engine's threads free what others of
 * them took, and what is free in one arena is of no use to the next. Pages that are free go back to
 * the system after two seconds, by whoever is at work: without threads of the heap's own. Each
 * thread keeps 64 free pieces of each small size for itself, not 20: that many requests end in one
 * turn of the loop, each with some pieces of 4 KB, and what does not fit goes through a lock.
 */
#include <jemalloc/jemalloc.h>

const char *malloc_conf = "narenas:2,dirty_decay_ms:2000,muzzy_decay_ms:0,background_thread:false,"
                          "tcache_nslots_small_min:64";
