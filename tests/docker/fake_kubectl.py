"""Stands in for kubectl with a cluster: objects are files in $CLUSTER, one each, and are held to
their schemas and our rules whenever they change. Whatever the real one ($KUBECTL) can do alone it
does: kustomize, create --dry-run, patch --local. Of other commands it checks the words: without a
server they must fail to connect, and for no other reason."""

import os
import subprocess
import sys
from pathlib import Path

import rules
import schema
import yaml

KUBECTL, STATE = os.environ["KUBECTL"], Path(os.environ["CLUSTER"])
NOWHERE = "--server=http://127.0.0.1:1"


def real(*words, stdin=None):
    return subprocess.run([KUBECTL, *words], input=stdin, capture_output=True, text=True)


def ends(done):
    sys.stdout.write(done.stdout)
    sys.exit(done.stderr if done.returncode else 0)


def path_of(kind, name):
    return STATE / f"{kind.lower()}-{name}.yaml"


def store(objects):
    said = schema.check(objects)
    # A Secret made by hand is what the rules want; what is rendered has none.
    said = said or rules.check([t for t in objects if t["kind"] != "Secret"])
    if said:
        sys.exit("\n".join(said))
    STATE.mkdir(exist_ok=True)
    for thing in objects:
        path_of(thing["kind"], thing["metadata"]["name"]).write_text(yaml.safe_dump(thing))
        print(f"{thing['kind'].lower()}/{thing['metadata']['name']} configured")


def apply(words):
    if words[0] == "-k" and len(words) == 2:
        done = real("kustomize", words[1])
        if done.returncode:
            ends(done)
        store(list(yaml.safe_load_all(done.stdout)))
    elif words[0] == "-f" and len(words) == 2:
        text = sys.stdin.read() if words[1] == "-" else Path(words[1]).read_text()
        store(list(yaml.safe_load_all(text)))
    else:
        sys.exit(f"fake kubectl: apply {words}: expected -k FOLDER or -f FILE.")


def patch(words):
    path = path_of(words[0], words[1])
    if not path.exists():
        sys.exit(f"{words[0]} {words[1]} not found")
    done = real("patch", "--local", "-f", str(path), *words[2:], "-o", "yaml")
    if done.returncode:
        ends(done)
    thing = yaml.safe_load(done.stdout)
    said = schema.check([thing])
    # Its surroundings are the cluster's: the rules see all of it.
    path.write_text(yaml.safe_dump(thing))
    others = [yaml.safe_load(p.read_text()) for p in STATE.glob("*.yaml")]
    said = said or rules.check([t for t in others if t["kind"] in (
        "Job", "ConfigMap", "Service", "ServiceAccount", "NetworkPolicy")])
    if said:
        sys.exit("\n".join(said))


def check_words(words):
    done = real(words[0], NOWHERE, *words[1:])
    if "refused" not in done.stderr:
        sys.exit(done.stderr or "it did not ask the server")


def delete(words):
    check_words(["delete", *words])
    if len(words) == 2 and words[1][0] != "-":
        if not path_of(words[0], words[1]).exists():
            sys.exit(f"{words[0]} {words[1]} not found")
        path_of(words[0], words[1]).unlink()


def main():
    command, words = sys.argv[1], sys.argv[2:]
    if command == "kustomize" or "--dry-run=client" in words:
        ends(real(command, *words))
    own = {"apply": apply, "patch": patch, "delete": delete}
    if command in own:
        own[command](words)
    else:
        check_words([command, *words])


main()
