#!/usr/bin/env python3
"""Runs a crate's mutants without building each: scripts/mutants-at-once.py CRATE TREE OUT [SHARD/OF]

cargo-mutants names the mutants (`--list --json`) and builds one after another; three crates take a night. This writes all of
them into the sources at once, each behind `crate::mutant(N)`, builds the crate's own tests once, and runs them for each N (in
PSH_MUTANT) until one fails. TREE is a copy of the work tree that it makes and changes; the work tree is only read.

What it does not do: fields left out of struct expressions, bodies of functions that answer an `impl Trait` (each would need a
type of its own), match arms whose absence the compiler notices, and what has to stay `const`. Those are counted as "not run".
Which do not build is found by building: an error's place names its mutant. OUT/CRATE.jsonl has a line for each that was run; a
second run goes on where the first ended, and with MUTANTS_AGAIN=1 it asks again about what was missed. Needs tree_sitter and
tree_sitter_rust (scripts/setup-mutants.sh).

MUTANTS_LAST names a test program (such as `model`) that is asked only about what all others missed, when everything else is
done; MUTANTS_SKIP a test that is not asked at all, for it takes minutes; MUTANTS_JOBS (2). A program is ended at its first test that fails, and when it has used ten times the processor time that
it needs without a mutant: that counts as caught, for the mutant hangs.
"""

import concurrent.futures
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import tree_sitter_rust
from tree_sitter import Language, Parser

PARSER = Parser(Language(tree_sitter_rust.language()))
MUTANT = """
/// Which mutant is awake.
#[doc(hidden)]
#[must_use]
pub fn mutant(n: u32) -> bool {
    static AWAKE: std::sync::LazyLock<u32> =
        std::sync::LazyLock::new(|| std::env::var("PSH_MUTANT").ok().and_then(|n| n.parse().ok()).unwrap_or(u32::MAX));
    *AWAKE == n
}
"""


class File:
    """One source file with its mutants."""

    def __init__(self, path, mutants, dropped):
        self.source = path.read_bytes()
        lines = self.source.split(b"\n")
        starts = [0]
        for line in lines:
            starts.append(starts[-1] + len(line) + 1)
        self.placed = set()
        self.at, self.bodies = {}, {}

        def byte(where):
            line = lines[where["line"] - 1].decode()
            return starts[where["line"] - 1] + len(line[: where["column"] - 1].encode())

        for m in mutants:
            opaque = m["genre"] == "FnValue" and "impl " in m["function"]["return_type"]
            if m["n"] not in dropped and not opaque:
                key = (m["genre"], byte(m["span"]["start"]))
                self.at.setdefault(key, []).append(m)
        self.wanted = sorted(start for _, start in self.at)

    def text(self, node):
        return self.source[node.start_byte : node.end_byte].decode()

    def has(self, node):
        return any(node.start_byte <= w < node.end_byte for w in self.wanted)

    def take(self, genre, start):
        found = self.at.get((genre, start), [])
        self.placed.update(m["n"] for m in found)
        return found

    def emit(self, node):
        if not self.has(node):
            return self.text(node)
        kind = node.type
        if kind == "match_arm":
            return self.arm(node)
        base = self.children(node)
        if kind in ("binary_expression", "compound_assignment_expr"):
            operator = node.child_by_field_name("operator") or node.children[1]
            left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
            for m in self.take("BinaryOperator", operator.start_byte):
                other = f"{self.text(left)} {m['replacement']} {self.text(right)}"
                base = f"(if crate::mutant({m['n']}) {{ {other} }} else {{ {base} }})"
        elif kind == "unary_expression":
            for m in self.take("UnaryOperator", node.start_byte):
                base = f"(if crate::mutant({m['n']}) {{ {self.text(node.children[1])} }} else {{ {base} }})"
        return base

    def children(self, node):
        out, at = [], node.start_byte
        for child in node.children:
            out.append(self.source[at : child.start_byte].decode())
            part = self.emit(child)
            if node.type == "function_item":
                if child == node.child_by_field_name("body"):
                    part = self.body(child, part)
            out.append(part)
            at = child.end_byte
        out.append(self.source[at : node.end_byte].decode())
        return "".join(out)

    def body(self, node, part):
        """What a function answers instead, before anything else in it."""
        early = ""
        for (genre, start), found in self.at.items():
            if genre == "FnValue" and self.bodies.get(start) == node.start_byte:
                for m in found:
                    self.placed.add(m["n"])
                    early += f" if crate::mutant({m['n']}) {{ return {m['replacement']}; }} "
        return part[0] + early + part[1:] if early else part

    def find_bodies(self, node):
        """The innermost function around each mutant of a whole body."""
        if not self.has(node):
            return
        if node.type == "function_item" and (body := node.child_by_field_name("body")):
            for genre, start in self.at:
                if genre == "FnValue" and body.start_byte < start < body.end_byte:
                    self.bodies[start] = body.start_byte
        for child in node.children:
            self.find_bodies(child)

    def arm(self, node):
        pattern = next(c for c in node.children if c.type == "match_pattern")
        guard = pattern.child_by_field_name("condition")
        words = self.text(pattern)
        if guard is not None:
            words = self.source[pattern.start_byte : guard.start_byte].decode().rstrip()
            words = words[: -len("if")].rstrip()
            told = self.emit(guard)
            for m in self.take("MatchArmGuard", guard.start_byte):
                told = f"(if crate::mutant({m['n']}) {{ {m['replacement']} }} else {{ {told} }})"
        else:
            told = None
        for m in self.take("MatchArm", node.start_byte):
            gone = f"!crate::mutant({m['n']})"
            told = gone if told is None else f"{gone} && ({told})"
        rest, at = [], pattern.end_byte
        for child in node.children:
            if child.start_byte < pattern.end_byte:
                continue
            rest.append(self.source[at : child.start_byte].decode())
            rest.append(self.emit(child))
            at = child.end_byte
        before = self.source[node.start_byte : pattern.start_byte].decode()
        return before + words + (f" if {told}" if told else "") + "".join(rest)

    def write(self):
        tree = PARSER.parse(self.source)
        self.find_bodies(tree.root_node)
        return self.emit(tree.root_node)


def put(path, text):
    """Writes what has changed only, so that nothing else is built anew."""
    data = text.encode() if isinstance(text, str) else text
    if not path.exists() or path.read_bytes() != data:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def files_of(root):
    listed = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=root, check=True, capture_output=True)
    return [name for name in listed.stdout.decode().split("\0") if name and (root / name).is_file()]


def mutants_of(crate, tree):
    listed = subprocess.run(
        ["cargo", "mutants", "--list", "--json", "--package", f"parcelshelf-{crate}"], cwd=tree, check=True, capture_output=True
    )
    mutants = json.loads(listed.stdout)
    for n, m in enumerate(mutants):
        m["n"] = n
    return mutants


def blamed(message, made):
    """The mutants that an error of the compiler is about: those whose switch stands last before its place."""
    out = set()
    for span in message["spans"]:
        path = Path(span["file_name"])
        text = made.get(path.as_posix())
        if text is None or not span["is_primary"]:
            continue
        lines = text.split("\n")
        start = sum(len(line) + 1 for line in lines[: span["line_start"] - 1]) + span["column_start"] - 1
        before = [m for m in re.finditer(r"crate::mutant\((\d+)\)", text) if m.start() <= start]
        if before:
            out.add(int(before[-1].group(1)))
    return out


def build(crate, tree):
    done = subprocess.run(
        ["cargo", "test", "--locked", "--no-run", "--message-format=json", "-p", f"parcelshelf-{crate}"],
        cwd=tree, capture_output=True, text=True,
    )
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    errors = [t["message"] for t in told if t["reason"] == "compiler-message" and t["message"]["level"] == "error"]
    programs = [t["executable"] for t in told if t.get("executable") and t.get("profile", {}).get("test")]
    return done.returncode == 0, errors, programs, done.stderr


def instrument(crate, root, tree, mutants, dropped, stays_const):
    """The crate with its mutants, written into the tree; answers which of them are in it, and the texts."""
    manifest = f"crates/{crate}/Cargo.toml"
    put(tree / manifest, (root / manifest).read_text().replace("[lints]\nworkspace = true\n", ""))
    placed, made = set(), {}
    for name in files_of(root):
        if not (name.startswith(f"crates/{crate}/src/") and name.endswith(".rs")):
            continue
        file = File(root / name, [m for m in mutants if m["file"] == name], dropped)
        text = file.write()
        placed |= file.placed
        # What asks which mutant is awake is not `const`, and neither is who calls it.
        keep = lambda m: m.group(0) if m.group(1) in stays_const else f"fn {m.group(1)}"
        made[name] = re.sub(r"\bconst fn (\w+)", keep, text)
    made[f"crates/{crate}/src/lib.rs"] += MUTANT
    for name, text in made.items():
        put(tree / name, text)
    return placed, made


def main():
    root = Path(__file__).resolve().parent.parent
    crate, tree, out = sys.argv[1], Path(sys.argv[2]).resolve(), Path(sys.argv[3])
    shard, of = (int(x) for x in (sys.argv[4] if len(sys.argv) > 4 else "0/1").split("/"))
    out.mkdir(parents=True, exist_ok=True)
    plan_file, results = out / f"{crate}.plan.json", out / f"{crate}.jsonl"
    mutants = mutants_of(crate, root)
    for name in files_of(root):
        if not name.startswith(f"crates/{crate}/src/"):
            put(tree / name, (root / name).read_bytes())
    # Plans and results are kept by name, which says where in which file: numbers move with every change.
    numbers = {m["name"]: m["n"] for m in mutants}
    told = json.loads(plan_file.read_text()) if plan_file.exists() else {"unviable": [], "const": [], "stays_const": []}
    plan = {k: [numbers[x] for x in told[k] if x in numbers] for k in ("unviable", "const")} | {"stays_const": told["stays_const"]}

    def keep_plan():
        named = {k: sorted(mutants[n]["name"] for n in plan[k]) for k in plan if k != "stays_const"}
        plan_file.write_text(json.dumps(named | {"stays_const": plan["stays_const"]}))

    while True:
        dropped = set(plan["unviable"]) | set(plan["const"])
        placed, made = instrument(crate, root, tree, mutants, dropped, set(plan["stays_const"]))
        good, errors, programs, stderr = build(crate, tree)
        if good:
            break
        new_const, new_bad, names = set(), set(), set()
        for e in errors:
            # What has to stay `const` keeps its body as it is.
            named = re.search(r"cannot call non-const .*`(?:[\w<>:]+::)?(\w+)(?:::<.*>)?`", e["message"])
            if (e.get("code") or {}).get("code") == "E0004":
                where = next(s for s in e["spans"] if s["is_primary"])
                new_const |= {
                    m["n"] for m in mutants
                    if m["genre"] == "MatchArm" and m["file"] == where["file_name"]
                    and m["function"]["span"]["start"]["line"] <= where["line_start"] <= m["span"]["start"]["line"]
                    and where["line_start"] <= m["function"]["span"]["end"]["line"]
                }
            elif named and named.group(1) != "mutant":
                names.add(named.group(1))
                new_const |= {m["n"] for m in mutants if m["function"] and re.split("::", m["function"]["function_name"])[-1] == named.group(1)}
            elif named:
                new_const |= blamed(e, made)
            else:
                new_bad |= blamed(e, made)
        new_const, new_bad = new_const - dropped, new_bad - dropped
        for e in errors[:5]:
            print(e["rendered"][:600], file=sys.stderr)
        print(f"{crate}: {len(errors)} errors; {len(new_const)} const, {len(new_bad)} unviable", flush=True)
        names -= set(plan["stays_const"])
        if not new_const and not new_bad and not names:
            print(stderr[-2000:], file=sys.stderr)
            sys.exit("cannot be built, and no mutant is to blame")
        plan["const"] += sorted(new_const)
        plan["stays_const"] += sorted(names)
        plan["unviable"] += sorted(new_bad - new_const)
        keep_plan()
    plan["not_placed"] = sorted({m["n"] for m in mutants} - placed - dropped)
    keep_plan()
    print(f"{crate}: {len(mutants)} mutants, {len(placed)} built, {len(plan['unviable'])} unviable, "
          f"{len(plan['const'])} const, {len(plan['not_placed'])} not placed", flush=True)

    last = os.environ.get("MUTANTS_LAST", "")
    is_last = lambda program: bool(last) and Path(program).name.startswith(f"{last}-")
    quick, slow = [p for p in programs if not is_last(p)], [p for p in programs if is_last(p)]
    usual = {}
    skipped = [word for name in os.environ.get("MUTANTS_SKIP", "").split() for word in ("--skip", name)]

    def tests(n, programs):
        env = {k: v for k, v in os.environ.items() if k != "PSH_MUTANT"}
        # A failure is enough: neither the smallest one is wanted nor one that the next mutant is asked about.
        env |= {"PROPTEST_MAX_SHRINK_ITERS": "0", "PROPTEST_DISABLE_FAILURE_PERSISTENCE": "1"}
        if n is not None:
            env["PSH_MUTANT"] = str(n)
        for program in programs:
            began = resource.getrusage(resource.RUSAGE_CHILDREN)
            word = asked(program, env, usual.get(program))
            if n is None:
                ended = resource.getrusage(resource.RUSAGE_CHILDREN)
                used = sum(getattr(ended, t) - getattr(began, t) for t in ("ru_utime", "ru_stime"))
                usual[program] = max(5, round(10 * used))
                print(f"{Path(program).name}: {word}, {used:.1f} s", flush=True)
            if word != "missed":
                return word, program
        return "missed", None

    def asked(program, env, most_s):
        """One program, until a test of it fails."""
        # Processor time, not the clock's: a busy machine catches no mutants. The clock is for what waits for ever.
        bound = lambda: most_s and resource.setrlimit(resource.RLIMIT_CPU, (most_s, most_s + 1))
        test = subprocess.Popen([program, *skipped], cwd=tree / f"crates/{crate}", env=env, text=True, errors="replace",
                                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=bound)
        late = threading.Event()
        alarm = threading.Timer(60 * (most_s or 60), lambda: (late.set(), test.kill()))
        alarm.start()
        try:
            failed = any(line.startswith("test ") and line.rstrip().endswith("FAILED") for line in test.stdout)
            if failed:
                test.kill()
            status = test.wait()
        finally:
            alarm.cancel()
        hangs = late.is_set() or status in (-signal.SIGXCPU, -signal.SIGKILL) and not failed
        return "timeout" if hangs else "caught" if failed or status != 0 else "missed"

    word, program = tests(None, programs)
    if word != "missed":
        sys.exit(f"without a mutant {program} fails")
    known = {}
    for line in results.read_text().splitlines() if results.exists() else []:
        r = json.loads(line)
        if r["name"] in numbers:
            known[numbers[r["name"]]] = r
    if os.environ.get("MUTANTS_AGAIN"):
        known = {n: r for n, r in known.items() if not r["word"].startswith("missed")}
    todo = [m for m in mutants if m["n"] in placed and m["n"] % of == shard]
    rounds = [([m for m in todo if m["n"] not in known], quick, bool(slow)), (todo, slow, False)]
    with results.open("a") as file, concurrent.futures.ThreadPoolExecutor(int(os.environ.get("MUTANTS_JOBS", "2"))) as pool:
        for some, programs, more in rounds:
            if programs is slow:
                some = [m for m in some if known.get(m["n"], {}).get("word") == "missed so far"]

            def one(m, programs=programs):
                while Path(os.environ.get("MUTANTS_PAUSE", "/nonexistent")).exists():
                    time.sleep(5)
                return m, *tests(m["n"], programs)

            for m, word, program in pool.map(one, some):
                word = "missed so far" if word == "missed" and more else word
                known[m["n"]] = {"name": m["name"], "word": word, "by": program and Path(program).name}
                file.write(json.dumps(known[m["n"]]) + "\n")
                file.flush()
    count = {"caught": 0, "timeout": 0}
    for r in known.values():
        count[r["word"]] = count.get(r["word"], 0) + 1
    for r in known.values():
        if r["word"].startswith("missed"):
            print(r["name"])
    caught = count["caught"] + count["timeout"]
    print(f"{crate}: {count}, {100 * caught / max(1, len(known)):.1f} % of {len(known)} caught")


main()
