/* Names in one line for people: "n1, n2". */
#ifndef OSTRAKA_CLI_NAME_LIST_H
#define OSTRAKA_CLI_NAME_LIST_H

#include <stddef.h>

/*
 * Adds the name to the text unless it stands there already, as a whole. `list` has `size` bytes with
 * its NUL; what does not fit is cut off. Names have no comma.
 */
void name_list_add(char *list, size_t size, const char *name);

#endif
