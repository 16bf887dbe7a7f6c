#!/usr/bin/env bash
# Kills real runs of the demo at random moments (SIGKILL), lets each be resumed, and compares the store with that of a
# run that nobody disturbed. Usage: tests/kill_and_resume.sh [KILLS, default 20] [SEED, default 1]
# Needs python3 and a built binary (KOPRI, default target/release/kopri).
set -euo pipefail
cd "$(dirname "$0")/.."
kills=${1:-20}
RANDOM=${2:-1}
kopri=$(realpath "${KOPRI:-target/release/kopri}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
pipeline=pipelines/demo.toml

run() { "$kopri" run "$pipeline" --workspace "$1" --quiet; }

# Every row of every table, without the columns that tell when and in which run.
dump() {
    python3 - "$1" <<'PY'
import hashlib, os, sqlite3, sys
volatile = {"unit": {"attempts", "run", "finished_at"}, "host": {"robots_fetched_at", "robots_failed_at", "delay_ms", "next_allowed_at", "night_began", "requests", "bytes"},
            "url": {"status", "next_visit_at", "interval_s", "warc_file", "warc_offset", "warc_length", "fetched_at", "changed_at", "leased_at", "not_before"},
            "warc": {"file", "length"}, "verdict": {"stamp"}, "near_duplicate": {"stamp"}, "producer": {"id"}, "occurrence": {"producer"},
            "task": {"asked_at"}, "vector": {"shard"}, "shard": {"id"}}
folder = sys.argv[1]
db = sqlite3.connect(f"file:{folder}/kopri.db?mode=ro", uri=True)
for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").fetchall():
    if table in ("run", "figure", "crawl_round", "clock", "extraction", "drift", "sqlite_sequence"):
        continue
    columns = [c[1] for c in db.execute(f"PRAGMA table_info({table})") if c[1] not in volatile.get(table, ())]
    if columns:
        names = ", ".join(f'quote("{c}")' for c in columns)
        print("==", table, *sorted(map(repr, db.execute(f"SELECT {names} FROM {table}"))), sep="\n")
for (file,) in db.execute("SELECT file FROM shard ORDER BY file"):
    print(file, hashlib.sha256(open(os.path.join(folder, "vectors", file), "rb").read()).hexdigest())
PY
}

began=$(date +%s%N)
run "$work/whole"
whole_ms=$((($(date +%s%N) - began) / 1000000))
dump "$work/whole" > "$work/whole.txt"
echo "an undisturbed run takes ${whole_ms} ms and leaves $(wc -l < "$work/whole.txt") rows"

for n in $(seq "$kills"); do
    wait_ms=$((RANDOM * 32768 + RANDOM)); wait_ms=$((wait_ms % whole_ms))
    # Not through the function: it is the program that has to die, not a shell around it.
    "$kopri" run "$pipeline" --workspace "$work/killed" --quiet & pid=$!
    sleep "$(printf '%d.%03d' $((wait_ms / 1000)) $((wait_ms % 1000)))"
    kill -9 "$pid" 2>/dev/null && died=killed || died="had ended"
    wait "$pid" 2>/dev/null || true
    # Every second workspace is killed twice before it may finish.
    if [ $((n % 2)) = 0 ]; then
        run "$work/killed"
        dump "$work/killed" > "$work/killed.txt"
        if ! cmp -s "$work/whole.txt" "$work/killed.txt"; then
            echo "kill $n after ${wait_ms} ms: the stores differ"
            diff "$work/whole.txt" "$work/killed.txt" | head -20
            exit 1
        fi
        echo "kill $n after ${wait_ms} ms ($died): resumed, the same store"
        rm -rf "$work/killed"
    else
        echo "kill $n after ${wait_ms} ms ($died): killed once more before the end"
    fi
done
echo "$kills kills, every store the same"
