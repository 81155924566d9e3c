#include "cli/name_list.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char separator[] = ", ";

static bool
has(const char *list, const char *name)
{
    size_t size = strlen(name);

    while (*list) {
        size_t length = strcspn(list, separator);

        if (length == size && memcmp(list, name, size) == 0)
            return true;
        list += length;
        list += strspn(list, separator);
    }
    return false;
}

void
name_list_add(char *list, size_t size, const char *name)
{
    size_t used = strlen(list);

    if (!has(list, name))
        snprintf(list + used, size - used, "%s%s", used ? separator : "", name);
}
