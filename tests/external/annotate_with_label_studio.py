"""Questions to a real Label Studio and people's answers back: `kopri labelstudio` from end to end.

    .pytools/label-studio/bin/python tests/external/annotate_with_label_studio.py target/release/kopri
        [--record tests/golden/label-studio] [--screenshots FOLDER --chromium /usr/bin/chromium]

Starts Label Studio on loopback with SQLite in a temporary folder, makes an owner, three annotators and tokens that live
as long as the test, and lets kopri push and pull through a proxy that loses replies, answers 502 and lets the server
restart in between. What is on the server is counted by asking it directly, what is in the workspace by reading its
database. Prints what it measured; exits with 1 and says what is wrong at the first promise that is not kept.

`--record` writes the exchanges of a small scenario for `tests/it/labelstudio.rs`; `--screenshots` takes pictures of the
labelling interfaces. `make test-labelstudio` installs what is needed and runs it (label-studio 1.23.2).
"""

import argparse
import json
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from label_studio import Fault, Kopri, LabelStudio, Person, Proxy, check, log_in, result, sign_up  # noqa: E402

PEOPLE = ["ayna@example.org", "batyr@example.org", "maya@example.org"]
TASKS = 1000
MORE_TASKS = 3000


class Scene:
    """What all parts of the test share."""

    def __init__(self, program, folder):
        self.program, self.folder = program, Path(folder)
        self.server = LabelStudio(self.folder / "label-studio")
        started = time.monotonic()
        self.server.start()
        self.told(f"Label Studio started in {time.monotonic() - started:.0f} s")
        self.people = [sign_up(self.server, email) for email in PEOPLE]
        self.owner = Person(self.server, self.server.token)
        self.personal = self.owner.personal_token()
        self.proxy = Proxy(self.server)
        self.told(f"version {self.owner.call('GET', '/api/version')['release']}, {len(PEOPLE)} annotators")

    def told(self, text):
        print(text, flush=True)

    def kopri(self, name, **more):
        return Kopri(
            self.program, self.folder / name, self.proxy.url, more.pop("token", self.server.token), name, **more
        )

    def holds(self, kopri, project, count):
        """The project holds each of these tasks once, with its prediction, and the workspace knows where."""
        tasks = self.owner.tasks(project, include="id,data,total_predictions")
        check(len(tasks) == count, f"project {project} holds {len(tasks)} tasks, expected {count}")
        ours = Counter(task["data"]["task_id"] for task in tasks)
        check(len(ours) == count, f"doubles: {[task for task, times in ours.items() if times > 1][:5]}")
        check(all(task["total_predictions"] == 1 for task in tasks), "a prediction is missing")
        known = dict(
            kopri.rows(
                """SELECT printf('q%016x', task), placement.remote FROM placement JOIN project ON project = project.id
                   WHERE project.remote = ?""",
                project,
            )
        )
        there = {task["data"]["task_id"]: task["id"] for task in tasks}
        check(
            known == there,
            f"the workspace knows {len(known)} places, of which {sum(known.get(t) != n for t, n in there.items())} are wrong",
        )


def push_and_push_again(scene):
    kopri = scene.kopri("first")
    kopri.fill(TASKS)
    pushed = kopri.run("labelstudio", "push", "--json")
    project = pushed["project"]
    check((pushed["sent"], pushed["made"]) == (TASKS, True), pushed)
    scene.told(f"push: {TASKS} tasks in {pushed['seconds']:.1f} s")
    scene.holds(kopri, project, TASKS)
    about = scene.owner.call("GET", f"/api/projects/{project}/")
    check((about["title"], about["maximum_annotations"]) == (f"{kopri.name}: translation", 3), about["title"])
    again = kopri.run("labelstudio", "push", "--json")
    check((again["sent"], again["there"], again["project"]) == (0, TASKS, project), again)
    scene.told(f"push again: nothing sent, {again['seconds']:.1f} s")
    scene.holds(kopri, project, TASKS)
    return kopri, project


def tokens(scene, kopri):
    scene.proxy.counts.clear()
    kopri.run("labelstudio", "push", token=scene.personal)
    check(scene.proxy.counts["POST /api/token/refresh/"] == 1, scene.proxy.counts)
    scene.proxy.faults = [Fault("GET", "/api/projects/", "401", at=2)]
    kopri.run("labelstudio", "push", token=scene.personal)
    check(scene.proxy.counts["POST /api/token/refresh/"] == 3, "a token that ran out is exchanged again")
    for token, part in (("0" * 40, "Invalid token"), ("no.token.this", "copy it again"), (" ", "is not set")):
        said = kopri.run("labelstudio", "push", token=token, expect=2)
        check(part in said and "Traceback" not in said, said)
    # An access token of another server's secret.
    said = kopri.run("labelstudio", "push", token=scene.personal[:-6] + "AAAAAA", expect=2)
    check("personal access token" in said, said)
    scene.told("tokens: legacy and personal, one that ran out, four wrong ones")


def break_everything(scene):
    """A push is killed, loses replies, meets 502s and a restart of the server: in the end each task is there once."""
    kopri = scene.kopri("broken", budget=MORE_TASKS)
    kopri.fill(MORE_TASKS)
    process = None

    def kill():
        process.send_signal(signal.SIGKILL)

    # Killed while the server works on the second batch, whose reply nobody hears.
    scene.proxy.faults = [Fault("POST", "/import$", "call", at=2, call=kill)]
    process = kopri.start("labelstudio", "push")
    process.wait(600)
    check(process.returncode == -signal.SIGKILL, f"it ended with {process.returncode}")
    in_flight = kopri.rows("SELECT count(*) FROM placement WHERE remote IS NULL")[0][0]
    check(in_flight == 500, f"{in_flight} tasks in flight")
    (project,) = kopri.rows("SELECT remote FROM project")[0]
    there = len(scene.owner.tasks(project, include="id,data"))
    check(there in (500, 1000), there)

    def restart():
        scene.server.stop()
        scene.server.start()

    scene.proxy.faults = [
        Fault("POST", "/import$", "lost", at=1),
        Fault("POST", "/import$", "502", at=2),
        Fault("POST", "/import$", "502-after", at=4),
        Fault("POST", "/import$", "call", at=5, call=restart),
        Fault("GET", "/api/tasks/", "502", at=2, times=2),
    ]
    pushed = kopri.run("labelstudio", "push", "--json")
    check(all(fault.happened() for fault in scene.proxy.faults), "a fault did not happen")
    check(pushed["sent"] + pushed["found"] == MORE_TASKS - 500, pushed)
    scene.holds(kopri, project, MORE_TASKS)
    scene.told(f"killed with {there} tasks there; resumed through lost replies, 502s and a restart: {pushed}")

    # A reply that came so late that the batch was sent again: doubles, of which one is answered.
    tasks = scene.owner.tasks(project, include="id,data")[:3]
    body = [{"data": task["data"]} for task in tasks]
    made = scene.owner.call("POST", f"/api/projects/{project}/import", params={"return_task_ids": "true"}, json=body)
    scene.people[0].annotate(made["task_ids"][1], result("yes"))
    pushed = kopri.run("labelstudio", "push", "--json")
    check((pushed["doubles"], pushed["sent"]) == (3, 0), pushed)
    left = {task["id"] for task in scene.owner.tasks(project, include="id")}
    check(
        left >= {tasks[0]["id"], made["task_ids"][1], tasks[2]["id"]} and tasks[1]["id"] not in left,
        "the wrong ones went",
    )

    # A workspace from a backup that knows nothing of the project.
    database = sqlite3.connect(kopri.folder / "workspace/kopri.db")
    database.execute("DELETE FROM placement")
    database.execute("DELETE FROM project")
    database.commit()
    database.close()
    started = time.monotonic()
    pushed = kopri.run("labelstudio", "push", "--json")
    check((pushed["found"], pushed["sent"], pushed["made"]) == (MORE_TASKS, 0, False), pushed)
    scene.told(f"restored from a backup: {MORE_TASKS} tasks found again in {time.monotonic() - started:.1f} s")

    # A server that is not there is given up, in words.
    said = kopri.run("labelstudio", "push", "--set", "annotate.label-studio.url=http://127.0.0.1:9", expect=3)
    check("given up after" in said and "cannot be reached" in said, said)
    said = kopri.run("labelstudio", "push", "--project", "987", expect=2)
    check("no project 987" in said, said)


def refuse(scene):
    """A task that the server refuses is named, and the others are not lost."""
    kopri = scene.kopri("refused", budget=20)
    kopri.fill(20)
    bad = kopri.rows("SELECT id FROM task ORDER BY id LIMIT 1 OFFSET 7")[0][0]
    body = kopri.rows("SELECT body FROM task WHERE id = ?", bad)[0][0]
    database = sqlite3.connect(kopri.folder / "workspace/kopri.db")
    wrong = json.loads(body)
    wrong["data"]["tgt_text"] = None
    database.execute("UPDATE task SET body = ? WHERE id = ?", (json.dumps(wrong), bad))
    database.commit()
    said = kopri.run("labelstudio", "push", expect=3)
    check(f"q{bad:016x}" in said and "tgt_text" in said, said)
    database.execute("UPDATE task SET body = ? WHERE id = ?", (body, bad))
    database.commit()
    database.close()
    check(kopri.run("labelstudio", "push", "--json")["sent"] == 20, "the others")
    scene.told("a refused task is named; mended, all are sent")


def answer_and_pull(scene, kopri, project):
    """Three people answer 40 tasks; they agree, disagree, skip, mend, change their minds and take answers back."""
    tasks = scene.owner.tasks(project, include="id,data")[:40]
    draw = random.Random(3)
    given = {}
    for index, task in enumerate(tasks):
        wrong = "adam ýygnandy" in task["data"]["tgt_text"]
        for person in range(3):
            verdict = "no" if wrong else "yes"
            if index % 10 == 9:
                verdict = ["yes", "partly", "no"][person]
            if draw.random() < 0.1:
                given[index, person] = scene.people[person].annotate(task["id"], [], skipped=True)
                continue
            problems = ["omission"] if verdict == "partly" else []
            fix = task["data"]["tgt_text"].replace("Mugallym", "Mugallymymyz") if verdict == "partly" else None
            given[index, person] = scene.people[person].annotate(task["id"], result(verdict, problems, fix))
    skipped = sum(annotation["was_cancelled"] for annotation in given.values())
    # One more saves a draft and never submits it.
    scene.people[2].call(
        "POST",
        f"/api/tasks/{scene.owner.tasks(project, include='id')[50]['id']}/drafts",
        json={"result": result("no"), "lead_time": 2},
    )
    kopri.run("labelstudio", "pull", "--json")
    pulled = kopri.run("labelstudio", "pull", "--full", "--json")
    check((pulled["full"], pulled["new"], pulled["changed"], pulled["unchanged"]) == (True, 0, 0, 120), pulled)
    check((pulled["skipped"], pulled["drafts"]) == (skipped, 1), pulled)
    check(set(pulled["by"]) == set(PEOPLE) and set(pulled["by"].values()) == {40}, pulled["by"])
    stored = kopri.rows("SELECT annotator, skipped, verdict, remote, updated_at, task FROM annotation")
    check(len(stored) == 120 and sum(row[1] for row in stored) == skipped, len(stored))
    by_number = {row[3]: row for row in stored}
    for (index, person), annotation in given.items():
        row = by_number[annotation["id"]]
        check(row[0] == PEOPLE[person] and bool(row[1]) == annotation["was_cancelled"], row)
        check(row[4][:19] == annotation["updated_at"][:19], f"{row[4]} {annotation['updated_at']}")
        check(f"q{row[5]:016x}" == tasks[index]["data"]["task_id"], "another task")
    again = kopri.run("labelstudio", "pull", "--json")
    check((again["full"], again["new"], again["changed"], again["taken_back"]) == (False, 0, 0, 0), again)
    scene.told(
        f"pull: 120 annotations of 3 people, {skipped} skips, 1 draft ({pulled['seconds']:.1f} s in full); again: no change ({again['seconds']:.1f} s)"
    )

    def change(method, key, body=None):
        scene.people[key[1]].call(method, f"/api/annotations/{given[key]['id']}/", json=body)

    answered = [key for key, annotation in given.items() if not annotation["was_cancelled"]]
    change("PATCH", answered[0], {"result": result("partly")})
    pulled = kopri.run("labelstudio", "pull", "--json")
    check((pulled["new"], pulled["changed"], pulled["taken_back"]) == (0, 1, 0), pulled)
    check(
        kopri.rows("SELECT verdict FROM annotation WHERE remote = ?", given[answered[0]]["id"]) == [("partly",)],
        "the edit",
    )
    change("DELETE", answered[1])
    change("PATCH", answered[2], {"result": [], "was_cancelled": True})
    scene.owner.call("PATCH", f"/api/annotations/{given[answered[3]]['id']}/", json={"ground_truth": True})
    pulled = kopri.run("labelstudio", "pull", "--json")
    check((pulled["new"], pulled["changed"], pulled["taken_back"]) == (0, 2, 1), pulled)
    check(kopri.rows("SELECT count(*), sum(ground_truth) FROM annotation") == [(119, 1)], "what was taken back")
    change("DELETE", answered[4])
    pulled = kopri.run("labelstudio", "pull", "--full", "--json")
    check((pulled["new"], pulled["changed"], pulled["taken_back"]) == (0, 0, 1), pulled)
    check(scene.owner.call("GET", f"/api/projects/{project}/exports/") == [], "a snapshot was left on the server")
    scene.told("pull: one edit, one skip afterwards, one gold answer, two taken back: each came over as it was")

    # A snapshot that breaks off while it is fetched, and a server that is down for a moment.
    scene.proxy.faults = [
        Fault("GET", "/download$", "lost"),
        Fault("POST", "/exports/$", "502-after"),
        Fault("GET", "/exports/", "502"),
    ]
    pulled = kopri.run("labelstudio", "pull", "--full", "--json")
    check((pulled["new"], pulled["changed"], pulled["unchanged"], pulled["taken_back"]) == (0, 0, 118, 0), pulled)
    check(scene.owner.call("GET", f"/api/projects/{project}/exports/") == [], "a snapshot was left on the server")
    scene.told("pull: through lost replies and 502s")


def adjudicate(scene, kopri):
    """The next night weighs the answers and makes a dataset of them; the one after changes nothing."""
    kopri.run("run")
    words = Counter(dict(kopri.rows("""SELECT coalesce(verdict, 'undecided'), count(*) FROM adjudication
           WHERE pair IN (SELECT pair FROM annotation) GROUP BY 1""")))
    check(words.total() == 40 and words["yes"] >= 20 and words["no"] >= 2 and words["undecided"] >= 2, words)
    folder = kopri.folder / "workspace/dataset"
    version = (folder / "LATEST").read_text().strip()
    lines = [json.loads(line) for part in ("train", "dev", "test") for line in open(folder / version / f"{part}.jsonl")]
    labels = Counter(line["label"] for line in lines)
    check(len(labels) == 2, labels)
    kopri.run("run")
    check((folder / "LATEST").read_text().strip() == version, "the same answers made another dataset")
    scene.told(f"adjudicated: {dict(words)}; dataset {version} with {len(lines)} examples: {dict(labels)}")


def take_pictures(scene, folder, chromium):
    """A task of each interface as its owner sees it, through a proxy that brings the session's cookie."""
    folder.mkdir(parents=True, exist_ok=True)
    browsed = Proxy(scene.server, cookie=log_in(scene.server))
    for interface in ("translation", "similarity", "pairwise"):
        kopri = scene.kopri(f"shown-{interface}", interface=interface, budget=3)
        kopri.fill(3)
        body = kopri.rows("SELECT body FROM task ORDER BY id LIMIT 1")
        if not body:
            # Pairs that were imported as bare text have no second candidate.
            add_choice(kopri)
        project = kopri.run("labelstudio", "push", "--json")["project"]
        task = scene.owner.tasks(project, include="id")[0]["id"]
        picture = folder / f"{interface}.png"
        with tempfile.TemporaryDirectory() as profile:
            subprocess.run(
                [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
                + [
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--disable-sync",
                    "--hide-scrollbars",
                ]
                + [f"--user-data-dir={profile}", "--window-size=1280,800", "--virtual-time-budget=30000"]
                + [f"--proxy-server={browsed.url}", "--proxy-bypass-list=<-loopback>"]
                + [f"--screenshot={picture}", f"{scene.server.url}/projects/{project}/data?task={task}"],
                check=True,
                capture_output=True,
                timeout=300,
            )
        check(picture.stat().st_size > 20_000, f"{picture} shows next to nothing")
        scene.told(f"picture: {picture}")


def add_choice(kopri):
    """A choice between two candidates, as a search for neighbours would have led to."""
    task = {
        "data": {
            "task_id": "q0000000000000007",
            "pair_id": "p0000000000000007",
            "origin": "mined",
            "src_text": "Учитель вечером дома прочитал журнал из 12 страниц.",
            "src_lang": "Russian",
            "src_url": "",
            "tgt_url": "",
            "a_id": "p0000000000000008",
            "b_id": "p0000000000000007",
            "cand_a": "Mugallym düýn mekdepde 12 sahypalyk kitap okady.",
            "cand_b": "Mugallym agşam öýde 12 sahypalyk žurnal okady.",
        },
        "predictions": [
            {
                "model_version": "kopri",
                "score": 0.8,
                "result": [
                    {"from_name": "better", "to_name": "better", "type": "pairwise", "value": {"selected": "right"}}
                ],
            }
        ],
    }
    database = sqlite3.connect(kopri.folder / "workspace/kopri.db")
    database.execute(
        "INSERT INTO task SELECT 7, 'pairwise', scope, id, NULL, 'random', NULL, '2026-01-01T00:00:00Z', ? FROM text_pair LIMIT 1",
        (json.dumps(task, ensure_ascii=False),),
    )
    database.commit()
    database.close()


QUESTIONS = 7


def record(scene, folder):
    """What passed between kopri and the server, for a test without a server: `tests/it/labelstudio.rs`."""
    kopri = scene.kopri("golden", budget=QUESTIONS, token=scene.personal)
    kopri.fill(QUESTIONS)
    steps = []

    def step(*arguments, token=None, code=0, faults=()):
        scene.proxy.faults, scene.proxy.exchanges, scene.proxy.recording = list(faults), [], True
        json_wanted = ("--json",) if code == 0 else ()
        out = kopri.run("labelstudio", *arguments, *json_wanted, token=token, expect=code)
        scene.proxy.recording = False
        check(all(fault.happened() for fault in faults), f"{arguments}: a fault did not happen")
        entry = {"run": list(arguments), "token": "legacy" if token else "personal", "code": code}
        if code == 0:
            entry["out"] = {name: value for name, value in out.items() if name != "seconds"}
        entry["placements"] = kopri.rows("SELECT printf('q%016x', task), batch, remote FROM placement ORDER BY task")
        entry["annotations"] = kopri.rows(
            "SELECT printf('q%016x', task), remote, annotator, verdict, skipped FROM annotation ORDER BY remote"
        )
        steps.append(entry | {"exchanges": scene.proxy.exchanges})

    def change(sql):
        database = sqlite3.connect(kopri.folder / "workspace/kopri.db")
        database.execute(sql)
        database.commit()
        database.close()
        steps.append({"sql": sql})

    columns = ("id", "interface", "scope", "pair", "other", "strategy", "control", "asked_at", "body")
    tasks = kopri.rows(f"SELECT {', '.join(columns)} FROM task ORDER BY id")
    # Made, and three sent.
    step("push", "--limit", "3")
    # The next batch arrives, and its reply is lost; before that a 502, and a token that has run out.
    step(
        "push",
        faults=[
            Fault("GET", "/api/projects/[0-9]+/$", "502"),
            Fault("GET", "/api/projects/[0-9]+/$", "401", at=3),
            Fault("POST", "/import$", "lost"),
        ],
    )
    # Nothing to do, with the other kind of token.
    step("push", token=scene.server.token)
    # One task that the server refuses.
    change(f'UPDATE task SET body = replace(body, \'"tgt_text":"\', \'"was_tgt_text":"\') WHERE id = {tasks[4][0]}')
    change(f"DELETE FROM placement WHERE task = {tasks[4][0]}")
    (project,) = kopri.rows("SELECT remote FROM project")[0]
    there = {task["data"]["task_id"]: task["id"] for task in scene.owner.tasks(project, include="id,data")}
    scene.owner.call("DELETE", f"/api/tasks/{there[f'q{tasks[4][0]:016x}']}/")
    step("push", code=3)
    change(f'UPDATE task SET body = replace(body, \'"was_tgt_text":"\', \'"tgt_text":"\') WHERE id = {tasks[4][0]}')
    step("push")
    # Answers of three people: they agree, disagree, and one skips.
    numbers = sorted(task["id"] for task in scene.owner.tasks(project, include="id"))
    first = [person.annotate(numbers[0], result("yes")) for person in scene.people]
    scene.people[0].annotate(numbers[1], result("partly", ["omission"], "Başga."))
    scene.people[1].annotate(numbers[1], result("no"))
    scene.people[2].annotate(numbers[1], [], skipped=True)
    step("pull")
    scene.people[0].call("PATCH", f"/api/annotations/{first[0]['id']}/", json={"result": result("no")})
    scene.people[1].call("DELETE", f"/api/annotations/{first[1]['id']}/")
    scene.people[2].annotate(numbers[2], result("yes"))
    step("pull", faults=[Fault("GET", "/api/tasks/", "502-after")])
    step("pull", "--full", faults=[Fault("GET", "/download$", "lost")])

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pairs.tsv").write_text((kopri.folder / "pairs.tsv").read_text())
    with open(folder / "tasks.jsonl", "w") as out:
        for task in tasks:
            out.write(json.dumps(dict(zip(columns, task)), ensure_ascii=False) + "\n")
    with open(folder / "exchanges.json", "w") as out:
        title = f"{kopri.name}: translation"
        json.dump({"label_studio": "1.23.2", "title": title, "steps": steps}, out, ensure_ascii=False, indent=1)
        out.write("\n")
    scene.told(
        f"{sum(len(step.get('exchanges', [])) for step in steps)} exchanges of {len(steps)} steps written to {folder}"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kopri", type=Path)
    parser.add_argument("--record", type=Path, help="write the exchanges of a small scenario into this folder, and end")
    parser.add_argument("--screenshots", type=Path, help="take pictures of the labelling interfaces into this folder")
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scene = None
        try:
            scene = Scene(arguments.kopri.resolve(), folder)
            if arguments.record:
                return record(scene, arguments.record)
            kopri, project = push_and_push_again(scene)
            tokens(scene, kopri)
            answer_and_pull(scene, kopri, project)
            adjudicate(scene, kopri)
            refuse(scene)
            break_everything(scene)
            if arguments.screenshots:
                take_pictures(scene, arguments.screenshots, arguments.chromium)
            scene.told("all as promised")
        except AssertionError as error:
            sys.exit(f"error: {error}")
        finally:
            if scene:
                scene.server.stop()


if __name__ == "__main__":
    main()
