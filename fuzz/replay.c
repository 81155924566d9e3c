/*
 * A main() for a fuzz target without a fuzzer: runs it once on each file in the given directories
 * (those that exist), so that corpora and past findings are plain tests of every build.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

enum { INPUT_MAX = 4 * 1024 * 1024 };

/* The copy has exactly the file's size, so that a sanitizer sees every byte too far. */
static void
replay_file(const char *path, uint8_t *buffer)
{
    FILE *file = fopen(path, "rb");
    uint8_t *copy;
    size_t size;

    if (!file) {
        perror(path);
        exit(1);
    }
    size = fread(buffer, 1, INPUT_MAX, file);
    copy = malloc(size > 0 ? size : 1);
    if (ferror(file) || fclose(file) != 0 || !copy) {
        perror(path);
        exit(1);
    }
    memcpy(copy, buffer, size);
    printf("%s\n", path);
    fflush(stdout);
    if (LLVMFuzzerTestOneInput(copy, size) != 0)
        exit(1);
    free(copy);
}

static unsigned
replay_directory(const char *path, uint8_t *buffer)
{
    DIR *directory = opendir(path);
    const struct dirent *entry;
    unsigned count = 0;

    if (!directory) {
        if (errno == ENOENT)
            return 0;
        perror(path);
        exit(1);
    }
    while ((entry = readdir(directory))) {
        char file[4096];

        if (entry->d_name[0] == '.')
            continue;
        if ((size_t)snprintf(file, sizeof(file), "%s/%s", path, entry->d_name) >= sizeof(file))
            exit(1);
        replay_file(file, buffer);
        count++;
    }
    closedir(directory);
    return count;
}

int
main(int argc, char **argv)
{
    uint8_t *buffer = malloc(INPUT_MAX);
    unsigned count = 0;

    if (!buffer)
        return 1;
    for (int i = 1; i < argc; i++)
        count += replay_directory(argv[i], buffer);
    free(buffer);
    printf("%u inputs\n", count);
    return 0;
}
