// SPDX-License-Identifier: GPL-2.0-only
/*
 * memslot_tree.c in userland: the cases of virt/kvm/tests/memslot_tree_cases.h,
 * in TAP.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/memslot_tree_cases.h"

static void help(const char *name)
{
	fprintf(stderr, "usage: %s [-s SEED] [-n REQUESTS]\n"
		"  -s  seed of the random requests (default: from the clock)\n"
		"  -n  number of random requests (default: 200000)\n", name);
	exit(2);
}

static unsigned long number(const char *name, const char *arg)
{
	char *end;
	unsigned long n = strtoul(arg, &end, 0);

	if (*end || end == arg)
		help(name);
	return n;
}

/* Prints the result; returns whether the case passed. */
static bool run(const struct mst_case *c, int nr, u32 seed,
		unsigned long nr_ops)
{
	struct mst *t = calloc(1, sizeof(*t));
	bool ok;
	int i;

	if (!t) {
		printf("Bail out! no memory\n");
		exit(1);
	}

	t->seed = seed;
	t->nr_ops = nr_ops;
	mst_run_case(t, c);
	ok = !t->bad;

	printf("%s %d - %s\n", ok ? "ok" : "not ok", nr, c->name);
	if (!ok)
		printf("# seed %#x, request %lu: %s (line %d)\n", seed, t->op,
		       t->bad, t->bad_line);
	for (i = 0; t->op == nr_ops && i < MST_NR_OUTCOMES; i++)
		printf("# %8lu %s\n", t->done[i], mst_outcome_names[i]);

	free(t);
	return ok;
}

int main(int argc, char **argv)
{
	const int nr = ARRAY_SIZE(mst_cases);
	unsigned long nr_ops = 200000;
	u32 seed = time(NULL);
	int passed = 0, i, opt;

	while ((opt = getopt(argc, argv, "s:n:")) != -1) {
		switch (opt) {
		case 's':
			seed = number(argv[0], optarg);
			break;
		case 'n':
			nr_ops = number(argv[0], optarg);
			break;
		default:
			help(argv[0]);
		}
	}
	if (optind < argc)
		help(argv[0]);

	printf("TAP version 13\n1..%d\n# seed %#x\n", nr, seed);
	for (i = 0; i < nr; i++)
		passed += run(&mst_cases[i], i + 1, seed, nr_ops);
	printf("%d passed, %d failed, 0 skipped\n", passed, nr - passed);

	return passed != nr;
}
