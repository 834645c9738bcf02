# SPDX-License-Identifier: GPL-2.0
"""Files that grow with the series: what they have at one of its steps.

A list (LISTS) is changed by a patch once, as it is in the end.  A line of it that
stock has not and that names overlay files is left out until one of these is there.

A text in numbered sections ("1. Title", underlined) is added by its sections; its
head comes with the first of them, and says no more of the contents than is there.
"""
import re

MAINTAINERS = "MAINTAINERS"
# How a list names sources: in a name like "mmu/tests/zap_kunit.o", as a rule
LISTS = {
    "arch/x86/kvm/Makefile": (r"mmu/tests/(\w+)\.o", "arch/x86/kvm/mmu/tests/{}.c"),
    "tools/testing/selftests/kvm/Makefile":
        (r"(?<== )x86_64/(\w+)", "tools/testing/selftests/kvm/x86_64/{}.c"),
}
SECTION = re.compile(r"^(\d+)\. [^\n]*\n-{3,}\n", re.M)
ENTRY = re.compile(r"^(\d+)\. [^\n]*\n(?!---)", re.M)


def sections(text):
    """Splits a text into its head and {number: section}."""
    found = list(SECTION.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)]
    return (text[:found[0].start()] if found else text,
            {int(match[1]): text[match.start():end]
             for match, end in zip(found, ends)})


def with_sections(text, numbers):
    """A text as it is with some of its sections."""
    head, parts = sections(text)
    head = ENTRY.sub(lambda entry: entry[0] if int(entry[1]) in numbers else "", head)
    return (head + "".join(parts[number] for number in sorted(parts)
                           if number in numbers)).rstrip() + "\n"


def missing(names, overlay, present):
    """Are overlay files meant, none of which is there yet?"""
    meant = [path for path in overlay if names(path)]
    return bool(meant) and not any(path in present for path in meant)


def maintained(pattern):
    """What a pattern of MAINTAINERS names, as a function."""
    expression = re.escape(pattern).replace(r"\*", "[^/]*")
    if pattern.endswith("/"):
        expression += ".*"
    return re.compile(expression + "$").match


def grown_maintainers(text, stock, overlay, present):
    """A section that is new and has no file yet is left out as a whole."""
    known, kept = set(stock.splitlines()), []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n")
                 if line in known or not line.startswith("F:\t") or
                 not missing(maintained(line[3:]), overlay, present)]
        if lines[0] in known or any(line.startswith("F:\t") for line in lines):
            kept.append("\n".join(lines))
    return "\n\n".join(kept)


def grown_statement(statement, rule, overlay, present):
    """One statement of a Makefile, without the names that nothing is behind."""
    expression, source = rule

    def gone(name):
        path = source.format(name)
        return path in overlay and path not in present

    names = re.findall(expression, statement)
    if not any(gone(name) for name in names):
        return statement
    if all(gone(name) for name in names):
        return ""
    indent = (re.findall(r"\\\n(\s+)", statement) or [" "])[0]
    head = statement[:re.search(expression, statement).start()]
    words = [match[0] for match in re.finditer(expression, statement)
             if not gone(match[1])]
    return head + f" \\\n{indent}".join(words) + "\n"


def grown_makefile(text, rule, overlay, present):
    """A comment goes with the last of the statements that follow it."""
    blocks = []
    for block in re.split(r"(?<=\n)\n", text):
        grown = re.sub(r"^[^#\s](?:[^\n]*\\\n)*[^\n]*\n",
                       lambda found: grown_statement(found[0], rule, overlay, present),
                       block, flags=re.M)
        if grown == block or re.search(r"^[^#\n]", grown, re.M):
            blocks.append(grown)
    return "\n".join(blocks)


def grown(path, text, stock, overlay, present):
    """A list as it is when, of the overlay, the files in present are there."""
    if path == MAINTAINERS:
        return grown_maintainers(text, stock, overlay, present)
    if path in LISTS:
        return grown_makefile(text, LISTS[path], overlay, present)
    return text


def is_list(path):
    return path == MAINTAINERS or path in LISTS
