# SPDX-License-Identifier: GPL-2.0-only
#
# Print definitions of a C header, so that a test runs the kernel's own and no
# copy of them can grow old.  The variables types, functions and macros name
# the structs and enums, the static inline functions and the macros to print.
# Exits 1 and says which where one is missing.
#
# The style is the kernel's: a definition starts in column 1 and, unless it is
# a macro, ends with the first closing brace in column 1.

function want(kind, names,	i, n, list)
{
	n = split(names, list, /[ \t\n]+/)
	for (i = 1; i <= n; i++) {
		if (list[i] != "")
			wanted[kind " " list[i]] = 1
	}
}

# The identifier before the first parenthesis.
function function_name(head,	n, word)
{
	sub(/[ \t\n]*\(.*/, "", head)
	n = split(head, word, /[ \t\n*]+/)
	return word[n]
}

function second_word(head,	word)
{
	split(head, word, /[ \t\n(]+/)
	return word[2]
}

function finish(	key)
{
	if (kind == "function")
		key = kind " " function_name(text)
	else
		key = kind " " second_word(text)
	if (key in wanted) {
		printf "%s\n", text
		delete wanted[key]
	}
	kind = ""
}

function start(what)
{
	kind = what
	text = ""
}

BEGIN {
	want("type", types)
	want("function", functions)
	want("macro", macros)
}

kind == "" && /^#define / { start("macro") }
kind == "" && /^(struct|enum) [a-z_0-9]+ \{/ { start("type") }
kind == "" && /^static inline/ { start("function") }

kind != "" { text = text $0 "\n" }
kind == "macro" && !/\\$/ { finish() }
(kind == "type" || kind == "function") && /^}/ { finish() }
# A prototype has no body to wait for.
kind == "function" && /;$/ && text !~ /\{/ { kind = "" }

END {
	for (key in wanted) {
		print FILENAME ": no " key > "/dev/stderr"
		bad = 1
	}
	exit bad
}
